"""How large KubeRay's pods are: what Ray, its autoscaler and Kubernetes are told must be the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cluster import pods
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.kuberay import groups, ray_cluster
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("kuberay",)

OTHERS = ("ephemeral-storage", "hugepages-2Mi", "hugepages-1Gi")
SMALLEST, LEAST_HEAD, LEAST_AUTOSCALER = 2**30, 4 * 2**30, 2**29
"""Bytes of memory that Ray needs to start, that a head needs, and that KubeRay gives its autoscaler."""


def ray_groups(subject: Subject) -> Iterator[tuple[Where, Mapping[str, Any], bool]]:
    """Where each group of pods is, the group, and whether it is the head's."""
    at, spec = ray_cluster(subject)
    yield (*at, "headGroupSpec"), mapping(spec.get("headGroupSpec")), True
    for i, group in enumerate(groups(spec)):
        yield (*at, "workerGroupSpecs", i), group, False


def check(subject: Subject) -> Iterator[Finding]:
    """The autoscaler's container, the head's pod, then each group's."""
    yield from _autoscaler(subject)
    for where, group, head in ray_groups(subject):
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
            continue
        resources = mapping(first.get("resources"))
        limits, requests = _amounts(resources.get("limits")), _amounts(resources.get("requests"))
        yield from _limits(subject, (*at, "resources"), limits, requests, mapping(resources.get("limits")))
        if head and SMALLEST <= limits.get("memory", 0) < LEAST_HEAD:
            yield subject.found(
                "warning",
                (*at, "resources", "limits", "memory"),
                f"the head has {limits['memory'] / 2**30:.3g} GiB",
                "the driver, the search and the autoscaler run there: it is killed with a few nodes",
                "write 8Gi at least",
            )
        if not head:
            yield from _started(subject, where, mapping(group.get("rayStartParams")), limits)
            yield from _numbers(subject, where, group)


def _autoscaler(subject: Subject) -> Iterator[Finding]:
    at, spec = ray_cluster(subject)
    given = mapping(mapping(spec.get("autoscalerOptions")).get("resources"))
    memory = _amounts(given.get("limits")).get("memory")
    if memory is not None and memory < LEAST_AUTOSCALER:
        yield subject.found(
            "error",
            (*at, "autoscalerOptions", "resources", "limits", "memory"),
            f"the autoscaler has {memory / 2**20:.3g} MiB",
            "it is killed while it starts, again and again: no pod ever comes",
            "write 2Gi",
        )


def _amounts(given: Any) -> dict[str, float]:
    """What can be read; the rest is said by kuberay_model."""
    found = {}
    for name, amount in mapping(given).items():
        try:
            found[str(name)] = pods.quantity(amount)
        except ValueError:
            continue
    return found


def _limits(
    subject: Subject,
    at: Where,
    limits: dict[str, float],
    requests: dict[str, float],
    given: Mapping[str, Any],
) -> Iterator[Finding]:
    for name in ("cpu", "memory"):
        if name not in given:
            yield subject.found(
                "error",
                (*at, "limits"),
                f"no limit of {name}",
                f"the autoscaler cannot know how much {name} a pod has"
                if name == "cpu"
                else "a trial that grows takes down other pods of its machine",
                f"write limits: {{{name}: ...}}",
            )
    for side, amounts in (("requests", requests), ("limits", limits)):
        for name, amount in amounts.items():
            where = (*at, side, name)
            if (name not in ("cpu", "memory", *OTHERS) and "/" not in name) or re.match(
                r"nvidia\.com/(?!gpu$|mig-)", name
            ):
                yield subject.found(
                    "error",
                    where,
                    f"{name} is no resource of Kubernetes",
                    "no machine has it: the pod waits for ever",
                    f"write {pods.GPU} for GPUs, cpu and memory in small letters",
                )
            if name.startswith("nvidia.com/") and amount != int(amount):
                yield subject.found(
                    "error",
                    where,
                    f"{amount:g} GPUs",
                    "Kubernetes refuses the pod; parts of a GPU are given to trials by Ray",
                    "write a whole number",
                )
            if name == "memory" and 0 < amount < SMALLEST:
                yield subject.found(
                    "error", where, f"memory is {amount:g} bytes", "Ray does not start", "write a unit: 32Gi"
                )
            if name == "cpu" and amount > 512:
                yield subject.found(
                    "error",
                    where,
                    f"cpu is {amount:g}",
                    "no machine has so many",
                    "write cores, or thousandths as 500m",
                )
            if side == "requests" and amount > limits.get(name, amount):
                yield subject.found(
                    "error",
                    where,
                    f"the request of {name} is more than its limit",
                    "Kubernetes refuses the pod",
                    "write the same in both",
                )
            elif side == "requests" and name in ("cpu", "memory") and 0 < amount < 0.5 * limits.get(name, 0):
                yield subject.found(
                    "warning",
                    where,
                    f"the request of {name} is less than half of its limit",
                    "Ray counts on the limit: more pods share a machine than fit, and trials are killed",
                    "write the same in both",
                )
    if (pods.GPU in requests and limits.get(pods.GPU) != requests[pods.GPU]) or (
        pods.GPU in limits and requests.get(pods.GPU, limits[pods.GPU]) != limits[pods.GPU]
    ):
        yield subject.found(
            "error",
            at,
            "request and limit of GPUs differ",
            "Kubernetes refuses the pod",
            "write the same number in both",
        )


def _started(
    subject: Subject, where: Where, params: Mapping[str, Any], limits: dict[str, float]
) -> Iterator[Finding]:
    for key, name in (("num-cpus", "cpu"), ("num-gpus", pods.GPU)):
        text = str(params.get(key, ""))
        if re.fullmatch(r"\d+(\.\d+)?", text) and float(text) != limits.get(name, 0):
            yield subject.found(
                "error",
                (*where, "rayStartParams", key),
                f"{key} is {text}; the pod gets {limits.get(name, 0):g}",
                "Ray gives trials what is not there, or leaves what is",
                f"drop {key}: KubeRay takes the container's limit",
            )


def _numbers(subject: Subject, where: Where, group: Mapping[str, Any]) -> Iterator[Finding]:
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
    elif isinstance(now, int) and now > 0:
        yield subject.found(
            "warning",
            (*where, "replicas"),
            f"{now} pods are started before a trial asks for them",
            "they are paid for while nothing runs",
            "write replicas: 0, which the autoscaler raises",
        )
    if most == 0:
        yield subject.found(
            "error",
            (*where, "maxReplicas"),
            "maxReplicas is 0",
            "no pod of this group is ever started",
            "write how many",
        )
    if isinstance(group.get("numOfHosts"), int) and group["numOfHosts"] != 1:
        yield subject.found(
            "warning",
            (*where, "numOfHosts"),
            f"{group['numOfHosts']} pods come and go together",
            "a trial that needs one of them pays for all; numOfHosts is for TPUs",
            "drop it",
        )
