"""A cluster's life: `up`, `down` and `status`; `submit` is in its own file.

Before anything costs money the YAML is linted, what is about to start is said, and the user is asked.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable

from cluster import access_token, launcher, leftovers, lint
from cluster.cluster_file import Cluster, load

Print = Callable[[str], None]
JOINED_WITHIN_S = 300.0
COUNT = "import ray; ray.init('auto', log_to_driver=False); print(sum(one['Alive'] for one in ray.nodes()))"
NODES = shlex.join(["python", "-c", COUNT])
"""Counts them, the head included."""


def checked(path: str | os.PathLike[str]) -> Cluster:
    """A cluster's YAML, without mistakes; and its token is there, which `ray up` takes along.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: lint finds errors or values to fill in, or Ray's launcher has no part in such a cluster.
    """
    cluster = load(path)
    _refuse_kuberay(cluster)
    access_token.ensure()
    wrong = [one for one in lint.lint(path) if one.level in ("error", "edit")]
    if wrong:
        raise ValueError(f"nothing was started, because of {path}\n{lint.text(wrong, path)}")
    return cluster


def up(path: str | os.PathLike[str], *, yes: bool = False, say: Print = print) -> None:
    """Start a cluster, or bring a running one up to date, which restarts its Ray.

    Args:
        path: the cluster's YAML.
        yes: do not ask.
        say: what prints a line.

    Raises:
        ValueError: lint finds errors, or the user says no.
        LauncherError: `ray up` failed.
    """
    cluster = checked(path)
    say(starts(cluster))
    running = launcher.head_address(cluster)
    if running:
        say(f"{cluster.name} is up already; its Ray restarts, and sweeps that run must be resumed")
    agree(f"Start {cluster.name}?", yes)
    start(cluster, say)
    say(f"\nstarling cluster status {path}\nstarling cluster down {path}")


def start(cluster: Cluster, say: Print) -> None:
    """`ray up`, with nothing from the launcher's cache; of machines of one's own, until all have joined.

    Rented ones start when trials wait for them. Your own all start, and what a trial can use there is known
    only when they have joined.
    """
    launcher.show(cluster, "up", "--yes", "--no-config-cache")
    if cluster.provider != "local":
        return
    until = time.monotonic() + JOINED_WITHIN_S
    while (joined := int(launcher.answer(cluster, NODES).split()[-1]) - 1) < cluster.max_workers:
        if time.monotonic() > until:
            say(f"{joined} of {cluster.max_workers} workers have joined; what keeps the others is said by")
            say(f"ray exec {cluster.path} 'tail -n 50 /tmp/ray/session_latest/logs/monitor.log'")
            return
        time.sleep(2.0)
    say(f"all {joined} workers have joined")


def down(path: str | os.PathLike[str], *, yes: bool = False, say: Print = print) -> int:
    """Stop a cluster and look for what is left of it.

    Also a cluster whose YAML has mistakes can be stopped.

    Args:
        path: the cluster's YAML.
        yes: do not ask.
        say: what prints a line.

    Returns:
        How many leftovers cost money or hold machines.

    Raises:
        ValueError: the file cannot be read, or the user says no.
        LauncherError: `ray down` failed.
    """
    cluster = load(path)
    _refuse_kuberay(cluster)
    agree(f"Stop {cluster.name} and all its nodes? Results on its disks go with them.", yes)
    launcher.show(cluster, "down", "--yes")
    say(f"\nlooking for what {cluster.name} left behind")
    found = leftovers.audit(cluster)
    say(leftovers.text(found))
    return sum(one.urgent for one in found)


def status(path: str | os.PathLike[str], *, say: Print = print) -> None:
    """Nodes by type, pending, failed and idle; then the sweeps that run.

    Raises:
        ValueError: the file cannot be read, or its cluster is not up.
        LauncherError: the head was not reached.
    """
    cluster = load(path)
    _refuse_kuberay(cluster)
    need_up(cluster)
    say(launcher.answer(cluster, "ray status 2>&1; python -m cluster.sweeps_on_head 2>&1"))


def need_up(cluster: Cluster) -> None:
    """ValueError where the cluster is not up."""
    if launcher.head_address(cluster) is None:
        raise ValueError(f"{cluster.name} is not up; start it with `starling cluster up {cluster.path}`")


def starts(cluster: Cluster) -> str:
    """What `up` starts, in a sentence."""
    if cluster.provider == "local":
        return f"{cluster.name}: {1 + cluster.max_workers} machines of your own, all at once"
    types = ", ".join(
        f"{one.min_workers} to {one.max_workers} {one.name}" + (f" ({one.instance})" if one.instance else "")
        for one in cluster.workers
    )
    head = cluster.head.instance or cluster.head.name
    return (
        f"{cluster.name} on {cluster.provider}: head {head} at once; as sweeps ask for them {types}, "
        f"{cluster.max_workers} together at most; given back when idle for {cluster.idle_timeout_s:g} s"
    )


def agree(question: str, yes: bool) -> None:
    """ValueError unless the user agrees.

    Args:
        question: what is about to happen.
        yes: they did so already.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ValueError(f"{question}\nnobody is there to answer; say --yes")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise ValueError("nothing was done")


def _refuse_kuberay(cluster: Cluster) -> None:
    if cluster.provider == "kuberay":
        raise ValueError(
            f"{cluster.path} is for KubeRay: `kubectl apply -f {cluster.path}` starts it, "
            f"`kubectl get raycluster {cluster.name}` shows it, `kubectl delete -f {cluster.path}` removes it"
        )
