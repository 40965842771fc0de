"""The pods of a KubeRay cluster: what Ray must know of their size, and what they must not be allowed.

The rest of a pod is Kubernetes' own: `kubectl apply --dry-run=server -f FILE` compares it with its model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cluster import pods
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.kuberay import groups, ray_cluster
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("kuberay",)


def check(subject: Subject) -> Iterator[Finding]:
    """The head, then each group of workers."""
    at, spec = ray_cluster(subject)
    head, where = mapping(spec.get("headGroupSpec")), (*at, "headGroupSpec")
    yield from _head(subject, where, head)
    yield from _group(subject, where, head)
    for i, group in enumerate(groups(spec)):
        where = (*at, "workerGroupSpecs", i)
        yield from _group(subject, where, group)
        for key in ("minReplicas", "maxReplicas"):
            if key not in group:
                yield subject.found(
                    "error",
                    (*where, key),
                    f"{key} is missing",
                    "KubeRay's default stands for it: 0 for the least, more than 2 billion for the most",
                    f"write {key}",
                )
        least, most, now = (group.get(key) for key in ("minReplicas", "maxReplicas", "replicas"))
        numbers = [one for one in (least, now, most) if isinstance(one, int)]
        if numbers != sorted(numbers):
            yield subject.found(
                "error",
                (*where, "replicas"),
                f"{now} replicas are not between {least} and {most}",
                "KubeRay refuses the file",
                "write replicas: 0, which the autoscaler raises",
            )


def _head(subject: Subject, where: Where, head: Mapping[str, Any]) -> Iterator[Finding]:
    if head.get("serviceType") in ("LoadBalancer", "NodePort") or head.get("enableIngress") is True:
        key = "serviceType" if "serviceType" in head else "enableIngress"
        yield subject.found(
            "error",
            (*where, key),
            f"{key} is {head[key]}",
            "Ray's ports are reachable from outside of the Kubernetes cluster",
            f"remove {key}; use kubectl port-forward",
        )
    if str(mapping(head.get("rayStartParams")).get("num-cpus")) != "0":
        yield subject.found(
            "warning",
            (*where, "rayStartParams"),
            "the head offers its CPUs to trials",
            "trials slow the driver and the autoscaler, and one that fills the memory ends the sweep",
            'write rayStartParams: {num-cpus: "0"}',
        )
    if pods.GPU in str(pods.pod(head)):
        yield subject.found(
            "warning",
            (*where, "template"),
            "the head asks for a GPU",
            "it runs as long as the cluster does, whether trials run or not",
            "drop it",
        )


def _group(subject: Subject, where: Where, group: Mapping[str, Any]) -> Iterator[Finding]:
    for key, value in mapping(group.get("rayStartParams")).items():
        if not isinstance(value, str):
            yield subject.found(
                "error",
                (*where, "rayStartParams", key),
                f"{key} is {value!r}, not text",
                "Kubernetes refuses the file",
                f'write {key}: "{value}"',
            )
    first = next(iter(pods.containers(group)), None)
    at = (*where, "template", "spec", "containers", 0)
    if first is None:
        yield subject.found(
            "error",
            (*where, "template"),
            "there is no container",
            "KubeRay refuses the file",
            "write template.spec.containers",
        )
        return
    resources = mapping(first.get("resources"))
    limits, requests = mapping(resources.get("limits")), mapping(resources.get("requests"))
    for name in ("cpu", "memory"):
        if name not in limits:
            yield subject.found(
                "error",
                (*at, "resources", "limits"),
                f"no limit of {name}",
                f"the autoscaler cannot know how much {name} a pod has"
                if name == "cpu"
                else "a trial that grows takes down other pods of its machine",
                f"write limits: {{{name}: ...}}",
            )
    for side in ("requests", "limits"):
        for name, amount in mapping(resources.get(side)).items():
            try:
                pods.quantity(amount)
            except ValueError as error:
                yield subject.found(
                    "error",
                    (*at, "resources", side, name),
                    str(error).partition(";")[0],
                    "Kubernetes refuses the file",
                    "write for example 500m, 4 or 16Gi",
                )
    if limits.get(pods.GPU) != requests.get(pods.GPU, limits.get(pods.GPU)):
        yield subject.found(
            "error",
            (*at, "resources"),
            "request and limit of GPUs differ",
            "Kubernetes refuses the pod",
            "write the same number in both",
        )
    if mapping(pods.pod(group).get("securityContext")).get("runAsNonRoot") is not True:
        yield subject.found(
            "warning",
            (*where, "template", "spec"),
            "the pod may run as root",
            "code of a trial that breaks out of it owns the machine",
            "write securityContext: {runAsNonRoot: true}",
        )
    for i, one in enumerate(pods.containers(group)):
        if mapping(one.get("securityContext")).get("privileged") is True:
            yield subject.found(
                "error",
                (*at[:-1], i, "securityContext"),
                "the container is privileged",
                "code of a trial owns the machine",
                "remove privileged; the GPU needs nothing of it",
            )
