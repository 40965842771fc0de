"""The commands that start Ray on the head and on workers."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache

from cluster.cluster_file import Cluster
from cluster.lint import installed_ray
from cluster.lint.commands import commands, starts
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.limits import MANY
from cluster.nearest import nearest
from cluster.yaml_lines import Where

KINDS = ("launcher",)

HEAD, WORKER = "head_start_ray_commands", "worker_start_ray_commands"
BOOTSTRAP = "~/ray_bootstrap_config.yaml"
FILES = 10_000
"""Open files below which a head of hundreds of nodes, or a node of many workers, runs out."""
JSON = ("--resources", "--system-config")
LEAST_STORE = 78_643_200
"""Bytes of an object store that Ray accepts."""


def check(subject: Subject) -> Iterator[Finding]:
    """What must be on the line of `ray start`, and what must not."""
    head, worker = starts(subject.content, HEAD), starts(subject.content, WORKER)
    if HEAD in subject.content:
        if head is None or "--head" not in head[1]:
            yield subject.found(
                "error",
                (HEAD,),
                "no command there is `ray start --head`",
                "the head never runs Ray, and `ray up` fails after paying for it",
                "add it",
            )
        else:
            yield from _head(subject, *head)
    if WORKER in subject.content:
        yield from _worker(subject, worker)
    port = re.search(r"--port[= ](\d+)", head[1] if head else "")
    used = re.search(r"RAY_HEAD_IP:(\d+)", worker[1] if worker else "")
    if worker and used and used[1] != (port[1] if port else "6379"):
        yield subject.found(
            "error",
            worker[0],
            f"workers look for the head at port {used[1]}; it listens on another",
            "no worker ever joins",
            f"write --address=$RAY_HEAD_IP:{port[1] if port else 6379}",
        )
    for found in filter(None, (head, worker)):
        yield from _options(subject, *found)
        yield from _around(subject, *found)


@cache
def known_options() -> frozenset[str]:
    """Those of `ray start`, of the installed Ray."""
    source = installed_ray.text("scripts/scripts.py")
    end = source.index("\ndef start(")
    return frozenset(re.findall(r'"(--[a-z0-9-]+)"', source[source.rindex("@cli.command", 0, end) : end]))


def options(command: str) -> dict[str, str]:
    """Name to value of what follows `ray start`; empty where there is no value."""
    text = re.split(r"\bray start\b", command, maxsplit=1)[-1]
    text = re.split(r"[;&|>]|\s\)", text, maxsplit=1)[0]
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    found: dict[str, str] = {}
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            after = words[i + 1] if i + 1 < len(words) and not words[i + 1].startswith("--") else ""
            found[name] = value if equals else after
    return found


def _options(subject: Subject, where: Where, command: str) -> Iterator[Finding]:
    given = options(command)
    for name in given:
        if name not in known_options():
            yield subject.found(
                "error",
                where,
                f"`ray start` has no option {name}",
                "it refuses the line: no Ray on any such machine",
                f"correct or remove it{nearest(name, known_options(), shown=0)}",
            )
    for name in JSON:
        if name in given and not _is_json(given[name]):
            yield subject.found(
                "error",
                where,
                f"{name} is {given[name]}",
                "the shell takes away quotes that are not in quotes: Ray refuses the line",
                f"write {name}='{{\"NAME\": 1}}'",
            )
    if found := re.search(r"'[^'\"]*(\$\{?(?:RAY_HEAD_IP|HOME|USER)\b)[^'\"]*'", command):
        yield subject.found(
            "error",
            where,
            f"{found[0]} is taken as it stands",
            "the shell fills in no variable within single quotes",
            "drop the quotes, or write double ones",
        )
    if "--block" in given:
        yield subject.found(
            "error",
            where,
            "`ray start --block` does not return",
            "`ray up` waits for it for ever, and the node counts as not ready",
            "remove --block",
        )
    store = given.get("--object-store-memory", "")
    if store.isdigit() and int(store) < LEAST_STORE:
        yield subject.found(
            "error",
            where,
            f"an object store of {store} bytes",
            "Ray refuses less than 75 MiB; it is given in bytes",
            "write bytes, or drop it: Ray takes 30 % of the memory",
        )
    if given.get("--node-ip-address", "").startswith(("127.", "localhost")):
        yield subject.found(
            "error",
            where,
            "Ray is told that its machine is 127.0.0.1",
            "nobody else finds it there",
            "drop --node-ip-address",
        )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _around(subject: Subject, where: Where, command: str) -> Iterator[Finding]:
    """What stands before and beside it."""
    files = re.search(r"ulimit -n (\d+)", command)
    cluster = subject.cluster
    if files and int(files[1]) < FILES:
        yield subject.found(
            "warning",
            where,
            f"ulimit -n {files[1]}",
            "Ray needs a few files for each node and worker, and stops working without",
            "write ulimit -n 65536",
        )
    elif "ulimit -n" not in command and cluster is not None and cluster.max_workers >= MANY:
        yield subject.found(
            "warning",
            where,
            "no `ulimit -n` on the line of `ray start`",
            "with hundreds of nodes the head runs out of open files",
            "put ulimit -n 65536; before it, on its line",
        )
    before = [one for at, one in commands(subject.content, (str(where[0]),)) if at <= where]
    if not any(re.search(r"\bray stop\b", one) for one in before):
        yield subject.found(
            "warning",
            where,
            "no `ray stop` before `ray start`",
            "a second `ray up`, or a restart, finds the old Ray and fails",
            "put ray stop before it",
        )


def _worker(subject: Subject, found: tuple[Where, str] | None) -> Iterator[Finding]:
    if found is None:
        yield subject.found(
            "error",
            (WORKER,),
            "no command there is `ray start`",
            "workers are started and paid for, and never join",
            "add ray start --address=$RAY_HEAD_IP:6379",
        )
        return
    where, command = found
    given = options(command)
    if not re.search(r"\$\{?RAY_HEAD_IP\}?:\d+$", given.get("--address", "")) or "--head" in given:
        yield subject.found(
            "error",
            where,
            "`ray start` is not told the head's address and port"
            if "--head" not in given
            else "workers are started as heads",
            "each worker becomes a cluster of its own, and is paid for",
            "write --address=$RAY_HEAD_IP:6379, and no --head",
        )
    if "--autoscaling-config" in given:
        yield subject.found(
            "error",
            where,
            "--autoscaling-config on a worker",
            "Ray refuses it without --head",
            "remove it",
        )
    cluster = subject.cluster
    for option, name in (("--num-gpus", "GPU"), ("--num-cpus", "CPU")):
        claimed = {one.resources.get(name, 0) for one in cluster.workers} if cluster is not None else set()
        if (
            option in given
            and cluster is not None
            and cluster.provider != "local"
            and claimed != {_number(given[option])}
        ):
            yield subject.found(
                "error",
                where,
                f"{option}={given[option]}; node types say {' or '.join(f'{n:g}' for n in sorted(claimed))}",
                "the autoscaler counts on what the node types say, and trials meet what is said here",
                f"remove {option}: the node type's resources are enough",
            )


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


def _head(subject: Subject, where: Where, command: str) -> Iterator[Finding]:
    given = options(command)
    if given.get("--autoscaling-config") != BOOTSTRAP:
        yield subject.found(
            "error",
            where,
            f"--autoscaling-config is {given.get('--autoscaling-config', 'missing')}",
            "no worker is ever started: the head does not know this file, which `ray up` puts elsewhere",
            f"write --autoscaling-config={BOOTSTRAP}",
        )
    if "--address" in given:
        yield subject.found(
            "error",
            where,
            "the head is told an address to join",
            "Ray refuses both together",
            "remove --address",
        )
    cluster = subject.cluster
    if cluster is not None and cluster.provider != "local":
        yield from _caps(subject, where, cluster)
    local = cluster is not None and cluster.provider == "local"
    if local and "RAY_enable_autoscaler_v2=0" not in command:
        yield subject.found(
            "error",
            where,
            "the head runs autoscaler v2 with provider local",
            "v2 counts the head as a worker, and one of your machines never joins (Ray 2.60)",
            "put RAY_enable_autoscaler_v2=0 before `ray start`",
        )
    for option in ("--num-cpus", "--num-gpus"):
        if given.get(option, "0" if option == "--num-gpus" or not local else "all") != "0":
            yield subject.found(
                "warning",
                where,
                f"the head offers trials what is at {option}",
                "trials there slow the driver and the autoscaler",
                "write --num-cpus=0 --num-gpus=0",
            )


def _caps(subject: Subject, where: Where, cluster: Cluster) -> Iterator[Finding]:
    if cluster.max_workers >= MANY and cluster.launches < min(cluster.max_workers, 50):
        yield subject.found(
            "warning",
            where,
            f"at most {cluster.launches} of {cluster.max_workers} nodes may be starting at a time",
            "Ray's default of 10 makes 200 nodes take minutes more; the head's environment says it",
            "put AUTOSCALER_MAX_CONCURRENT_LAUNCHES=100 before `ray start --head`",
        )
