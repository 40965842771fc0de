"""What kill -9 of the driver in mid-sweep costs: Starling's resume beside `Tuner.restore`.

The same ASHA sweep of the same light class trainable, a checkpoint after each report, two trials at a time.
The driver is killed once the trials have made half of the steps; then the sweep is resumed and runs to its
end. The trials write down each step themselves (`benchmarks.light.Witnessed`), so what was repeated or lost
does not rest on anybody's own account. Plain Tune is shown with its snapshots as often as by default, and
every half second. Steps are short, so that there is something to lose between two snapshots, as in a sweep
with many trials at a time.

- trials lost: begun before the kill, and not among the results in the end
- steps repeated: (trial, iteration) trained twice
- rows lost, rows doubled: reports made 5 s before the kill or earlier that the stored results lack; (trial,
  iteration) that they have twice
- rung entries: what ASHA knows at the end, of what it was told over both halves
- first new result: from the call of resume, Ray running, to the first step that was not made before

    python -m benchmarks.resume [--trials 60] [--repeats 1]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler

from benchmarks.light import Witnessed
from benchmarks.own_ray import own_ray
from benchmarks.table import markdown
from sweeps import Sweep
from sweeps import resume as resume_sweep
from sweeps.results import Results

MAX_T, STEP_S, SAFE_S = 9, 0.1, 5.0
ASHA: dict[str, Any] = {"max_t": MAX_T, "grace_period": 1, "reduction_factor": 3}
CONTENDERS: dict[str, dict[str, str]] = {
    "Starling": {},
    "Tune": {},
    "Tune, snapshots every 0.5 s": {"TUNE_GLOBAL_CHECKPOINT_S": "0.5"},
}
Step = tuple[float, int]
"""The trial, by its x, and the iteration."""


def drive(contender: str, where: Path, trials: int, again: bool) -> None:
    """One driver: begin the sweep, or go on with it; then say what ASHA knows."""
    fixed = {"reports": MAX_T, "step_s": STEP_S, "witness": str(where / "steps")}
    known = _watch_asha()
    with own_ray(2):
        began = time.time()
        if contender == "Starling":
            if again:
                resume_sweep(where / "sweep")
            else:
                _sweep(where, trials, fixed).run()
        elif again:
            tune.Tuner.restore(str(where / "sweep"), trainable=Witnessed).fit()
        else:
            _tuner(where, trials, fixed).fit()
    # A rung is (milestone, what each trial had there).
    rungs = sum(len(scores) for bracket in known[-1]._brackets for _, scores in bracket._rungs)
    print(json.dumps({"began": began, "rungs": rungs}))


def _sweep(where: Path, trials: int, fixed: dict[str, Any]) -> Sweep:
    return Sweep(
        trainable="benchmarks.light:Watched",
        space={"x": tune.uniform(0.0, 1.0)},
        fixed=fixed,
        metric="loss",
        mode="min",
        scheduler={"name": "asha", **ASHA},
        trials=trials,
        storage=str(where),
        name="sweep",
        quiet=True,
    )


def _tuner(where: Path, trials: int, fixed: dict[str, Any]) -> tune.Tuner:
    return tune.Tuner(
        Witnessed,
        param_space={"x": tune.uniform(0.0, 1.0), **fixed},
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            num_samples=trials,
            reuse_actors=True,
            scheduler=AsyncHyperBandScheduler(**ASHA),
        ),
        run_config=tune.RunConfig(
            name="sweep",
            storage_path=str(where),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=2),
        ),
    )


def _watch_asha() -> list[Any]:
    """The ASHA objects that trials are added to from now on."""
    known: list[Any] = []
    add = AsyncHyperBandScheduler.on_trial_add

    def noted(self: Any, controller: Any, trial: Any) -> None:
        known.append(self)
        add(self, controller, trial)

    watched: Any = AsyncHyperBandScheduler
    watched.on_trial_add = noted
    return known


def measure(contender: str, trials: int) -> dict[str, float]:
    """Begin, kill, resume; what that cost."""
    where = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    command = [
        sys.executable,
        "-m",
        "benchmarks.resume",
        "--trials",
        str(trials),
        "--drive",
        contender,
        str(where),
    ]
    quiet = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_AIR_NEW_OUTPUT": "0"}
    environment = os.environ | quiet | CONTENDERS[contender]
    try:
        with (where / "first.log").open("w") as log:
            driver = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            while len(steps := _steps(where)) < trials * 3 // 2:
                if driver.poll() is not None:
                    raise RuntimeError(f"it ended too early: {(where / 'first.log').read_text()[-2000:]}")
                time.sleep(0.05)
            driver.send_signal(signal.SIGKILL)
            driver.wait()
        killed = time.time()
        time.sleep(5)  # its trials notice
        before = _steps(where)
        done = subprocess.run([*command, "--again"], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the resume failed: {done.stderr[-2000:]}")
        said = json.loads(done.stdout.splitlines()[-1])
        steps = _steps(where)
        after = steps[len(before) :]
        seen = {step for step, _ in before}
        rows = _stored(where, contender)
        owed = {step for step, t in before if t < killed - SAFE_S}
        reached = {step for step, _ in steps if step[1] in (1, 3, 9)}
        return {
            "trials lost": len({x for x, _ in seen} - {x for x, _ in rows}),
            "trials in all": len({x for x, _ in rows}),
            "steps before": len(seen),
            "steps repeated": sum(count - 1 for count in Counter(step for step, _ in steps).values()),
            "rows lost": len(owed - rows.keys()),
            "rows doubled": sum(count - 1 for count in rows.values()),
            "rung entries kept": said["rungs"],
            "of": len(reached),
            "first new result, s": min(t for step, t in after if step not in seen) - said["began"],
        }
    finally:
        shutil.rmtree(where, ignore_errors=True)


def _steps(where: Path) -> list[tuple[Step, float]]:
    """What the trials wrote down: step and time."""
    file = where / "steps"
    lines = file.read_text().splitlines() if file.exists() else []
    return [((float(x), int(i)), float(t)) for x, i, t, _ in (line.split() for line in lines)]


def _stored(where: Path, contender: str) -> Counter[Step]:
    """Rows of the results in the end."""
    if contender == "Starling":
        results = Results(where / "sweep")
        x = {trial.id: trial.config["x"] for trial in results.trials}
        table = results.metrics()
        pairs = zip(table["trial"].to_pylist(), table["iteration"].to_pylist(), strict=True)
        return Counter((x[trial], iteration) for trial, iteration in pairs)
    found: Counter[Step] = Counter()
    for file in (where / "sweep").glob("*/result.json"):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            found[row["config"]["x"], row["training_iteration"]] += 1
    return found


def main() -> None:
    """Measure and print; or be one driver (`--drive`)."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--drive", nargs=2, metavar=("CONTENDER", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        drive(given.drive[0], Path(given.drive[1]), given.trials, given.again)
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(given.repeats):
        for name in CONTENDERS:
            found[name].append(measure(name, given.trials))
    names = [name for name in found["Starling"][0] if name != "of"]
    rows = []
    for name, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        cells = [f"{middle[key]:.3g}" for key in names]
        cells[names.index("rung entries kept")] += f" of {middle['of']:.3g}"
        rows.append([name, *cells])
    print(markdown(["driver", *names], rows), end="\n\n")
    print(
        f"Medians of {given.repeats} kills each, {given.trials} trials, at most {MAX_T} steps of {STEP_S} s."
    )


if __name__ == "__main__":
    main()
