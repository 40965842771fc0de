"""The `#SBATCH` lines of a batch script: spelt right, in their place, and of one mind."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.lint.batch_script import Directive, directives
from cluster.lint.finding import Finding, Level, Subject
from cluster.nearest import nearest

KINDS = ("slurm",)

WANTED: dict[tuple[str, ...], tuple[Level, str]] = {
    ("nodes",): ("error", "Slurm gives one node"),
    ("time",): ("error", "the site's default ends the job, often after an hour"),
    ("gpus-per-node", "gres", "gpus", "gpus-per-task"): (
        "error",
        "the nodes come without their GPUs, on most sites",
    ),
    ("ntasks-per-node",): ("error", "Slurm may start several Rays on a node"),
    ("cpus-per-task", "cpus-per-gpu"): ("error", "each node's Ray gets a single CPU"),
    ("exclusive",): (
        "warning",
        "ports and shared memory of Ray collide with those of other jobs on the node",
    ),
    ("mem", "mem-per-cpu", "mem-per-gpu"): (
        "warning",
        "the site's default is a few GB for each CPU, and Ray is killed when it takes more",
    ),
    ("requeue",): ("warning", "a job that is preempted, or loses a node, does not go on"),
}
"""Directives, by any of their names: level, and what follows where all are missing."""
NAMES = (
    "account array begin chdir clusters comment constraint contiguous core-spec cpu-freq "
    "cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error exclude exclusive "
    "export export-file extra-node-info get-user-env gpu-bind gpu-freq gpus gpus-per-node "
    "gpus-per-socket gpus-per-task gres gres-flags hint hold ignore-pbs input job-name "
    "kill-on-invalid-dep licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu "
    "mincpus network nice no-kill no-requeue nodefile nodelist nodes ntasks ntasks-per-core "
    "ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output overcommit oversubscribe "
    "parsable partition power prefer priority profile propagate qos quiet reboot requeue reservation "
    "signal sockets-per-node spread-job switches threads-per-core time time-min tmp tres-per-task "
    "use-min-nodes verbose wait wait-all-nodes wckey wrap"
)
KNOWN = NAMES.split()
"""Long options of sbatch."""
MAIL = "NONE BEGIN END FAIL REQUEUE ALL TIME_LIMIT TIME_LIMIT_90 TIME_LIMIT_80 TIME_LIMIT_50 INVALID_DEPEND"
TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
GPUS = ("gpus-per-node", "gres", "gpus", "gpus-per-task")
AGAINST: dict[str, tuple[Level, str, str]] = {
    "array": ("error", "several jobs write into one sweep at once", "drop it: the sweep has its trials"),
    "no-requeue": ("warning", "a job that is preempted, or loses a node, does not go on", "write --requeue"),
    "hold": ("warning", "the job waits until somebody releases it", "drop it"),
    "oversubscribe": ("warning", "other jobs share the node, its ports and its memory", "write --exclusive"),
    "overcommit": ("warning", "more runs on a CPU than it can do", "drop it"),
    "wrap": ("error", "sbatch refuses it in a script", "drop it"),
    "reboot": ("warning", "every start costs the time of a restart", "drop it"),
}
"""Directives that do not go with a sweep."""


def check(subject: Subject) -> Iterator[Finding]:
    """Spelling and place, what is missing, then values."""
    for number, line in enumerate(subject.text.splitlines(), 1):
        if re.match(r"\s*#+\s*SBATCH\s*-|#+\s*sbatch\s*-", line) and not re.match(r"#SBATCH\s", line):
            yield subject.found_in_line(
                "error",
                number,
                "this is no directive to Slurm",
                "it is a comment",
                "write #SBATCH and a space",
            )
    given: dict[str, Directive] = {}
    for one in directives(subject.text):
        yield from _one(subject, one, given)
        if not one.late:
            given[one.name] = one
    for names, (level, why) in WANTED.items():
        if not any(name in given for name in names) and not (names == ("requeue",) and "no-requeue" in given):
            yield subject.found_in_line(
                level, 1, f"#SBATCH --{names[0]} is missing", why, f"write --{names[0]}"
            )
    yield from _agreement(subject, given)


def _one(subject: Subject, one: Directive, given: dict[str, Directive]) -> Iterator[Finding]:
    def at(level: Level, what: str, why: str, fix: str) -> Finding:
        return subject.found_in_line(level, one.line, what, why, fix)

    if one.late:
        yield at(
            "error",
            "a directive after the first command",
            "Slurm ignores it without a word",
            "move it to the top",
        )
    if one.name not in KNOWN:
        near = nearest(one.name, KNOWN, shown=0)
        yield at("error", f"Slurm knows no --{one.name}", "sbatch refuses the script", f"correct it{near}")
    if one.name in AGAINST:
        yield at(AGAINST[one.name][0], f"--{one.name}", *AGAINST[one.name][1:])
    if one.name in given:
        yield at(
            "warning",
            f"--{one.name} is there twice",
            "Slurm takes one of them without a word",
            "keep one of the two",
        )
    if one.name == "ntasks-per-node" and one.value != "1":
        yield at(
            "error",
            f"{one.value} tasks a node",
            "each starts a Ray on the same ports",
            "write --ntasks-per-node=1: Ray starts the ranks itself",
        )
    if one.name == "time":
        yield from _time(subject, one)
    if one.name in ("mem", "mem-per-cpu", "mem-per-gpu"):
        amount = re.fullmatch(r"(\d+)([KMGTkmgt]?)B?", one.value)
        small = (
            amount
            and amount[2].lower() in ("", "m", "k")
            and 0 < int(amount[1]) < (2_000 if one.name == "mem" else 100)
        )
        if amount is None or small:
            yield at(
                "error",
                f"--{one.name}={one.value}",
                "a number alone is MB: Ray is killed at once" if small else "sbatch refuses it",
                "write a unit, as 64G, or --mem=0 for all of the node",
            )
    if one.name in ("nodes", "cpus-per-task", "gpus", "ntasks", "gpus-per-task") and not re.match(
        r"[1-9]|\w+:\d", one.value
    ):
        yield at(
            "error",
            f"--{one.name}={one.value}",
            "sbatch refuses it, or gives nothing",
            "write a number above 0",
        )
    if one.name == "export" and re.match(r"NONE|NIL", one.value):
        yield at(
            "error",
            f"--export={one.value}",
            "`srun` hands Ray none of the variables that the script sets, its token among them",
            "drop it",
        )
    if one.name in ("output", "error") and re.match(r"(/tmp|/var/tmp|/dev/shm|/scratch/local)/", one.value):
        yield at(
            "warning",
            f"--{one.name}={one.value}",
            "the log stays on the first node",
            "write a folder that all nodes share",
        )
    if one.name == "cpus-per-task" and one.value.isdigit() and int(one.value) > 512:
        yield at(
            "error",
            f"--cpus-per-task={one.value}",
            "no node has so many: the job waits for ever",
            "write a node's CPUs",
        )
    if one.name == "open-mode" and one.value != "append":
        yield at(
            "warning",
            f"--open-mode={one.value}",
            "a requeued job deletes its log",
            "write --open-mode=append",
        )
    if one.name == "mail-type" and (odd := set(one.value.upper().split(",")) - set(MAIL.split())):
        yield at(
            "error", f"--mail-type={', '.join(sorted(odd))}", "sbatch refuses it", f"write some of {MAIL}"
        )
    if one.name == "gres" and not re.match(r"gpu(:|$)", one.value):
        yield at(
            "warning",
            f"--gres={one.value} has no GPU",
            "the nodes come without their GPUs",
            "write --gpus-per-node",
        )


def _time(subject: Subject, one: Directive) -> Iterator[Finding]:
    found = TIME.fullmatch(one.value)
    if found is None:
        yield subject.found_in_line(
            "error",
            one.line,
            f"--time={one.value}",
            "sbatch refuses it",
            "write hours:minutes:seconds, or days-hours: 24:00:00, 2-00",
        )
        return
    days, first, second, _ = (int(part) if part else 0 for part in found.groups())
    if found[1]:
        minutes = days * 1440 + first * 60 + second
    elif found[4]:
        minutes = first * 60 + second
    else:
        minutes = first
    if minutes < 60:
        yield subject.found_in_line(
            "warning",
            one.line,
            f"--time={one.value} is {minutes} minutes",
            "the sweep is ended before it has begun; a number alone is minutes",
            "write 24:00:00 for a day",
        )


def _agreement(subject: Subject, given: dict[str, Directive]) -> Iterator[Finding]:
    def number(name: str) -> int | None:
        found = re.search(r"(\d+)$", given[name].value) if name in given else None
        return int(found[1]) if found else None

    nodes, tasks = number("nodes"), number("ntasks")
    if nodes is not None and tasks is not None and tasks != nodes:
        yield subject.found_in_line(
            "error",
            given["ntasks"].line,
            f"{tasks} tasks on {nodes} nodes",
            "Ray starts on some nodes alone, or several times on one",
            "write --ntasks-per-node=1 instead",
        )
    per_node = {name: number(name) for name in GPUS if name in given}
    total = per_node.pop("gpus", None)
    said = {count for count in per_node.values() if count is not None}
    if total is not None and nodes and (said or total < nodes):
        said.add(total // nodes)
    if len(said) > 1 or 0 in said:
        last = max(given[name].line for name in GPUS if name in given)
        yield subject.found_in_line(
            "error",
            last,
            f"GPUs a node: {', '.join(map(str, sorted(said)))}",
            "Slurm refuses the job, or gives one of them without a word",
            "say it once, by --gpus-per-node",
        )
    cpus = number("cpus-per-task")
    gpus = max(said, default=0)
    if cpus is not None and cpus < max(gpus, 2):
        yield subject.found_in_line(
            "error",
            given["cpus-per-task"].line,
            f"{cpus} CPUs for {gpus} GPUs",
            "each rank needs a CPU: trials wait for ever",
            "write the CPUs of the node",
        )
    for one, other in (("mem", "mem-per-cpu"), ("cpus-per-task", "cpus-per-gpu"), ("requeue", "no-requeue")):
        if one in given and other in given:
            yield subject.found_in_line(
                "error",
                given[other].line,
                f"--{one} and --{other}",
                "they exclude each other",
                "keep one of the two",
            )
