"""How Ray is started in KubeRay's pods: its parameters, its images, and where pods may be put."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cluster import pods
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.environment import KNOWN
from cluster.lint.rules.kuberay import ray_cluster
from cluster.lint.rules.pod_sizes import ray_groups
from cluster.lint.rules.start_commands import known_options
from cluster.nearest import nearest
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("kuberay",)

SELECTORS = (
    "cloud.google.com/gke-spot",
    "cloud.google.com/gke-accelerator",
    "cloud.google.com/gke-nodepool",
    "cloud.google.com/gke-provisioning",
    "karpenter.sh/capacity-type",
    "karpenter.sh/nodepool",
    "eks.amazonaws.com/capacityType",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/scalesetpriority",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "nvidia.com/gpu.product",
    "nvidia.com/gpu.present",
    "nvidia.com/gpu",
)
"""Labels and taints of machines that many clusters have; one that is nearly one of them is misspelt."""


def check(subject: Subject) -> Iterator[Finding]:
    """The head, then each group of workers; last the autoscaler's variables."""
    at, spec = ray_cluster(subject)
    yield from _variables(subject, (*at, "autoscalerOptions"), mapping(spec.get("autoscalerOptions")))
    images: dict[str, Where] = {}
    for where, group, head in ray_groups(subject):
        params = mapping(group.get("rayStartParams"))
        yield from _parameters(subject, (*where, "rayStartParams"), params, head)
        yield from _placed(subject, (*where, "template", "spec"), pods.pod(group))
        if head:
            yield from _head(subject, where, group, params)
        for i, container in enumerate(pods.containers(group)):
            yield from _variables(subject, (*where, "template", "spec", "containers", i), container)
        first = next(iter(pods.containers(group)), {})
        if "image" in first:
            images.setdefault(str(first["image"]), (*where, "template", "spec", "containers", 0, "image"))
        else:
            yield subject.found(
                "error",
                (*where, "template", "spec", "containers", 0, "image"),
                "the container has no image",
                "Kubernetes refuses the pod",
                "write image",
            )
    yield from _images(subject, images)


def _parameters(subject: Subject, where: Where, params: Mapping[str, Any], head: bool) -> Iterator[Finding]:
    known = {one.removeprefix("--") for one in known_options()}
    for key in params:
        if key not in known:
            yield subject.found(
                "error",
                (*where, key),
                f"`ray start` has no option {key}",
                "Ray does not start, and the pod fails again and again",
                f"correct or remove it{nearest(str(key), known, shown=0)}",
            )
    store = str(params.get("object-store-memory", ""))
    if store and not (store.isdigit() and int(store) >= 78_643_200):
        yield subject.found(
            "error",
            (*where, "object-store-memory"),
            f"object-store-memory is {store}",
            "Ray wants bytes, 75 MiB at least",
            "drop it, or write bytes",
        )
    if not head and "address" in params:
        yield subject.found(
            "warning",
            (*where, "address"),
            "workers are given an address",
            "KubeRay gives them the right one",
            "drop it",
        )


def _variables(subject: Subject, where: Where, container: Mapping[str, Any]) -> Iterator[Finding]:
    for i, (name, value) in enumerate(pods.environment(container).items()):
        near = nearest(name, KNOWN, shown=0)
        if name not in KNOWN and near and name.startswith(("RAY_A", "RAY_e", "AUTO", "STAR")):
            yield subject.found(
                "error",
                (*where, "env", i),
                f"{name} means nothing to anybody",
                "it has no effect",
                f"correct it{near}",
            )
        if name == "RAY_AUTH_MODE" and value != "token":
            yield subject.found(
                "error",
                (*where, "env", i),
                f"RAY_AUTH_MODE is {value}",
                "every pod that reaches one of Ray's ports runs code there (CVE-2023-48022)",
                "drop it: authOptions says it",
            )


