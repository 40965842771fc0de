"""The commands that start Ray on the head and on workers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cluster.cluster_file import Cluster
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.limits import MANY

KINDS = ("launcher",)

HEAD, WORKER = "head_start_ray_commands", "worker_start_ray_commands"


def check(subject: Subject) -> Iterator[Finding]:
    """What must be on the line of `ray start`."""
    head, worker = _start(subject.content, HEAD), _start(subject.content, WORKER)
    if HEAD in subject.content:
        if head is None or "--head" not in head:
            yield subject.found(
                "error",
                (HEAD,),
                "no command there is `ray start --head`",
                "the head never runs Ray, and `ray up` fails after paying for it",
                "add it",
            )
        else:
            yield from _head(subject, head)
    if WORKER in subject.content:
        if worker is None:
            yield subject.found(
                "error",
                (WORKER,),
                "no command there is `ray start`",
                "workers are started and paid for, and never join",
                "add ray start --address=$RAY_HEAD_IP:6379",
            )
        elif "--address" not in worker or "RAY_HEAD_IP" not in worker:
            yield subject.found(
                "error",
                (WORKER,),
                "`ray start` is not told the head's address",
                "each worker becomes a cluster of its own, and is paid for",
                "add --address=$RAY_HEAD_IP:6379",
            )
    port = re.search(r"--port[= ](\d+)", head or "")
    used = re.search(r"RAY_HEAD_IP:(\d+)", worker or "")
    if used and used[1] != (port[1] if port else "6379"):
        yield subject.found(
            "error",
            (WORKER,),
            f"workers look for the head at port {used[1]}; it listens on another",
            "no worker ever joins",
            f"write --address=$RAY_HEAD_IP:{port[1] if port else 6379}",
        )


def _head(subject: Subject, command: str) -> Iterator[Finding]:
    if "--autoscaling-config" not in command:
        yield subject.found(
            "error",
            (HEAD,),
            "`ray start --head` has no --autoscaling-config",
            "no worker is ever started: the head does not know this file",
            "add --autoscaling-config=~/ray_bootstrap_config.yaml",
        )
    cluster = subject.cluster
    if cluster is not None and cluster.provider != "local":
        yield from _caps(subject, cluster)
    if cluster is not None and cluster.provider == "local":
        if "RAY_enable_autoscaler_v2=0" not in command:
            yield subject.found(
                "error",
                (HEAD,),
                "the head runs autoscaler v2 with provider local",
                "v2 counts the head as a worker, and one of your machines never joins (Ray 2.60)",
                "put RAY_enable_autoscaler_v2=0 before `ray start`",
            )
        if "--num-cpus=0" not in command:
            yield subject.found(
                "warning",
                (HEAD,),
                "the head offers its CPUs to trials",
                "trials there slow the driver and the autoscaler",
                "add --num-cpus=0 --num-gpus=0",
            )


def _caps(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    if cluster.max_workers >= MANY and cluster.launches < min(cluster.max_workers, 50):
        yield subject.found(
            "warning",
            (HEAD,),
            f"at most {cluster.launches} of {cluster.max_workers} nodes may be starting at a time",
            "Ray's default of 10 makes 200 nodes take minutes more; the head's environment says it",
            "put AUTOSCALER_MAX_CONCURRENT_LAUNCHES=100 before `ray start --head`",
        )


def _start(content: Any, key: str) -> str | None:
    """The command of a list that starts Ray."""
    commands = content.get(key)
    lines = [str(one) for one in commands] if isinstance(commands, list) else []
    return next((one for one in lines if re.search(r"\bray start\b", one)), None)
