"""Sweeps written through the real store, from a few words, on a clock of their own."""

import math
import shutil
import time
from types import SimpleNamespace

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from sweeps import journal as journals
from sweeps import report
from sweeps.journal import Journal
from sweeps.report import browser
from sweeps.results import Results
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import open_folder
from sweeps.store.tables import Tables

BEGIN = 1_790_000_000.0


class Stored:
    """A sweep that is being written: `event` appends at the clock's time, `at` moves the clock."""

    def __init__(
        self, path, *, metric="loss", mode="min", parameters=None, distributions=None, rest=None, **facts
    ):
        self.path = path
        self.names = [metric] if isinstance(metric, str) else metric
        manifest = Manifest(
            metric=metric, mode=mode, parameters=parameters or {"lr": "double"}, rest=rest or {}, **facts
        )
        folder = open_folder(path)
        self.manifest = write_manifest(folder, manifest, "/")
        self.now = BEGIN
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(journals, "time", SimpleNamespace(time=lambda: self.now, monotonic=time.monotonic))
        self.journal = Journal.open(folder)
        self.tables = Tables(folder, self.manifest, self.journal.events(), distributions=distributions)
        self.count = 0

    def at(self, seconds):
        self.now = BEGIN + seconds
        return self

    def event(self, kind, **fields):
        self.tables.fold(self.journal.append(kind, **fields))
        return self

    def report(self, trial, iteration, value, **fields):
        values = value if isinstance(value, tuple) else (value,)
        metrics = dict(zip(self.names, values, strict=True)) | fields.pop("metrics", {})
        known = {"copies": 0, "decision": "CONTINUE"} | fields
        return self.event("reported", trial=trial, iteration=iteration, metrics=metrics, **known)

    def trial(self, config, values, state="completed", reason=None, **fields):
        """A whole trial: its configuration, what it reported, how it ended."""
        name = f"{self.count:05d}"
        self.count += 1
        self.event("suggested", trial=name, config=config, memo=None)
        for step, value in enumerate(values, start=1):
            self.report(name, step, value, **fields)
        if state in ("completed", "stopped", "failed"):
            self.event("ended", trial=name, state=state, reason=reason)
        return self

    def results(self, why="finished"):
        """Close it (None: leave it as a killed driver does) and read it."""
        if why:
            self.event("closed", why=why)
        self.close()
        return Results(self.path)

    def close(self):
        self.tables.close()
        self.journal.close()
        self.patch.undo()


@pytest.fixture
def stored(tmp_path):
    """`stored(metric=..., parameters=...)`: a new sweep to write."""
    made = []

    def make(name="sweep", **facts):
        made.append(Stored(tmp_path / name, **facts))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def bowl(tmp_path_factory):
    """Results of 12 trials in a conditional space, two of them stopped and one failed, on two machines."""
    sweep = Stored(
        tmp_path_factory.mktemp("storage") / "bowl",
        parameters={"lr": "double", "optimizer": "string", "momentum": "double"},
        distributions={
            "lr": FloatDistribution(1e-4, 1.0, log=True),
            "optimizer": CategoricalDistribution(["sgd", "adam"]),
            "momentum": FloatDistribution(0.0, 0.99),
        },
        trials=12,
        seed=7,
        rest={"resources": {"ranks": 2, "cpus_per_rank": 1, "gpus_per_rank": 0}},
    )
    sweep.event("opened", pid=1, host="head", resumed=False)
    for i in range(12):
        config = {"lr": 10 ** (-4 + i / 3), "optimizer": "sgd" if i % 2 else "adam"}
        if i % 2:
            config["momentum"] = 0.05 * i
        good = (math.log10(config["lr"]) + 2) ** 2 + 0.1 * (i % 2)
        last = 1 if i in (0, 11) else 5
        values = [good + 1 / step + 0.01 * (-1) ** step for step in range(1, last + 1)]
        there = {"metrics": {"time_total_s": 4.0}, "host": f"node-{i % 2}"}
        sweep.at(10 * i)
        if i == 5:
            error = "Traceback:\n  line 3\nValueError: <script>alert(1)</script> at step 17"
            sweep.trial(config, values[:2], "failed", error, **there)
        else:
            sweep.trial(config, values, "stopped" if last == 1 else "completed", **there)
    return sweep.at(130).results()


@pytest.fixture(scope="session")
def bowl_page(bowl):
    """Its report."""
    (file,) = report.write(bowl.path)
    return file


@pytest.fixture(scope="session")
def chromium():
    """The browser of this machine; without one the test is skipped."""
    if (found := browser.find()) is None:
        pytest.skip("no Chromium or Chrome on this machine; `make browser` installs one where it may")
    return shutil.which(found)
