"""A sweep without W&B's server: what its logs on this machine say, read back."""

import os
import signal
import time

import numpy as np


def test_config_history_summary_and_state_of_every_trial_come_back_from_the_logs(story, steps):
    tracker = story.track(project="team/p")
    story.suggest("00000", "00001", "00002", "00003", net={"width": 8}, where=("a", 1))
    for trial in ("00000", "00001", "00002"):
        story.report(trial, *range(1, 51), nan=float("nan"), _step=99)
    story.report("00003", 1, copies=2)
    story.end("00000")
    story.end("00001", "failed")
    story.end("00002", "stopped")
    story.close()
    assert tracker.mode == "offline"
    assert tracker.next_command == f"starling sync {story.path}"
    got = story.told()
    assert sorted(got) == ["00000", "00001", "00002", "00003"]
    run, rows = got["00000"]
    assert (run.project, run.entity, run.group, run.name) == ("p", "team", "s", "00000")
    assert run.config == {"lr": 0.1, "net": {"width": 8}, "where": ["a", 1]}
    assert steps(rows) == list(range(1, 51))
    assert rows[3]["loss"] == 0.25
    assert np.isnan(rows[3]["nan"])
    assert "copies" not in rows[3]
    assert got["00003"][1][0]["copies"] == 2
    states = {trial: (run.summary.get("trial_state"), run.exit_code) for trial, (run, _) in got.items()}
    assert states == {
        "00000": ("completed", 0), "00001": ("failed", 1), "00002": ("stopped", 0), "00003": (None, 255),
    }  # fmt: skip


def test_a_session_after_another_and_a_killed_sink_leave_every_row_once_in_the_logs(story, told, wait_until):
    tracker = story.track(warn=told.append)  # on a busy machine the next sink is not up before the end
    story.suggest("00000", "00001")
    story.report("00000", 1, 2, 3)
    story.report("00001", 1)
    story.end("00001")
    wait_until(lambda: len(story.told().get("00000", (None, []))[1]) == 3)
    story.report("00000", 4, 5)
    os.kill(tracker._process.pid, signal.SIGKILL)
    story.close("interrupted")
    later = story.again()
    later.track()
    later.report("00000", 6)
    later.end("00000")
    later.close()
    got = later.told()
    assert [row["training_iteration"] for row in got["00000"][1]] == [1, 2, 3, 4, 5, 6]
    assert [row["training_iteration"] for row in got["00001"][1]] == [1]
    assert {run.run_id.removesuffix(f"-{trial}") for trial, (run, _) in got.items()} == {
        got["00000"][0].run_id.removesuffix("-00000")
    }


def test_what_was_logged_offline_is_sent_by_sync_without_doubling_when_there_is_a_key(
    story, server, starling, monkeypatch, steps
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    story.track()
    story.suggest("00000")
    story.report("00000", 1, 2, 3)
    story.end("00000")
    story.close()
    assert server.requests == []
    for _ in range(2):
        assert starling("sync", story.path, "--quiet").code == 0
        assert steps(server.trials()["00000"].rows) == [1, 2, 3]


def test_sync_without_a_key_says_how_to_log_in(story, starling):
    story.journal.append("closed", why="finished")
    story.journal.close()
    answer = starling("export", story.path, "--to", "wandb")
    assert answer.code == 2
    assert f"`starling export {story.path} --to wandb --project ENTITY/PROJECT`" in answer.err


def test_wandb_mode_disabled_is_obeyed(story, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("WANDB_RUN_ID", "other")
    tracker = story.track()
    story.suggest("00000")
    story.report("00000", 1)
    story.close()
    assert tracker.mode == "disabled"
    assert tracker.next_command is None
    assert story.told() == {}


def test_a_stuck_sink_holds_up_neither_the_driver_nor_the_end(story, told, wait_until):
    tracker = story.track(warn=told.append)
    wait_until(lambda: tracker.mode)
    os.kill(tracker._process.pid, signal.SIGSTOP)
    story.suggest("00000")
    longest_s = 0.0
    for step in range(1, 5001):
        began = time.perf_counter()
        story.report("00000", step)
        longest_s = max(longest_s, time.perf_counter() - began)
    assert longest_s < 0.5  # nothing of the driver's waits for the sink
    began = time.monotonic()
    story.close("interrupted")
    assert time.monotonic() - began < 10
    (message,) = told
    assert "W&B did not finish within 7 s" in message
    assert f"starling sync {story.path}" in message


def test_the_end_of_sixty_open_runs_takes_less_than_ten_seconds(story, wait_until):
    story.track()
    for trial in range(60):
        story.suggest(f"{trial:05d}")
        story.report(f"{trial:05d}", 1)
    wait_until(lambda: len(story.told()) == 60)
    began = time.monotonic()
    story.close("interrupted")
    assert time.monotonic() - began < 10
    assert {run.exit_code for run, _ in story.told().values()} == {255}
