"""A stored sweep's diagnosis: each trial's, the sweep's own, and what the command prints."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from sweeps import cli
from sweeps.diagnosis import Finding, diagnose
from sweeps.diagnosis.trials import read
from sweeps.journal import Journal
from sweeps.results import Results
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import open_folder
from sweeps.store.tables import Tables

t = np.arange(1, 21)


def store(path, trials, metric="val_loss", mode="min"):
    """A sweep: per trial its learning rate, state and reports, or a list of (copies, iteration, report)."""
    folder = open_folder(path)
    manifest = write_manifest(folder, Manifest(metric=metric, mode=mode, parameters={"lr": "double"}), "/")
    with (
        Journal.open(folder) as journal,
        Tables(folder, manifest, journal.events(), distributions={}) as tables,
    ):
        for i, (lr, state, reports) in enumerate(trials):
            trial, config = f"{i:05d}", {"lr": lr, "net": {"width": 8}}
            tables.fold(journal.append("suggested", trial=trial, config=config, memo=None))
            for step, report in enumerate(reports, 1):
                copies, iteration, metrics = report if isinstance(report, tuple) else (0, step, report)
                fields = {"iteration": iteration, "metrics": metrics, "decision": "CONTINUE"}
                tables.fold(journal.append("reported", trial=trial, copies=copies, **fields))
            if state != "running":
                tables.fold(journal.append("ended", trial=trial, state=state, reason=None))
    return Results(path)


def reports(train, val):
    return [{"train_loss": float(a), "val_loss": float(b)} for a, b in zip(train, val, strict=True)]


GOOD = reports(np.exp(-t / 5) + 0.1, np.exp(-t / 5.5) + 0.11)
SLOW = reports(1 - 0.004 * t, 1 - 0.004 * t)
BROKEN = [*reports(np.exp(t[:3]), np.exp(t[:3])), {"train_loss": math.inf, "val_loss": math.nan}]
OVERFIT = reports(np.exp(-t / 5), np.exp(-t / 5) + 0.04 * np.maximum(0, t - 7))


@pytest.fixture
def results(tmp_path):
    """Six that are slow, below 1e-3; six good ones; five that broke, from 0.3 on; one that overfits."""
    trials = [(10**-4 * i, "completed", SLOW) for i in range(1, 7)]
    trials += [(0.01 * i, "completed", GOOD) for i in range(1, 7)]
    trials += [(0.3 * i, "failed", BROKEN) for i in range(1, 6)]
    return store(tmp_path / "sweep", [*trials, (0.035, "completed", OVERFIT)])


def test_each_trial_gets_its_findings(results):
    found = {}
    for one in diagnose(results):
        found.setdefault(one.trial, set()).add(one.label)
    whole = found.pop(None)
    expected = {f"{i:05d}": {"lr_too_low"} for i in range(6)}
    expected |= {f"{i:05d}": {"diverged"} for i in range(12, 17)} | {"00017": {"overfit"}}
    assert found == expected
    assert whole == {"lr_too_low", "diverged"}


def test_the_sweep_is_told_from_which_value_on_its_trials_are_lost(results):
    whole = {one.label: one for one in diagnose(results) if one.trial is None}
    diverged = whole["diverged"]
    assert diverged.text.startswith("5 of 18 trials are diverged (28%), most with lr >= 0.3")
    assert diverged.evidence["threshold"] == pytest.approx(0.3)
    assert diverged.evidence["apart"] == 1.0
    assert diverged.next_step == "Search lr from 0.0001 to 0.06 only."
    assert whole["lr_too_low"].evidence["threshold"] == pytest.approx(6e-4)
    assert whole["lr_too_low"].next_step == "Search lr from 0.01 to 1.5 only."


def test_a_trial_knows_what_learning_rates_did_well_in_its_sweep(results):
    (one,) = diagnose(results, "00013")
    assert one.text == "train_loss is inf at report 4 (lr 0.6)."
    assert "search lr in tune.loguniform(" in one.next_step
    assert "the better third lies there" in one.next_step


def test_findings_are_plain_data(results):
    (one,) = diagnose(results, "00017")
    assert isinstance(one, Finding)
    told = json.loads(json.dumps(one.to_dict()))
    assert set(told) == {"trial", "label", "confidence", "evidence", "text", "next_step"}
    assert all(isinstance(value, float | int) for value in told["evidence"].values())
    assert 0.5 <= told["confidence"] <= 1


def test_an_unknown_trial_is_answered_with_known_ones(results):
    with pytest.raises(ValueError, match=r"there is no trial '7' in .*; there are 00000, 00001"):
        diagnose(results, "7")


def test_a_trial_that_its_scheduler_stopped_early_is_only_told_what_is_certain(tmp_path):
    stopped = store(tmp_path / "a", [(0.1, "completed", GOOD), (0.2, "stopped", SLOW[:8])])
    assert diagnose(stopped) == []
    full = store(tmp_path / "b", [(0.1, "completed", GOOD), (0.2, "completed", SLOW[:8])])
    assert [one.label for one in diagnose(full)] == ["lr_too_low"]


def test_after_a_copy_a_curve_is_what_came_since(tmp_path):
    copied = [(0, i, row) for i, row in enumerate(BROKEN[:3], 1)]
    copied += [(1, i, row) for i, row in enumerate(GOOD[2:], 3)]
    results = store(tmp_path / "a", [(0.1, "completed", copied)])
    ((_, curve),) = read(results)
    assert curve.iteration.tolist() == list(range(3, 21))
    assert diagnose(results) == []


def test_values_that_a_report_lacks_are_no_broken_ones(tmp_path):
    sparse = [row if i % 2 else {"train_loss": row["train_loss"]} for i, row in enumerate(GOOD)]
    results = store(tmp_path / "a", [(0.1, "completed", sparse)])
    ((_, curve),) = read(results)
    assert curve.broken is None
    assert np.isnan(curve.val).sum() == 10
    assert diagnose(results) == []


def test_a_user_s_own_names_are_understood(tmp_path):
    own = [{"score": 0.5 + 0.01 * i, "loss": 1.5**i} for i in range(10)]
    (one,) = diagnose(store(tmp_path / "a", [(0.1, "completed", own)], "score", "max"))
    assert one.label == "diverged"
    assert one.text.startswith("loss went from 1 at report 1")
    only = [{"score": 0.5 + 0.001 * i} for i in range(10)]
    (one,) = diagnose(store(tmp_path / "b", [(0.1, "completed", only)], "score", "max"))
    assert one.text.startswith("score has hardly moved in 10 reports: from 0.5 to 0.509")


def test_a_sweep_without_reports_has_no_findings(tmp_path):
    assert diagnose(store(tmp_path / "a", [(0.1, "running", [])])) == []


def test_the_command_tells_all_findings_or_one_trial_s(results, capsys):
    assert cli.main(["diagnose", results.path]) == 0
    text = capsys.readouterr().out
    assert text.startswith("the sweep: 2 findings")
    assert "lr_too_low: 6 of 18 trials" in text
    assert "also 0000" in text
    assert cli.main(["diagnose", results.path, "00017"]) == 0
    assert "overfit: 1 of 18 trials" in capsys.readouterr().out
    assert cli.main(["diagnose", results.path, "00007"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out


def test_the_command_as_json_and_its_errors(results, capsys):
    assert cli.main(["diagnose", results.path, "00013", "--json"]) == 0
    assert [one["label"] for one in json.loads(capsys.readouterr().out)] == ["diverged"]
    assert cli.main(["diagnose", results.path, "99999"]) == 2
    assert "there is no trial '99999'" in capsys.readouterr().err
    assert cli.main(["diagnose", results.path + "x"]) == 2
    assert "holds no sweep" in capsys.readouterr().err


def test_a_diagnosis_needs_neither_ray_nor_torch(results):
    code = (
        "import sys; from sweeps import cli; code = cli.main(['diagnose', sys.argv[1]]);"
        "assert not {'ray', 'torch'} & set(sys.modules); sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, results.path], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