def _head(
    subject: Subject, where: Where, head: Mapping[str, Any], params: Mapping[str, Any]
) -> Iterator[Finding]:
    if str(params.get("num-cpus")) != "0":
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
    job = ray_cluster(subject)[0] != ("spec",)
    if not job and params.get("dashboard-host", "0.0.0.0") not in ("127.0.0.1", "localhost"):
        yield subject.found(
            "warning",
            (*where, "rayStartParams", "dashboard-host"),
            "the dashboard is on every address of the pod, KubeRay's default",
            "whoever gets past the NetworkPolicy reads logs there",
            "write dashboard-host: 127.0.0.1; kubectl port-forward reaches it",
        )
    if job and params.get("dashboard-host", "0.0.0.0") in ("127.0.0.1", "localhost"):
        yield subject.found(
            "error",
            (*where, "rayStartParams", "dashboard-host"),
            "KubeRay cannot reach the dashboard of a RayJob",
            "the job is never submitted",
            "drop dashboard-host; the NetworkPolicy lets only KubeRay in",
        )
    if "spot" in str(pods.pod(head).get("nodeSelector", "")).lower():
        yield subject.found(
            "error",
            (*where, "template"),
            "the head is on a spot node",
            "when it is taken away, the cluster and the sweep end with it",
            "take another node",
        )


def _placed(subject: Subject, where: Where, pod: Mapping[str, Any]) -> Iterator[Finding]:
    """Names of labels and taints; a taint of GPU nodes that the pod must bear."""
    selected = mapping(pod.get("nodeSelector"))
    found = pod.get("tolerations")
    tolerated = [mapping(one) for one in found] if isinstance(found, list) else []
    names = [((*where, "nodeSelector", key), str(key)) for key in selected]
    names += [((*where, "tolerations", i), str(one.get("key", ""))) for i, one in enumerate(tolerated)]
    names += [
        ((*where, "affinity"), key) for key in re.findall(r"'key': '([^']+)'", str(pod.get("affinity", "")))
    ]
    for at, name in names:
        near = nearest(name, SELECTORS, shown=0)
        if (
            name not in SELECTORS
            and near
            and "/" in name
            and name.partition("/")[0] not in {one.partition("/")[0] for one in SELECTORS} | {"example.com"}
        ) or (name not in SELECTORS and _one_letter_off(name)):
            yield subject.found(
                "error",
                at,
                f"{name} is no label or taint of a machine",
                "no machine has it: pods wait for ever, or are put anywhere",
                f"correct it{near}",
            )
    gpus = pods.GPU in str(pod.get("containers", ""))
    borne = any(
        one.get("key") == pods.GPU or (not one.get("key") and one.get("operator") == "Exists")
        for one in tolerated
    )
    if gpus and not borne:
        yield subject.found(
            "warning",
            (*where, "tolerations"),
            f"the pod does not bear the taint {pods.GPU}",
            "machines with GPUs have it in most clusters: pods wait for ever",
            f"write tolerations: [{{key: {pods.GPU}, operator: Exists, effect: NoSchedule}}]",
        )
    for at, one in [((*where, "tolerations", i), one) for i, one in enumerate(tolerated)]:
        if one.get("operator") == "Exists" and one.get("value"):
            yield subject.found(
                "error",
                at,
                "operator Exists with a value",
                "Kubernetes refuses the pod",
                "drop value, or write Equal",
            )


def _one_letter_off(name: str) -> bool:
    """Whether it is a known name with one letter too much, too few or another."""
    return any(
        (abs(len(name) - len(one)) <= 1 and sum(a != b for a, b in zip(name, one, strict=False)) <= 1)
        or sorted(name) == sorted(one)
        for one in SELECTORS
    )


def _images(subject: Subject, images: Mapping[str, Where]) -> Iterator[Finding]:
    """Head and workers need the same Ray and Python; one image is the surest way."""
    bare = {re.sub(r"-(gpu|cu\d+|cpu)$", "", image.partition("@")[0]): at for image, at in images.items()}
    if len(bare) > 1:
        yield subject.found(
            "warning",
            list(bare.values())[-1],
            f"head and workers have different images: {', '.join(sorted(bare))}",
            "workers of another Ray or Python are refused by the head",
            "take one image for all",
        )
