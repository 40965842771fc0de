"""How many nodes there may be, how fast they come and when they go."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.cluster_file import Cluster
from cluster.lint.finding import Finding, Subject
from cluster.yaml_lines import Where

KINDS = ("launcher", "kuberay")

MANY = 20
"""Workers from which the pace of starting matters: at Ray's default pace these take minutes."""
HASTY_S, SLOW_S = 60, 3600
"""Idle time-outs: below the first nodes go between two trials, above the second they are paid for nothing."""


def check(subject: Subject) -> Iterator[Finding]:
    """Contradictions first, then what costs money or time."""
    cluster = subject.cluster
    if cluster is None:
        return
    kuberay = subject.kind == "kuberay"
    least, most = ("minReplicas", "maxReplicas") if kuberay else ("min_workers", "max_workers")
    for one in cluster.workers:
        at = () if cluster.provider == "local" else one.where
        for key, value in ((least, one.min_workers), (most, one.max_workers)):
            if value < 0:
                yield subject.found(
                    "error",
                    (*at, key),
                    f"{key} is {value}",
                    "a number of nodes cannot be negative",
                    "write 0 or more",
                )
        if 0 <= one.max_workers < one.min_workers:
            yield subject.found(
                "error",
                (*at, least),
                f"{least} {one.min_workers} is more than {most} {one.max_workers}",
                "the autoscaler cannot keep both",
                f"lower {least} or raise {most}",
            )
        if one.min_workers > 0 and cluster.provider != "local":
            yield subject.found(
                "warning",
                (*at, least),
                f"{one.name} never scales below {one.min_workers}",
                "these nodes are paid for while nothing runs",
                f"write {least}: 0",
            )
        yield from _idle(
            subject, (*at, "idleTimeoutSeconds" if kuberay else "idle_timeout_s"), one.idle_timeout_s
        )
    if not kuberay and cluster.provider != "local":
        yield from _sums(subject, cluster)
    yield from _types(subject, cluster)
    yield from _pace(subject, cluster)


def _sums(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    total = sum(one.max_workers for one in cluster.workers)
    least = sum(one.min_workers for one in cluster.workers)
    where: Where = ("max_workers",)
    if "max_workers" in subject.content and cluster.max_workers == 0:
        yield subject.found(
            "error", where, "max_workers is 0", "no worker is ever started", "write how many may run"
        )
    if least > cluster.max_workers:
        yield subject.found(
            "error",
            where,
            f"max_workers {cluster.max_workers} is less than the sum of all min_workers, {least}",
            "`ray up` refuses the file",
            "raise it, or lower min_workers of the node types",
        )
    if total < cluster.max_workers:
        yield subject.found(
            "warning",
            where,
            f"max_workers {cluster.max_workers} is more than all node types together allow, {total}",
            "the number says more than can ever run",
            f"write {total}, or raise max_workers of a node type",
        )
    if cluster.head.max_workers > 0:
        yield subject.found(
            "warning",
            (*cluster.head.where, "max_workers"),
            f"the head's node type may have {cluster.head.max_workers} workers too",
            "small trials may be given machines that were meant for the head",
            "write max_workers: 0 there",
        )


def _types(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    if cluster.workers and all(one.max_workers == 0 for one in cluster.workers):
        yield subject.found(
            "error",
            (*cluster.workers[0].where, "maxReplicas" if subject.kind == "kuberay" else "max_workers"),
            "no node type may have a worker",
            "no worker is ever started",
            "write how many may run",
        )


def _pace(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    if subject.kind == "kuberay":
        options: Where = (
            ("spec", "rayClusterSpec") if "rayClusterSpec" in subject.content["spec"] else ("spec",)
        )
        idle: Where = (*options, "autoscalerOptions", "idleTimeoutSeconds")
    else:
        idle = ("idle_timeout_minutes",)
        if cluster.upscaling_speed <= 0:
            yield subject.found(
                "error",
                ("upscaling_speed",),
                f"upscaling_speed is {cluster.upscaling_speed:g}",
                "it is a multiple of the nodes that run",
                "write a number above 0; 100 for hundreds of nodes",
            )
        elif cluster.upscaling_speed <= 1 and cluster.max_workers >= MANY and cluster.provider != "local":
            yield subject.found(
                "warning",
                ("upscaling_speed",),
                f"upscaling_speed is {cluster.upscaling_speed:g} for up to {cluster.max_workers} workers",
                "from nothing, the first nodes come one by one: 200 took half an hour in a simulation",
                "write 100; AUTOSCALER_MAX_CONCURRENT_LAUNCHES is what limits the pace then",
            )
    if idle not in subject.document.lines and cluster.provider != "local":
        yield subject.found(
            "warning",
            idle,
            f"{idle[-1]} is missing",
            "when nodes go is left to a default of Ray's",
            "write it: 5 minutes suit most sweeps",
        )
    elif idle in subject.document.lines:
        yield from _idle(subject, idle, cluster.idle_timeout_s)


def _idle(subject: Subject, where: Where, seconds: float | None) -> Iterator[Finding]:
    if seconds is None:
        return
    if seconds < 0:
        yield subject.found(
            "error", where, f"the idle time-out is {seconds:g} s", "it cannot be negative", "write 300 s"
        )
    elif seconds < HASTY_S:
        yield subject.found(
            "warning",
            where,
            f"the idle time-out is {seconds:g} s",
            "nodes go between two trials and are started anew, which takes minutes",
            "write at least a minute",
        )
    elif seconds > SLOW_S:
        yield subject.found(
            "warning",
            where,
            f"the idle time-out is {seconds / 60:g} minutes",
            "every node is paid for so long after its last trial",
            "write at most an hour; 5 minutes suit most sweeps",
        )
