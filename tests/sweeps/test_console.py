"""What the console says of events: hand-written journals, and the lines that they make."""

import io
from types import SimpleNamespace

import pytest
from ray import tune
from rich.console import Console as Terminal

from sweeps import Sweep
from sweeps.console import Console
from sweeps.loop.history import History
from sweeps.store.storage import open_folder


@pytest.fixture
def console(tmp_path):
    sweep = Sweep(
        trainable="classify", space={"lr": tune.uniform(0, 1)}, metric="val_loss", mode="min", trials=9,
        name="s",
    )  # fmt: skip
    made = Console(sweep, open_folder(tmp_path), quiet=False)
    made.terminal = Terminal(file=io.StringIO(), width=200, highlight=False)
    return made


def said(console):
    """Its lines since the last call, each run of blanks as one."""
    file = console.terminal.file
    lines = [" ".join(line.split()) for line in file.getvalue().splitlines()]
    file.seek(0), file.truncate()
    return lines


def life(trial, lr, values, state, **more):
    """A trial from its suggestion to its end; state None: it goes on."""
    yield {"event": "suggested", "t": 0.0, "trial": trial, "config": {"lr": lr}, "memo": None}
    for iteration, value in enumerate(values, 1):
        yield {"event": "reported", "t": 0.0, "trial": trial, "iteration": iteration, "decision": "CONTINUE",
               "metrics": {"val_loss": value}}  # fmt: skip
    if state is not None:
        yield {"event": "ended", "t": 0.0, "trial": trial, "state": state, **more}


def ended(trial, state):
    return {"event": "ended", "t": 0.0, "trial": trial, "state": state}


def test_the_best_is_marked_as_results_judge_it_completed_trials_first(console):
    for event in (
        *life("00000", 0.5, [3.0], "stopped"),
        *life("00001", 0.25, [2.0, 5.0], "completed"),
        *life("00002", 0.125, [1.0], "stopped"),
        *life("00003", 0.1, [0.0], "failed", reason="no memory"),
        *life("00004", 0.75, [4.0], "completed"),
    ):
        console.fold(event)
    assert said(console) == [
        "00000 stopped 1 it val_loss 3 best lr=0.5",
        "00001 done 2 it val_loss 5 best lr=0.25",
        "00002 stopped 1 it val_loss 1 lr=0.125",
        "00003 failed no memory",
        "00004 done 1 it val_loss 4 best lr=0.75",
    ]


def test_a_resumed_sweep_knows_the_best_so_far_and_the_trials_that_go_on(console):
    console.recall([
        {"event": "opened", "t": 0.0, "resumed": False}, *life("00000", 0.5, [2.0], "completed"),
        *life("00001", 0.25, [7.0, 6.0], None),
        {"event": "copied", "t": 0.0, "trial": "00001", "config": {"lr": 0.3}, "donor": "00000",
         "donor_iteration": 1},
    ])  # fmt: skip
    assert said(console) == []
    console.fold(ended("00001", "completed"))
    assert said(console) == ["00001 done 2 it val_loss 6 lr=0.3"]
    console.tick(console.drawn + 31.0, SimpleNamespace(history=History(), trials=9))
    assert said(console) == ["31s 0/9 trials best val_loss 2 (00000)"]


def test_the_time_left_is_that_of_the_trials_after_the_first_whose_processes_had_to_start(
    console, monkeypatch
):
    history, clock = History(), iter([100.0, 104.0, 108.0])
    monkeypatch.setattr("sweeps.console.time.monotonic", lambda: next(clock))
    for trial in ("00000", "00001", "00002"):
        for event in life(trial, 0.5, [1.0], "completed"):
            history.fold(event), console.fold(event)
    said(console)
    console.drawn = console.started = 40.0
    console.tick(110.0, SimpleNamespace(history=history, trials=9))
    assert said(console) == ["1m10s 3/9 trials best val_loss 1 (00000) 24s left"]
