"""How benchmarks print: Markdown tables, ratios with their goals, the state of the machine."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def verdict(what: str, ratio: float, goal: float, *, at_most: bool = False) -> str:
    """One line: the ratio, its goal, whether it is met."""
    met = ratio <= goal if at_most else ratio >= goal
    sign = "<=" if at_most else ">="
    return f"- {what}: **{ratio:.3g}** (goal {sign} {goal:g}: {'met' if met else '**missed**'})"


def spread(values: Sequence[float], unit: str = "") -> str:
    """Median, and in brackets least and largest, with their number."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.3g}{unit} ({least:.3g}-{most:.3g}, n={len(values)})"


def machine() -> str:
    """Cores, processor and versions."""
    from importlib.metadata import version

    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    kits = ", ".join(f"{name} {version(name)}" for name in ("ray", "torch"))
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, {kits}"


def busy() -> str:
    """Processes that wanted to run over the last minute and the last five: on a busy machine times are worth
    less."""
    return "{:.1f} ({:.1f})".format(*os.getloadavg()[:2])
