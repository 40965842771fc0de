"""Measures on a GPU, each part in a process of its own: `python -m benchmarks.gpu [NAME ...] [--write]`.

Exit codes: 0 all measured, or no CUDA device and so nothing measured, which is said; 1 one of them failed.
With `--write` each table replaces what stands between its markers in `docs/gpu.md`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.__main__ import put, section
from benchmarks.gpu import device
from benchmarks.table import busy, machine

NAMES = ("steps", "accuracy", "turnover", "memory", "nccl")
PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"


def run(name: str, about: str) -> str | None:
    """Run one of them, showing its output; its section of the page, None if it failed.

    Args:
        about: the device and the machine in words.
    """
    return section(f"benchmarks.gpu.{name}", f"python -m benchmarks.gpu {name}", lambda: about)


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
        found = run(name, about)
        failed |= found is None
        if found is not None and given.write:
            PAGE.write_text(put(PAGE.read_text(), name, found, PAGE))
        print(flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
