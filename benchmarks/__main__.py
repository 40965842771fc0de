"""Runs benchmarks, each in a process of its own: `python -m benchmarks [NAME ...] [--write]`.

With `--write` each table replaces what stands between its markers in `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.table import busy, machine

NAMES = (
    *("trial_start", "training_loop", "unet_step", "data_path", "driver_cost", "scale", "resume"),
    *("results_store", "boosting", "suggest_cost", "plan", "certify"),
)
README = Path(__file__).with_name("README.md")


def run(name: str) -> str | None:
    """Run one benchmark, showing its output; its section of the README, None if it failed."""
    before = busy()
    return section(
        f"benchmarks.{name}",
        f"python -m benchmarks {name}",
        lambda: f"{machine()}; load {busy()} after and {before} before",
    )


def section(module: str, command: str, about: Callable[[], str]) -> str | None:
    """Run a module, showing its output; what stands in the documents of it, None if it failed.

    Args:
        module: that prints a table.
        command: what to type for it.
        about: the machine, asked afterwards.
    """
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    if process.wait():
        return None
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    what = f"`{command}`, {day}, {time.monotonic() - began:.0f} s, {about()}"
    return f"{what}\n\n{''.join(lines).strip()}\n"


def put(text: str, name: str, section: str, page: Path = README) -> str:
    """`text`, which is that of `page`, with the section between the markers of `name` replaced.

    Raises:
        ValueError: the markers are missing.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"{page} lacks the markers {begin.strip()} and {end} for the table of {name}.")
    head, _, rest = text.partition(begin)
    return head + begin + section + end + rest.partition(end)[2]


def main() -> int:
    """Run what is asked for; 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--write", action="store_true", help=f"put the tables into {README.name}")
    given = parser.parse_args()
    failed = False
    for name in given.names or NAMES:
        print(f"## {name}\n", flush=True)
        found = run(name)
        failed |= found is None
        if found is not None and given.write:
            README.write_text(put(README.read_text(), name, found))
        print(flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
