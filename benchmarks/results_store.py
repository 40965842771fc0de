"""What storing a sweep costs its driver: journal, tables and study, with nothing else running.

    python benchmarks/results_store.py [--trials 10000] [--reports 10] [--metrics 10] [--storage DIR]

Events go through `Journal.append` and `Tables.fold` as a driver does it. CPU is of the whole process, the
background threads included. For comparison: bare Ray Tune with its default loggers costs 19.6 ms a trial and
1.5 ms a result, of which the loggers are 9.6 ms and 0.75 ms (1,000 to 3,000 trials, reused actors, 2 cores).
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from sweeps.journal import Journal
from sweeps.results import Results
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import open_folder
from sweeps.store.tables import Tables

PARAMETERS = {f"p{i}": "double" for i in range(5)} | {"optimizer": "string"}
DISTRIBUTIONS: dict[str, BaseDistribution] = {f"p{i}": FloatDistribution(0, 1) for i in range(5)}
DISTRIBUTIONS["optimizer"] = CategoricalDistribution(["sgd", "adam"])
MANIFEST = Manifest(metric="m0", mode="min", parameters=PARAMETERS, trials=None)


def append_us(count: int, metrics: int) -> float:
    """Microseconds of the appending thread for one report in the journal alone."""
    values = {f"m{i}": v for i, v in enumerate(np.random.default_rng(0).random(metrics).tolist())}
    with tempfile.TemporaryDirectory() as where, Journal.open(where) as journal:
        began = time.perf_counter()
        for i in range(count):
            journal.append("reported", trial="00003", copies=0, iteration=i, metrics=values, decision="NOOP")
        return (time.perf_counter() - began) / count * 1e6


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sweep(where: Path, trials: int, reports: int, metrics: int) -> dict[str, float]:
    """One sweep of so many trials; times in ms, memory in KiB."""
    rng = np.random.default_rng(0)
    folder = open_folder(where / f"n{trials}")
    manifest = write_manifest(folder, MANIFEST)
    before = resident()
    reporting = ending = 0.0
    began, cpu = time.perf_counter(), time.process_time()
    with (
        Journal.open(folder) as journal,
        Tables(folder, manifest, distributions=DISTRIBUTIONS) as tables,
    ):

        def record(event: str, **fields: Any) -> None:
            tables.fold(journal.append(event, **fields))

        record("opened")
        for number in range(trials):
            trial, draws = f"{number:05d}", rng.random(5).tolist()
            start = time.thread_time()
            config = {f"p{i}": draw for i, draw in enumerate(draws)} | {"optimizer": "sgd"}
            record("suggested", trial=trial, config=config, memo=None)
            ending += time.thread_time() - start
            for i in range(reports):
                values = {f"m{j}": v for j, v in enumerate(rng.random(metrics).tolist())}
                start = time.thread_time()
                record("reported", trial=trial, copies=0, iteration=i + 1, metrics=values, decision="NOOP")
                reporting += time.thread_time() - start
            start = time.thread_time()
            record("ended", trial=trial, state="completed", reason=None)
            ending += time.thread_time() - start
        record("closed", why="finished")
    cpu = time.process_time() - cpu
    memory = resident() - before
    start = time.process_time()
    with (
        Journal.open(folder) as journal,
        Tables(folder, manifest, journal.events(), distributions=DISTRIBUTIONS),
    ):
        replay = time.process_time() - start
    assert len(Results(folder)) == trials
    assert Results(folder).metrics().num_rows == trials * reports
    return {
        "trials": trials,
        "a report, ms": reporting / trials / reports * 1e3,
        "a trial, ms": ending / trials * 1e3,
        "CPU a trial with its reports, ms": cpu / trials * 1e3,
        "RSS a trial, KiB": memory / trials / 1024,
        "replay a trial, ms": replay / trials * 1e3,
        "MiB on disk": sum(f.stat().st_size for f in Path(folder.path).rglob("*") if f.is_file()) / 2**20,
        "wall, s": time.perf_counter() - began,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--reports", type=int, default=10, help="of each trial")
    parser.add_argument("--metrics", type=int, default=10, help="in each report")
    arguments = parser.parse_args()
    us = append_us(20_000, arguments.metrics)
    print(f"Journal.append of a report of {arguments.metrics} metrics: {us:.1f} us\n")
    where = Path(tempfile.mkdtemp())
    try:
        sweep(where, 50, arguments.reports, arguments.metrics)  # warm: imports, first writes
        rows = [sweep(where, n, arguments.reports, arguments.metrics) for n in arguments.trials]
    finally:
        shutil.rmtree(where)
    names = list(rows[0])
    print("| " + " | ".join(names) + " |")
    print("|" + "---:|" * len(names))
    for row in rows:
        cells = [f"{row[name]:,.0f}" if name == "trials" else f"{row[name]:.3g}" for name in names]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
