"""One driver process that runs many trivial trials, with Starling or with plain Tune, and says what it used.

    python -m benchmarks.driver starling|tune|tune-without-loggers TRIALS REPORTS [--at-once 2]

The last line of its output is JSON: driver CPU of this process and all its threads, in s; wall clock in s;
growth of its resident memory up to its peak, in KiB. Ray and a few trials run before, so that imports are not
counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ray import tune

from benchmarks.light import Reports
from benchmarks.own_ray import own_ray
from sweeps import Sweep

WARM = 30  # trials


def starling(where: Path, name: str, trials: int, reports: int, at_once: int) -> None:
    """Everything that a sweep stores: journal, tables, metrics, study."""
    Sweep(
        trainable="benchmarks.light:Light",
        space={"x": tune.uniform(0.0, 1.0)},
        fixed={"reports": reports},
        metric="loss",
        mode="min",
        trials=trials,
        max_concurrent=at_once,
        storage=str(where),
        name=name,
        quiet=True,
    ).run()


def plain_tune(where: Path, name: str, trials: int, reports: int, at_once: int) -> None:
    """Ray's defaults, with reused actors and nothing printed: its loggers (CSV, JSON, TensorBoard) and
    snapshots."""
    tune.Tuner(
        Reports,
        param_space={"x": tune.uniform(0.0, 1.0), "reports": reports},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=trials, max_concurrent_trials=at_once, reuse_actors=True
        ),
        run_config=tune.RunConfig(name=name, storage_path=str(where), verbose=0),
    ).fit()


def without_loggers(where: Path, name: str, trials: int, reports: int, at_once: int) -> None:
    """The same, but no result is written; snapshots are."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    plain_tune(where, name, trials, reports, at_once)


CONTENDERS: dict[str, Callable[[Path, str, int, int, int], None]] = {
    "starling": starling,
    "tune": plain_tune,
    "tune-without-loggers": without_loggers,
}


def memory_kib(kind: str) -> int:
    """Of this process: now (VmRSS), or at its peak so far (VmHWM)."""
    found = re.search(rf"^{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None  # Linux has both
    return int(found[1])


def measure(contender: str, trials: int, reports: int, at_once: int) -> dict[str, float]:
    """CPU, wall clock and memory of one sweep, after a short one."""
    where = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    run = CONTENDERS[contender]
    try:
        with own_ray(at_once):
            run(where, "warm", WARM, reports, at_once)
            gc.collect()
            before, cpu, wall = memory_kib("VmRSS"), time.process_time(), time.perf_counter()
            run(where, "measured", trials, reports, at_once)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            return {"cpu_s": cpu, "wall_s": wall, "memory_kib": memory_kib("VmHWM") - before}
    finally:
        shutil.rmtree(where, ignore_errors=True)


def apart(contender: str, trials: int, reports: int) -> dict[str, float]:
    """`measure` in a process of its own, with two trials at a time.

    Raises:
        subprocess.CalledProcessError: it failed; its output is shown.
    """
    command = [sys.executable, "-m", "benchmarks.driver", contender, str(trials), str(reports)]
    quiet = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_AIR_NEW_OUTPUT": "0"}
    done = subprocess.run(command, env=os.environ | quiet, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    done.check_returncode()
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("trials", type=int)
    parser.add_argument("reports", type=int)
    parser.add_argument("--at-once", type=int, default=2)
    given = parser.parse_args()
    found = measure(given.contender, given.trials, given.reports, given.at_once)
    sys.stdout.flush()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
