"""Trials stopped by hand while they run, wait or pause, in a real sweep; and that a resume does the same."""

import sys
from pathlib import Path
from typing import ClassVar

import pytest

from sweeps import Results, Sweep, journal
from sweeps.loop.history import BY_HAND, CONTINUE, PAUSE, History
from sweeps.run import restart, start
from sweeps.store.inbox import Request

pytestmark = [pytest.mark.usefixtures("small_ray"), pytest.mark.filterwarnings("ignore")]
DRIVER = Path(__file__).parents[1] / "resume" / "driver.py"


def running(record):
    return record.iteration > 0 and record.decision == CONTINUE


def paused(record):
    return record.decision == PAUSE


def pending(record):
    return record.iteration == 0


class Asking:
    """An inbox in which somebody asks, at a number of reports, for such a trial's end or the sweep's."""

    wishes: ClassVar = {}

    def __init__(self, folder):
        self.folder, self.answers = folder, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def taken(self):
        history, reports = History(), 0
        for event in journal.read(self.folder):
            history.fold(event)
            reports += event["event"] == "reported"
        found = []
        for at in [at for at in self.wishes if reports >= at]:
            wish = self.wishes[at]
            fits = [one.id for one in history.unfinished.values() if wish is not None and wish(one)]
            if fits or wish is None:
                del self.wishes[at]
                found.append(Request(f"r{at}", {"trials": fits[:1] if fits else None}, "a test"))
        return found

    def answer(self, request, answer):
        assert set(answer["trials"].values()) <= {"stopped"}


def sweep_of(case, storage):
    sys.path.insert(0, str(DRIVER.parent))
    try:
        import driver
    finally:
        sys.path.remove(str(DRIVER.parent))
    shared = {"metric": "loss", "mode": "min", "seed": 3, "cpus_per_rank": 2, "quiet": True, "name": case}
    return Sweep(
        trainable=f"{DRIVER}:train", space=driver.SPACE, storage=str(storage), **shared, **driver.CASES[case]
    )


def decisions(path):
    """Suggestions, verdicts and endings in their order."""
    kept = []
    for event in journal.read(path):
        if event["event"] == "suggested":
            kept.append((event["trial"], event["config"]))
        elif event["event"] == "reported":
            kept.append((event["trial"], event["iteration"], event["metrics"]["loss"], event["decision"]))
        elif event["event"] == "ended":
            kept.append((event["trial"], event["state"], event["reason"]))
    return kept


@pytest.mark.parametrize(
    ("case", "wishes", "whole_at"),
    [
        ("hyperband", {3: paused, 5: pending, 8: running}, 12),
        pytest.param("asha", {2: running, 6: running}, 8, marks=pytest.mark.slow),
        pytest.param("tpe", {3: running, 7: running}, 8, marks=pytest.mark.slow),
        pytest.param("pbt", {4: running, 9: paused}, 12, marks=pytest.mark.slow),
        pytest.param("median", {4: running, 9: running}, 12, marks=pytest.mark.slow),
        pytest.param("bohb", {3: paused, 5: pending, 8: running}, 12, marks=pytest.mark.slow),
    ],
)
def test_trials_stopped_by_hand_are_stopped_and_a_resume_decides_as_if_it_had_not_been_needed(
    tmp_path, monkeypatch, case, wishes, whole_at
):
    monkeypatch.setattr("sweeps.drive.Inbox", Asking)
    Asking.wishes = dict(wishes)
    whole = start(sweep_of(case, tmp_path / "whole"))
    assert whole.why == "finished"
    assert Asking.wishes == {}
    stopped = {t.id: t for t in whole.results.trials if t.row["reason"] == BY_HAND}
    assert len(stopped) == len(wishes)
    assert {t.state for t in stopped.values()} == {"stopped"}
    assert {t.state for t in whole.results.trials} <= {"completed", "stopped"}
    if pending in wishes.values():
        assert any(t.iterations == 0 for t in stopped.values())

    Asking.wishes = wishes | {whole_at: None}
    first = start(sweep_of(case, tmp_path / "parts"))
    assert (first.why, first.exit_code) == ("stopped", 0 if first.results.status().get("stopped") else 1)
    assert journal.last(tmp_path / "parts" / case)["why"] == "stopped"
    assert restart(tmp_path / "parts" / case).why == "finished"
    assert decisions(tmp_path / "parts" / case) == decisions(tmp_path / "whole" / case)
    reports = Results(tmp_path / "parts" / case).metrics().to_pandas()
    assert not reports.duplicated(["trial", "copies", "iteration"]).any()
