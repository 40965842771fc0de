"""One driver process of the resume tests: runs or resumes a small deterministic sweep, and may kill itself.

    python driver.py FOLDER CASE [ADDRESS] [--kill N before|after]

It dies by SIGKILL at its journal's N-th event, before the event is written or just after.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from ray import tune

from sweeps import Sweep
from sweeps.journal import Journal
from sweeps.run import restart, start

ITERATIONS = 9
SPACE = {"x": tune.uniform(-1.0, 1.0), "rate": tune.loguniform(0.1, 1.0)}
CASES = {
    "random": {"search": "random", "trials": 4, "max_iterations": 3},
    "tpe": {"search": "tpe:n_startup_trials=2", "trials": 6, "max_iterations": 2},
    "asha": {
        "search": "random",
        "scheduler": "asha:grace_period=1",
        "trials": 7,
        "max_iterations": ITERATIONS,
    },
    "pbt": {
        "search": "random",
        "scheduler": "pbt:perturbation_interval=2,quantile_fraction=0.5",
        "trials": 4,
        "max_iterations": 6,
    },
    "median": {"search": "sobol", "scheduler": "median", "trials": 6, "max_iterations": 4},
    "hyperband": {"search": "random", "scheduler": "hyperband", "trials": 6, "max_iterations": ITERATIONS},
    "bohb": {
        "search": "tpe:n_startup_trials=2",
        "scheduler": "bohb",
        "trials": 6,
        "max_iterations": ITERATIONS,
    },
    "pb2": {
        "search": "random",
        "scheduler": "pb2:perturbation_interval=2,quantile_fraction=0.5",
        "trials": 4,
        "max_iterations": 6,
    },
}


def train(config):
    """Descend from 2 towards |x| at a rate; continues from a checkpoint to the last bit."""
    value, step = 2.0, 0
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            value, step = json.loads(Path(folder, "state.json").read_text())
    while True:
        step += 1
        value = abs(config["x"]) + (value - abs(config["x"])) * (1 - 0.5 * config["rate"])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "state.json").write_text(json.dumps([value, step]))
            tune.report({"loss": value}, checkpoint=tune.Checkpoint.from_directory(folder))


def main():
    """Start or resume, then print why it ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--address")
    parser.add_argument("--kill", nargs=2, metavar=("N", "WHEN"))
    parser.add_argument("--extend", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.kill:
        _die_at(int(arguments.kill[0]), arguments.kill[1])
    if (arguments.folder / arguments.case / "spec.yaml").exists():
        outcome = restart(
            arguments.folder / arguments.case, extend=arguments.extend, address=arguments.address
        )
    else:
        sweep = Sweep(
            trainable=f"{Path(__file__).resolve()}:train",
            space=SPACE,
            metric="loss",
            mode="min",
            seed=3,
            cpus_per_rank=os.cpu_count(),  # one worker: the order of events is the same each time
            storage=str(arguments.folder),
            name=arguments.case,
            address=arguments.address,
            quiet=True,
            **CASES[arguments.case],
        )
        outcome = start(sweep)
    print(outcome.why)
    return outcome.exit_code


def _die_at(number, when):
    append, count = Journal.append, 0

    def counted(self, event, /, **fields):
        nonlocal count
        count += 1
        if count == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        written = append(self, event, **fields)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    Journal.append = counted


if __name__ == "__main__":
    sys.exit(main())
