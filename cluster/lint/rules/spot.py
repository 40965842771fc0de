"""Spot machines: what happens when there are none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.cluster_file import NodeType
from cluster.lint.finding import Finding, Subject

KINDS = ("launcher", "kuberay")


def check(subject: Subject) -> Iterator[Finding]:
    """A spot type needs a twin: the same resources, on demand, tried later, by a provider that can."""
    cluster = subject.cluster
    if cluster is None:
        return
    falls_back = (
        subject.kind == "kuberay" or (subject.content.get("provider") or {}).get("type") == "external"
    )
    for one in cluster.workers:
        if not one.spot or one.max_workers == 0:
            continue
        every = [other for other in cluster.workers if not other.spot and _covers(other, one)]
        twins = [other for other in every if other.max_workers > 0]
        if every and not twins:
            continue  # the user waits for spot rather than paying more
        if not twins:
            yield subject.found(
                "warning",
                one.where,
                f"{one.name} is a spot type without an on-demand twin",
                "while there is no spot capacity, the sweep stands still",
                "add a node type with the same resources that is not spot, with a lower priority",
            )
        elif all(other.priority >= one.priority for other in twins):
            yield subject.found(
                "warning",
                (*one.where, "priority"),
                f"priority is {one.priority}, that of its on-demand twin {twins[0].name} {twins[0].priority}",
                "the higher one is tried first: dearer machines are taken though spot may be had",
                f"give {one.name} the higher priority",
            )
    heard = "cluster.preemption" in str(subject.content.get("worker_start_ray_commands"))
    if subject.kind == "launcher" and any(one.spot for one in cluster.workers) and not heard:
        yield subject.found(
            "warning",
            ("worker_start_ray_commands",),
            "nobody listens for the notice that a spot node gets before it is taken away",
            "its trials lose what they did since their last checkpoint",
            f"start `python -m cluster.preemption {cluster.provider}` there",
        )
    head = str(subject.content.get("head_start_ray_commands"))
    if any(one.spot for one in cluster.workers) and "RAY_enable_autoscaler_v2=0" in head:
        yield subject.found(
            "error",
            ("head_start_ray_commands",),
            "the older autoscaler, with spot types",
            "it knows no priority: which twin is tried first is left to chance, and it never falls back",
            "drop RAY_enable_autoscaler_v2=0",
        )
    said = re.search(r"cluster\.preemption\s+([a-z]+)", str(subject.content.get("worker_start_ray_commands")))
    if said and said[1] != cluster.provider:
        yield subject.found(
            "error",
            ("worker_start_ray_commands",),
            f"the notice of {said[1]} is listened for on machines of {cluster.provider}",
            "it never comes: trials lose what they did since their last checkpoint",
            f"write python -m cluster.preemption {cluster.provider}",
        )
    if any(one.spot for one in cluster.workers) and not falls_back:
        yield subject.found(
            "warning",
            ("provider", "type"),
            f"Ray's own provider {cluster.provider} never falls back from spot to on-demand",
            "refused spot launches are repeated for ever and the twin is never tried (Ray 2.60)",
            f"write type: external with the module of cluster/providers/{cluster.provider}.py",
        )


def _covers(other: NodeType, one: NodeType) -> bool:
    return all(other.resources.get(name, 0) >= n for name, n in one.resources.items())
