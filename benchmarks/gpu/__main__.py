"""Measures on a GPU, each part in a process of its own: `python -m benchmarks.gpu [NAME ...] [--write]`.

Exit codes: 0 all measured, or no CUDA device and so nothing measured, which is said; 1 one of them failed.
With `--write` each table replaces what stands between its markers in `docs/gpu.md`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.__main__ import put
from benchmarks.gpu import device
from benchmarks.table import busy, machine

NAMES = ("steps", "accuracy", "turnover", "memory", "nccl")
PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"


def run(name: str, about: str) -> str | None:
    """Run one of them, showing its output; its section of the page, None if it failed.

    Args:
        about: the device and the machine in words.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.gpu.{name}"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    if process.wait():
        return None
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    what = f"`python -m benchmarks.gpu {name}`, {day}, {time.monotonic() - began:.0f} s, {about}"
    return f"{what}\n\n{''.join(lines).strip()}\n"


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; see the module for exit codes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{PAGE.name}")
    given = parser.parse_args(arguments)
    about = f"{device.described(device.first())}; {machine()}; load {busy()} before"
    print(f"{about}\n", flush=True)
    failed = False
    for name in given.names or NAMES:
        print(f"## {name}\n", flush=True)
        section = run(name, about)
        failed |= section is None
        if section is not None and given.write:
            PAGE.write_text(put(PAGE.read_text(), name, section))
        print(flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
