"""Driver CPU for each trial and each result: Starling, storing everything, beside plain Tune.

The same class trainable, which does nothing, with reused actors, two at a time, random search, no scheduler.
Starling writes its journal, both Parquet tables and the Optuna study; plain Tune writes what it does by
default: CSV, JSON and TensorBoard files for each trial and its snapshot of the experiment; a third contender
switches those loggers off and keeps no result at all. CPU is of the driver's process with all threads. Every
run is a process of its own; rounds alternate.

    python -m benchmarks.driver_cost [--trials 200] [--reports 10] [--rounds 2]
"""

from __future__ import annotations

import argparse
import statistics

from benchmarks.driver import CONTENDERS, apart
from benchmarks.table import markdown, spread, verdict


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--reports", type=int, default=10, help="of a trial, beside runs with one")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    per_trial: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    per_result: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    together: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(given.rounds):
        for name in CONTENDERS:
            one = 1e3 * apart(name, given.trials, 1)["cpu_s"] / given.trials
            many = 1e3 * apart(name, given.trials, given.reports)["cpu_s"] / given.trials
            result = (many - one) / (given.reports - 1)
            per_result[name].append(result)
            per_trial[name].append(one - result)
            together[name].append(many)
    header = ["driver", "a trial, ms", "a result, ms", f"a trial with {given.reports} results, ms"]
    rows = [
        [name, spread(per_trial[name]), spread(per_result[name]), spread(together[name])]
        for name in CONTENDERS
    ]
    print(markdown(header, rows), end="\n\n")
    middle = {name: statistics.median(values) for name, values in together.items()}
    what = f"a trial with {given.reports} results, Starling / Tune"
    print(verdict(f"{what} with its loggers", middle["starling"] / middle["tune"], 1.0, at_most=True))
    for kind, values in (("a trial alone", per_trial), ("a result alone", per_result)):
        ratio = statistics.median(values["starling"]) / statistics.median(values["tune"])
        print(verdict(f"{kind}, Starling / Tune with its loggers", ratio, 1.0, at_most=True))
    bare = middle["starling"] / middle["tune-without-loggers"]
    print(verdict(f"{what} without loggers", bare, 1.2, at_most=True))


if __name__ == "__main__":
    main()
