"""A Slurm batch script, read: its directives by their long names, and its code without comments."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONG = {
    "A": "account",
    "C": "constraint",
    "D": "chdir",
    "G": "gpus",
    "H": "hold",
    "J": "job-name",
    "L": "licenses",
    "M": "clusters",
    "N": "nodes",
    "a": "array",
    "b": "begin",
    "c": "cpus-per-task",
    "d": "dependency",
    "e": "error",
    "k": "no-kill",
    "n": "ntasks",
    "o": "output",
    "p": "partition",
    "q": "qos",
    "s": "oversubscribe",
    "t": "time",
    "w": "nodelist",
    "x": "exclude",
}
"""Short options of sbatch and srun."""
OPTION = re.compile(r"(?:^|\s)(?:--([\w-]+)|-([A-Za-z]))(?:[= ]*([^\s#-][^\s#]*))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Directive:
    """One option of one `#SBATCH` line."""

    line: int
    name: str
    value: str
    late: bool
    """After the first command, where Slurm does not look."""


def directives(text: str) -> list[Directive]:
    """All of them, in order."""
    found = []
    begun = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#SBATCH"):
            rest = re.sub(r"\s#.*", "", line.removeprefix("#SBATCH"))
            for option in OPTION.finditer(rest):
                name = option[1] or LONG.get(option[2], option[2])
                found.append(Directive(line=number, name=name, value=option[3] or "", late=begun))
        begun = begun or bool(line.strip() and not line.startswith("#"))
    return found


def code(text: str) -> str:
    """Its commands, with as many lines as it has: comments are empty ones."""
    return "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines())


def variables(text: str) -> dict[str, str]:
    """Name to value of what it sets itself, as it is written; of arrays, the words between the brackets."""
    found = {}
    for name, array, plain in re.findall(
        r"(?:^|[\s;])(?:export\s+)?([A-Za-z_]\w*)=(?:\(((?!\()[^)]*)\)|(\"[^\"]*\"|'[^']*'|\$\(\(.*?\)\)|[^\s;]*))",
        code(text),
    ):
        found[name] = array or plain.strip("\"'")
    return found


def filled(text: str, values: dict[str, str]) -> str:
    """A text with what the script sets put in place of its variables."""
    for _ in range(3):  # values name further variables
        text = re.sub(
            r"\$\{(\w+)(?:\[@\])?\}|\$(\w+)", lambda found: values.get(found[1] or found[2], found[0]), text
        )
    return text
