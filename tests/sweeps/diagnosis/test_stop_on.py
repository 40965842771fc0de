"""`--stop-on` in real sweeps, beside schedulers, and across a crash."""

import json
import shutil

import pytest

from sweeps import Results, Sweep, journal
from sweeps.run import restart
from sweeps.spec import SpecError

FILE = '''
import json
import math
import tempfile
from pathlib import Path

from ray import tune
from sweeps import Sweep


def train(config):
    """What the case says, from a checkpoint on to the last bit."""
    step = 0
    if checkpoint := tune.get_checkpoint():
        with checkpoint.as_directory() as folder:
            step = json.loads(Path(folder, "step.json").read_text())
    while step < 24:
        step += 1
        fall, case = math.exp(-step / 5), config["case"]
        train = {"grows": 2 * 1.4**step, "breaks": math.nan if step > 4 else fall}.get(case, fall)
        val = fall + (0.04 * max(0, step - 7) if case == "overfits" else 0.0)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step.json").write_text(json.dumps(step))
            tune.report(
                {"train_loss": train, "val_loss": train if case in ("grows", "breaks") else val},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


sweep = Sweep(
    trainable=train,
    space={"case": tune.choice(["learns", "grows", "breaks", "overfits"]), "twin": tune.choice([0, 1])},
    metric="val_loss", mode="min", search="grid", max_iterations=24, quiet=True,
)
'''
"""Two trials of each case."""

quiet = pytest.mark.filterwarnings("ignore")  # Ray's own, in its threads


def decided(path):
    """What a crash must not change: reports with their decisions and reasons, and endings."""
    kept = []
    for event in journal.read(path):
        if event["event"] == "reported":
            kept.append((event["trial"], event["iteration"], event["decision"], event.get("stop")))
        elif event["event"] == "ended":
            kept.append((event["trial"], event["state"], event["reason"]))
    return sorted(kept, key=str)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    found = tmp_path_factory.mktemp("stop_on") / "cases.py"
    found.write_text(FILE)
    return found


@pytest.fixture(scope="module")
def results(small_ray, file):
    """The sweep under fifo, by the command."""
    from sweeps import cli

    words = [
        "run",
        str(file),
        "--stop-on",
        "diverged,overfit",
        "--storage",
        str(file.parent),
        "--name",
        "fifo",
    ]
    assert cli.main([*words, "--quiet"]) == 0
    return Results(file.parent / "fifo")


@quiet
def test_trials_that_are_lost_end_early_with_their_reason_and_the_others_train_to_their_end(results):
    ends = {(trial.config["case"], trial.config["twin"]): trial for trial in results.trials}
    assert len(ends) == 8
    for (case, _), trial in ends.items():
        reason, label = trial.row["reason"], {"overfits": "overfit", "learns": None}.get(case, "diverged")
        if label is None:
            assert (trial.state, trial.iterations, reason) == ("completed", 24, None)
        else:
            assert (trial.state, reason.partition(":")[0]) == ("stopped", label)
            assert trial.iterations < 20
            assert trial.error is None
    assert ends["breaks", 0].row["reason"] == "diverged: train_loss is nan at report 5."
    assert ends["breaks", 0].iterations == 5
    assert ends["overfits", 1].row["reason"].startswith("overfit: val_loss went from")
    assert results.best.config["case"] == "learns"


@quiet
def test_a_sweep_that_crashed_between_a_stop_and_its_end_goes_on_as_if_nothing_had_happened(results):
    """The journal is cut behind the last report that stops a trial, as `kill -9` leaves it."""
    whole = decided(results.path)
    events = list(journal.read(results.path))
    cut = max(i for i, event in enumerate(events) if event.get("stop", "").startswith("overfit")) + 1
    crashed = results.folder.child("../crashed")
    shutil.copytree(results.path, crashed.path)
    (segment,) = (crashed.local / "journal").glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["n"] for line in lines] == [event["n"] for event in events]
    segment.write_bytes(b"".join(lines[:cut]))
    assert restart(crashed.path).why == "finished"
    assert decided(crashed.path) == whole


@quiet
@pytest.mark.parametrize(
    "scheduler",
    [
        "asha:grace_period=8,max_t=24",
        pytest.param("pbt:perturbation_interval=12", marks=pytest.mark.slow),
        pytest.param("hyperband:max_t=24", marks=pytest.mark.slow),
        pytest.param("median:grace_period=20", marks=pytest.mark.slow),
    ],
)
def test_beside_a_scheduler_lost_trials_end_by_their_curve(small_ray, file, scheduler):
    """NaN at the fifth report comes before any scheduler's first decision; what grows ends before it, too."""
    from sweeps.files import sweep_file

    name = scheduler.partition(":")[0]
    sweep = sweep_file.load(file, {"stop_on": "diverged", "scheduler": scheduler, "name": name})
    trials = sweep.override(storage=str(file.parent)).run().trials
    assert len(trials) == 8
    for trial in trials:
        lost = (trial.row["reason"] or "").startswith("diverged")
        if trial.config["case"] in ("breaks", "grows"):
            assert lost, (trial.id, trial.state, trial.row["reason"])
        else:
            assert not lost


def spec(**fields):
    return Sweep(trainable=None, space={}, metric="loss", mode="min", trials=1, **fields)


@pytest.mark.parametrize(
    "given", ["diverged,overfit", ["diverged", "overfit"], " diverged , overfit,diverged"]
)
def test_labels_are_given_as_text_or_list_and_survive_the_file(given):
    sweep = spec(stop_on=given)
    assert sweep.stop_on == ("diverged", "overfit")
    assert Sweep.from_yaml(sweep.to_yaml()).stop_on == ("diverged", "overfit")
    assert sweep.override(stop_on="").stop_on == ()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("overfitting", "stop_on: 'overfitting' is unknown; did you mean 'overfit'"),
        ("diverged,plateau", "stop_on: 'plateau' says too little while a trial runs; diverged, overfit can"),
        (7, "stop_on: is 7; it must be labels, for example diverged,overfit"),
    ],
)
def test_labels_that_end_no_trial_are_refused(given, match):
    with pytest.raises(SpecError, match=match):
        spec(stop_on=given)
