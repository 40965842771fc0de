"""Commands of `starling run` and `starling resume` within other files: options, recipes, storage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cluster.nearest import nearest

NUMBERS = (
    "--trials",
    "--ranks",
    "--cpus-per-rank",
    "--gpus-per-rank",
    "--max-concurrent",
    "--max-iterations",
    "--max-cost",
    "--max-failures",
    "--retries",
    "--seed",
    "--extend",
)
"""Options that take a number."""
ROOT = Path(__file__).parents[2]
NAMES = (
    "--trainable --trials --search --scheduler --ranks --cpus-per-rank --gpus-per-rank --max-concurrent "
    "--max-iterations --time-budget --max-cost --max-failures --retries --storage --name --seed --warm-start "
    "--wandb --set --data --address --cluster --prices --quiet --json --extend --stop-on"
)
OPTIONS = tuple(NAMES.split())
"""Of `run` and `resume`; a test compares them with the commands' own."""
NODE_LOCAL = re.compile(
    r"^(/tmp|/var/tmp|/dev/shm|/scratch/local|/local|\$TMPDIR|\$\{TMPDIR\}|\$SLURM_TMPDIR)"
)
"""Folders that each machine has for itself."""


def largest_rank(command: str) -> dict[str, float]:
    """CPUs and GPUs that one rank asks for, where the command says so."""
    found = {}
    for option, name in (("--cpus-per-rank", "CPU"), ("--gpus-per-rank", "GPU")):
        numbers = [float(one) for one in re.findall(rf"{option}[= ](\d+(?:\.\d+)?)", command)]
        if numbers:
            found[name] = max(numbers)
    return found


def faults(command: str, on_nodes: bool = False) -> Iterator[tuple[str, str, str]]:
    """What is wrong, what follows, what to write; `on_nodes`: nothing there outlives a machine but URIs."""
    script = re.search(r"\b(?:bash|sh) -c '([^']*)'\s+(\S+)", command)
    if script:  # the first word after the script is its $0
        command = re.sub(r"\"?\$\{?0\}?", lambda _: script[2], script[1])
    for part in re.findall(r"starling (?:run|resume)\b([^;&|})\n]*)", command):
        for option in re.findall(r"(?:^|\s)(--[\w-]+)", part):
            if option not in OPTIONS:
                yield (
                    f"starling knows no option {option}",
                    "the sweep ends at once",
                    f"correct it{nearest(option, OPTIONS, shown=0)}",
                )
        for option, value in re.findall(r"(--[\w-]+)[= ]([^\s-]\S*)", part):
            if option in NUMBERS and not re.fullmatch(r"['\"]?(\d+(\.\d+)?|\$.*)['\"]?", value):
                yield f"{option} is {value}", "the sweep ends at once", "write a number"
        stored = re.search(r"--storage[= ](\S+)", part)
        folder = stored[1].strip("'\"") if stored else ""
        if NODE_LOCAL.match(folder) or (on_nodes and re.fullmatch(r"[\w./~-]+", folder)):
            yield (
                f"results go to {folder}, which one machine has for itself",
                "they are lost with it, and other nodes do not see its checkpoints",
                "write a bucket (s3://, gs://) or a folder that all nodes share",
            )
        if "--address" not in part and part.strip():
            yield (
                "the sweep is given no --address",
                "it starts a Ray of its own on one machine, and the nodes stay idle",
                "add --address auto",
            )
    for recipe in re.findall(r"sweeps/recipes/([\w.-]+\.(?:py|ya?ml))", command):
        folder = ROOT / "sweeps" / "recipes"
        if folder.is_dir() and not (folder / recipe).exists():
            known = [one.name for one in folder.iterdir()]
            yield (
                f"there is no recipe {recipe}",
                "the sweep ends at once",
                f"correct it{nearest(recipe, known, shown=0)}",
            )
