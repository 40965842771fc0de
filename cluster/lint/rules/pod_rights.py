"""What KubeRay's pods may do, to their machine and to Kubernetes; and who may reach them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cluster import pods
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.pod_sizes import ray_groups
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("kuberay",)

SHARED = {
    "hostNetwork": "the pod has the machine's own network: no policy holds, and ports collide",
    "hostPID": "code of a trial sees and ends every process of the machine",
    "hostIPC": "code of a trial reads the memory of other pods",
}
OPEN = ("LoadBalancer", "NodePort")


def check(subject: Subject) -> Iterator[Finding]:
    """Each group's pod, then who may reach the head."""
    for where, group, head in ray_groups(subject):
        yield from _pod(subject, (*where, "template", "spec"), pods.pod(group), head)
        for i, one in enumerate(pods.containers(group)):
            at = (*where, "template", "spec", "containers", i)
            yield from _container(subject, at, one)
        if head:
            yield from _reached(subject, where, group)


def _pod(subject: Subject, where: Where, pod: Mapping[str, Any], head: bool) -> Iterator[Finding]:
    context = mapping(pod.get("securityContext"))
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
        yield subject.found(
            "warning",
            where,
            "the pod may run as root",
            "code of a trial that breaks out of it owns the machine",
            "write securityContext: {runAsNonRoot: true}",
        )
    for key, why in SHARED.items():
        if pod.get(key) is True:
            yield subject.found("error", (*where, key), f"{key} is true", why, f"drop {key}")
    if mapping(context.get("seccompProfile")).get("type") == "Unconfined":
        yield subject.found(
            "warning",
            (*where, "securityContext"),
            "seccomp is off",
            "code of a trial may make every call of the kernel",
            "write seccompProfile: {type: RuntimeDefault}",
        )
    if not head and pod.get("automountServiceAccountToken") is not False:
        yield subject.found(
            "warning",
            where,
            "workers get a token of Kubernetes",
            "code of a trial may ask Kubernetes for what that account may have",
            "write automountServiceAccountToken: false",
        )
    if head and pod.get("automountServiceAccountToken") is False:
        yield subject.found(
            "error",
            where,
            "the head gets no token of Kubernetes",
            "the autoscaler runs there and may not change the number of pods",
            "drop automountServiceAccountToken there",
        )
    if pod.get("restartPolicy", "Never") != "Never":
        yield subject.found(
            "warning",
            (*where, "restartPolicy"),
            f"restartPolicy is {pod['restartPolicy']}",
            "a pod that Ray's autoscaler counts as dead comes back beside its successor",
            "drop it",
        )
    grace = pod.get("terminationGracePeriodSeconds")
    if isinstance(grace, int) and not 5 <= grace <= 300:
        yield subject.found(
            "warning",
            (*where, "terminationGracePeriodSeconds"),
            f"the pod is given {grace} s to end",
            "spot nodes give 25 s; with none no trial is checkpointed, with many idle pods are paid for",
            "write 25",
        )


def _container(subject: Subject, where: Where, container: Mapping[str, Any]) -> Iterator[Finding]:
    context = mapping(container.get("securityContext"))
    at = (*where, "securityContext")
    if context.get("privileged") is True:
        yield subject.found(
            "error",
            at,
            "the container is privileged",
            "code of a trial owns the machine",
            "remove privileged; the GPU needs nothing of it",
        )
    if context.get("allowPrivilegeEscalation") is not False:
        yield subject.found(
            "warning",
            at,
            "a program in the container may become root there",
            "code of a trial that breaks out of it owns the machine",
            "write allowPrivilegeEscalation: false",
        )
    if context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        yield subject.found(
            "warning",
            at,
            "the container runs as root",
            "code of a trial that breaks out of it owns the machine",
            "drop it: the pod says who it runs as",
        )
    added = mapping(context.get("capabilities")).get("add")
    if added:
        yield subject.found(
            "error",
            at,
            f"capabilities are added: {', '.join(map(str, added)) if isinstance(added, list) else added}",
            "code of a trial may do more than its work needs",
            "drop them",
        )
    for i, port in enumerate(
        container.get("ports") or [] if isinstance(container.get("ports"), list) else []
    ):
        if mapping(port).get("hostPort"):
            yield subject.found(
                "error",
                (*where, "ports", i),
                f"port {mapping(port)['hostPort']} of the machine itself",
                "no policy holds there, and one pod a machine is the most",
                "drop hostPort",
            )


def _reached(subject: Subject, where: Where, head: Mapping[str, Any]) -> Iterator[Finding]:
    service = mapping(mapping(head.get("headService")).get("spec")).get("type")
    for key, open_ in (
        ("serviceType", head.get("serviceType") in OPEN),
        ("enableIngress", head.get("enableIngress") is True),
        ("headService", service in OPEN),
    ):
        if open_:
            yield subject.found(
                "error",
                (*where, key),
                f"{key} is {service if key == 'headService' else head[key]}",
                "Ray's ports are reachable from outside of the Kubernetes cluster",
                f"remove {key}; use kubectl port-forward",
            )
