"""A sweep is crash-equivalent: killed anywhere and resumed, it decides as if nothing had happened."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sweeps import journal

DRIVER = Path(__file__).parent / "resume" / "driver.py"


def drive(folder, case, *more, check=True):
    ran = subprocess.run(
        [sys.executable, DRIVER, folder, case, *more],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    if check:
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def decisions(folder, case):
    """Suggestions, verdicts, copies and endings in their order: all that a crash must not change."""
    kept = []
    for event in journal.read(folder / case):
        kind = event["event"]
        if kind == "suggested":
            kept.append((kind, event["trial"], event["config"]))
        elif kind == "reported":
            copied = [
                {k: c[k] for k in ("trial", "copies", "donor", "donor_iteration", "config")}
                for c in event.get("copied", ())
            ]
            kept.append(
                (
                    kind,
                    event["trial"],
                    event["copies"],
                    event["iteration"],
                    event["metrics"]["loss"],
                    event["decision"],
                    copied,
                )
            )
        elif kind == "ended":
            kept.append((kind, event["trial"], event["state"]))
    return kept


def kinds(folder, case):
    """The first event of each kind, and one in mid-sweep: where to kill."""
    events = [e["event"] for e in journal.read(folder / case)]
    first = {
        kind: events.index(kind) + 1 for kind in dict.fromkeys(events) if kind not in ("opened", "closed")
    }
    return events, first


def same_after_kills(tmp_path, case, kills):
    expected = decisions(tmp_path / "whole", case)
    for number, when in kills:
        folder = tmp_path / f"{number}-{when}"
        died = drive(folder, case, "--kill", str(number), when, check=False)
        assert died.returncode == -9, died.stdout + died.stderr
        drive(folder, case)
        assert decisions(folder, case) == expected, f"{case} killed {when} event {number}"
        rows = pq.read_table(folder / case / "metrics").to_pandas()
        assert not rows.duplicated(["trial", "copies", "iteration"]).any()
        assert len(rows) == sum(kind == "reported" for kind, *_ in expected)


def test_a_sweep_killed_in_the_middle_decides_as_if_nothing_had_happened(tmp_path):
    """The others are slow, and killed at more kinds of event."""
    drive(tmp_path / "whole", "tpe")
    events, _ = kinds(tmp_path / "whole", "tpe")
    middle = next(n for n, kind in enumerate(events, 1) if n > len(events) // 2 and kind == "reported")
    same_after_kills(tmp_path, "tpe", [(middle, "after")])


@pytest.mark.slow
@pytest.mark.parametrize("case", ["random", "tpe", "asha", "pbt", "median", "hyperband", "bohb", "pb2"])
def test_a_sweep_killed_at_any_kind_of_event_decides_as_if_nothing_had_happened(tmp_path, case):
    drive(tmp_path / "whole", case)
    events, first = kinds(tmp_path / "whole", case)
    late = set(range(int(len(events) * 0.6), int(len(events) * 0.6) + 3))  # three in a row: of several kinds
    spots = sorted({*first.values(), *late} - {0})
    same_after_kills(tmp_path, case, [(n, when) for n in spots for when in ("before", "after")])


@pytest.mark.slow  # the README's `resume --extend` runs every time
def test_a_finished_sweep_takes_further_trials(tmp_path):
    drive(tmp_path, "tpe")
    before = decisions(tmp_path, "tpe")
    drive(tmp_path, "tpe", "--extend", "2")
    after = decisions(tmp_path, "tpe")
    assert after[: len(before)] == before
    assert len([kind for kind, *_ in after if kind == "suggested"]) == 8
    assert len([kind for kind, *_ in after if kind == "ended"]) == 8
