"""What a trial costs the driver as a sweep grows: 1,000 and 10,000 empty trials, one report each.

Everything is stored. CPU is of the driver's process with all threads; memory is the growth of its resident
set up to its peak. Each size is a process of its own.

    python -m benchmarks.scale [--sizes 1000 10000]
"""

from __future__ import annotations

import argparse

from benchmarks.driver import apart
from benchmarks.table import markdown, verdict


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs=2, default=[1_000, 10_000], metavar=("SMALL", "LARGE"))
    given = parser.parse_args()
    found = []
    for trials in given.sizes:
        used = apart("starling", trials, 1)
        found.append((1e3 * used["cpu_s"] / trials, used["memory_kib"] / trials, used["wall_s"]))
    rows = [
        [f"{n:,}", f"{cpu:.2f}", f"{memory:.1f}", f"{wall:.0f}"]
        for n, (cpu, memory, wall) in zip(given.sizes, found, strict=True)
    ]
    print(markdown(["trials", "driver CPU a trial, ms", "memory a trial, KiB", "wall, s"], rows), end="\n\n")
    (cpu, memory, _), (more_cpu, more_memory, _) = found
    large, small = (f"{n:,}" for n in reversed(given.sizes))
    print(verdict(f"CPU a trial, {large} / {small} trials", more_cpu / cpu, 1.3, at_most=True))
    print(verdict(f"memory a trial, {large} / {small} trials", more_memory / memory, 1.3, at_most=True))


if __name__ == "__main__":
    main()
