"""A Slurm batch script that runs a sweep through `ray symmetric-run`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest

KINDS = ("slurm",)

WANTED = {
    ("nodes", "N"): "Slurm gives one node",
    ("time", "t"): "the site's default ends the job, often after an hour",
    ("gpus-per-node", "gres", "gpus", "G"): "the nodes come without their GPUs, on most sites",
    ("exclusive", "mem"): "Ray counts memory that belongs to other jobs of the node, and is killed for it",
    ("ntasks-per-node",): "Slurm may start several Rays on a node",
}
"""Directives, by any of their names: what follows where all are missing."""
KNOWN = (
    "account",
    "array",
    "begin",
    "chdir",
    "clusters",
    "comment",
    "constraint",
    "cpus-per-gpu",
    "cpus-per-task",
    "dependency",
    "deadline",
    "error",
    "exclude",
    "exclusive",
    "export",
    "gpu-bind",
    "gpus",
    "gpus-per-node",
    "gpus-per-task",
    "gres",
    "hint",
    "hold",
    "job-name",
    "kill-on-invalid-dep",
    "licenses",
    "mail-type",
    "mail-user",
    "mem",
    "mem-per-cpu",
    "mem-per-gpu",
    "nice",
    "no-requeue",
    "nodelist",
    "nodes",
    "ntasks",
    "ntasks-per-gpu",
    "ntasks-per-node",
    "open-mode",
    "output",
    "partition",
    "priority",
    "qos",
    "quiet",
    "requeue",
    "reservation",
    "signal",
    "switches",
    "time",
    "time-min",
    "tmp",
    "wckey",
)
DIRECTIVE = re.compile(r"#SBATCH\s+(?:--([\w-]+)|-(\w))(?:[= ]+([^\s#]+))?")


def check(subject: Subject) -> Iterator[Finding]:
    """The header first, then the command."""
    given: dict[str, str] = {}
    begun = False
    for number, line in enumerate(subject.text.splitlines(), 1):
        found = DIRECTIVE.match(line)
        if line.startswith("#SBATCH") and begun:
            yield subject.found_in_line(
                "error",
                number,
                "a directive after the first command",
                "Slurm ignores it without a word",
                "move it to the top",
            )
        elif found:
            name = found[1] or found[2]
            given[name] = found[3] or ""
            if found[1] and name not in KNOWN:
                yield subject.found_in_line(
                    "error",
                    number,
                    f"Slurm knows no --{name}",
                    "sbatch refuses the script",
                    f"correct it{nearest(name, KNOWN, shown=0)}",
                )
            if name == "ntasks-per-node" and found[3] != "1":
                yield subject.found_in_line(
                    "error",
                    number,
                    f"{found[3]} tasks a node",
                    "each starts a Ray on the same ports",
                    "write --ntasks-per-node=1: Ray starts the ranks itself",
                )
        begun = begun or bool(line.strip() and not line.startswith("#"))
    for names, why in WANTED.items():
        if not any(name in given for name in names):
            yield subject.found_in_line(
                "error", 1, f"#SBATCH --{names[0]} is missing", why, f"write --{names[0]}=..."
            )
    yield from _command(subject, given)


def _command(subject: Subject, given: dict[str, str]) -> Iterator[Finding]:
    code = "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in subject.text.splitlines())
    joined = code.replace("\\\n", " ")
    found = re.search(r"^.*\bray symmetric-run\b.*$", joined, re.MULTILINE)
    if found is None:
        yield subject.found_in_line(
            "error",
            1,
            "there is no `ray symmetric-run`",
            "Ray runs on no node, or on one alone",
            "write srun ray symmetric-run --address HEAD:PORT --min-nodes N -- starling run ...",
        )
        return
    command = found[0]
    number = 1 + next(
        i
        for i, line in enumerate(subject.text.splitlines())
        if "ray symmetric-run" in line and not line.startswith("#")
    )
    nodes = given.get("nodes", given.get("N", "1"))
    if "srun" not in command and nodes != "1":
        yield subject.found_in_line(
            "error",
            number,
            "`ray symmetric-run` without srun",
            "it runs on the first node alone, and waits for the others in vain",
            "put srun before it",
        )
    if not re.search(r"\s--\s", command):
        yield subject.found_in_line(
            "error",
            number,
            "no `--` before the sweep's command",
            "ray refuses the line",
            "write it between Ray's options and `starling run`",
        )
    for option in re.findall(r"--(?:head|port|block|node-ip-address)\b", command.partition(" -- ")[0]):
        yield subject.found_in_line(
            "error",
            number,
            f"`ray symmetric-run` takes no {option}",
            "ray refuses the line",
            "remove it: the head is the node of --address, which has the port too",
        )
    if "--min-nodes" not in command and nodes != "1":
        yield subject.found_in_line(
            "error",
            number,
            "no --min-nodes",
            "the sweep starts when the first node is there, and sees the others late or never",
            'add --min-nodes "$SLURM_JOB_NUM_NODES"',
        )
    if re.search(r"--dashboard-host[= ]0\.0\.0\.0", command):
        yield subject.found_in_line(
            "error",
            number,
            "the dashboard on 0.0.0.0",
            "who reaches port 8265 runs what he likes as you",
            "write --dashboard-host=127.0.0.1",
        )
    if "RAY_AUTH_MODE=token" not in code:
        yield subject.found_in_line(
            "error",
            number,
            "Ray asks for no token",
            "every user of the site's network runs code as you (CVE-2023-48022)",
            "export RAY_AUTH_MODE=token before it",
        )
