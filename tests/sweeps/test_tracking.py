import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from sweeps.tracking import Tracker, run_name
from trainables.wandb_log import Row, Run, read


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


def fail(message: str) -> None:
    warnings.warn(message, stacklevel=2)  # an error, by pytest's settings


@pytest.fixture
def told() -> list[str]:
    return []


def runs(folder: Path) -> dict[str, tuple[Run, list[Row]]]:
    """trial -> what all logs of its run say together, oldest first."""
    found: dict[str, tuple[Run, list[Row]]] = {}
    for path in sorted(folder.glob("wandb/*run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        run, rows = read(path)
        if run.run_id is not None:  # else nothing was flushed yet
            trial = run.run_id.rsplit("-", 1)[1]
            found[trial] = run, [*(found[trial][1] if trial in found else []), *rows]
    return found


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_config_history_summary_and_state_of_every_trial_come_back_from_the_logs(tmp_path):
    tracker = Tracker("p", "team", "my sweep", tmp_path, warn=fail)
    for trial in ("00000", "00001", "00002", "00003"):
        tracker.trial_started(trial, {"lr": np.float64(0.1), "net": {"width": 8}, "where": Path("/x")})
    for step in range(1, 51):
        for trial in ("00000", "00001", "00002"):
            tracker.row(trial, step, 0, {"loss": np.float32(1 / step), "nan": float("nan"), "_step": 99})
    tracker.row("00003", 1, 2, {"loss": 1.0})
    tracker.trial_ended("00000", "completed", {"best": 0.02})
    tracker.trial_ended("00001", "failed", {})
    tracker.trial_ended("00002", "stopped", {})
    tracker.close()
    assert tracker.mode == "offline"
    assert tracker.next_command == f"wandb sync --include-online {tmp_path}/wandb/*run-*"

    got = runs(tmp_path)
    assert sorted(got) == ["00000", "00001", "00002", "00003"]
    run, rows = got["00000"]
    assert (run.project, run.entity, run.group, run.name) == ("p", "team", "my sweep", "00000")
    assert run.config == {"lr": 0.1, "net": {"width": 8}, "where": "/x"}
    assert [row["training_iteration"] for row in rows] == list(range(1, 51))
    assert [row["_step"] for row in rows] == list(range(50))
    assert rows[3]["loss"] == 0.25
    assert np.isnan(rows[3]["nan"])
    assert "copies" not in rows[3]
    assert got["00003"][1][0]["copies"] == 2
    assert run.summary["best"] == 0.02
    states = {trial: (run.summary.get("trial_state"), run.exit_code) for trial, (run, _) in got.items()}
    assert states == {
        "00000": ("completed", 0), "00001": ("failed", 1), "00002": ("stopped", 0), "00003": (None, 255),
    }  # fmt: skip


def test_a_resumed_sweep_continues_its_runs_and_another_of_that_name_has_its_own(tmp_path):
    ids = []
    for folder, first in ((tmp_path / "a", 1), (tmp_path / "a", 3), (tmp_path / "b", 1)):
        tracker = Tracker("p", None, "s", folder, warn=fail)
        tracker.trial_started("00000", {"lr": 0.1})
        for step in (first, first + 1):
            tracker.row("00000", step, 0, {"loss": 1 / step})
        tracker.close()
        run, _ = runs(folder)["00000"]
        ids.append(run.run_id)
    assert ids[0] == ids[1] != ids[2]
    assert str(ids[0]).startswith("s-")
    assert [row["training_iteration"] for row in runs(tmp_path / "a")["00000"][1]] == [1, 2, 3, 4]


def test_a_trial_started_again_keeps_its_run_and_takes_the_new_configuration(tmp_path):
    tracker = Tracker("p", None, "s", tmp_path, warn=fail)
    tracker.row("00000", 1, 0, {"loss": 1.0})  # a row before any start opens the run too
    tracker.trial_started("00000", {"lr": 0.1})
    tracker.trial_started("00000", {"lr": 0.2, "new": 1})
    tracker.trial_ended("00000", "completed", {})
    tracker.trial_ended("00000", "failed", {})  # told twice: the first counts
    tracker.close()
    ((run, rows),) = runs(tmp_path).values()
    assert run.config == {"lr": 0.2, "new": 1}
    assert len(rows) == 1
    assert run.exit_code == 0


def test_a_killed_sink_costs_one_warning_and_no_row_that_was_logged_a_second_before(tmp_path, told):
    tracker = Tracker("p", None, "s", tmp_path, warn=told.append)
    for trial in range(3):
        tracker.trial_started(f"{trial:05d}", {"lr": trial})
    for step in range(100):
        for trial in range(3):
            tracker.row(f"{trial:05d}", step, 0, {"loss": step})
    wait_until(lambda: sum(len(rows) for _, rows in runs(tmp_path).values()) == 300)
    os.kill(tracker._process.pid, signal.SIGKILL)
    wait_until(lambda: told)
    for step in range(1000):  # the sweep goes on
        tracker.row("00000", step, 0, {"loss": step})
    began = time.monotonic()
    tracker.close()
    assert time.monotonic() - began < 1
    (message,) = told
    assert "The sweep goes on without W&B" in message
    assert f"wandb sync --include-online {tmp_path}/wandb/*run-*" in message
    assert {trial: len(rows) for trial, (_, rows) in runs(tmp_path).items()} == dict.fromkeys(
        ("00000", "00001", "00002"), 100
    )


DRIVER = """
import signal, sys, time
from pathlib import Path
from sweeps.tracking import Tracker
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it
tracker = Tracker("p", None, "s", Path(sys.argv[1]))
tracker.trial_started("00000", {"lr": 0.1})
for step in range(100):
    tracker.row("00000", step, 0, {"loss": step})
time.sleep(0.5)  # rows as old as that are safe, though the sink is still importing wandb
print(tracker._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_when_the_driver_is_gone_the_sink_finishes_the_runs_as_interrupted_and_ends(tmp_path, how):
    """SIGINT goes to the whole terminal, as Ctrl-C does: the sink survives it, for as long as the driver."""
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
        cwd=Path(__file__).parents[2],
    )
    assert driver.stdout is not None
    sink = int(driver.stdout.readline())
    assert alive(sink)
    if how == signal.SIGINT:
        wait_until(lambda: len(runs(tmp_path).get("00000", (None, []))[1]) == 100)
        os.kill(sink, how)
        time.sleep(0.5)
        assert alive(sink)
    os.killpg(driver.pid, how)
    driver.wait()
    driver.stdout.close()
    wait_until(lambda: not alive(sink))
    run, rows = runs(tmp_path)["00000"]
    assert [row["loss"] for row in rows] == list(range(100))
    assert run.exit_code == 255


def test_a_stuck_sink_holds_up_neither_the_driver_nor_the_end(tmp_path, told):
    tracker = Tracker("p", None, "s", tmp_path, queue_mib=0.5, warn=told.append)
    wait_until(lambda: tracker.mode)
    os.kill(tracker._process.pid, signal.SIGSTOP)
    longest_s = 0.0
    for step in range(20_000):
        began = time.perf_counter()
        tracker.row("00000", step, 0, {"loss": step, "text": "x" * 100})
        longest_s = max(longest_s, time.perf_counter() - began)
    assert longest_s < 0.1  # milliseconds, with room for a busy machine; a full pipe would block for ever
    assert tracker._waiting_bytes <= 0.5 * 2**20
    began = time.monotonic()
    tracker.close(timeout_s=1)
    assert time.monotonic() - began < 2
    assert "did not finish within 1 s" in told[0]
    assert "too slow for" in told[1]
    assert len(told) == 2
    assert not alive(tracker._process.pid)


def test_the_end_of_sixty_open_runs_takes_less_than_ten_seconds(tmp_path):
    tracker = Tracker("p", None, "s", tmp_path, warn=fail)
    for trial in range(60):
        tracker.trial_started(f"{trial:05d}", {"lr": trial})
        tracker.row(f"{trial:05d}", 1, 0, {"loss": 1.0})
    began = time.monotonic()
    tracker.close()
    assert time.monotonic() - began < 10
    assert {run.exit_code for run, _ in runs(tmp_path).values()} == {255}
    assert len(runs(tmp_path)) == 60


def test_a_server_that_cannot_be_reached_means_one_warning_and_offline_logs(tmp_path, monkeypatch, told):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "3")
    tracker = Tracker("p", None, "s", tmp_path, warn=told.append)
    wait_until(lambda: tracker.mode == "online")  # an API key: logged in
    tracker.trial_started("00000", {"lr": 0.1})
    tracker.trial_started("00001", {"lr": 0.1})
    tracker.row("00001", 1, 0, {"loss": 1.0})
    wait_until(lambda: told)
    tracker.close()
    (message,) = told
    assert message.startswith("W&B cannot be reached")
    assert tracker.mode == "offline"
    assert len(runs(tmp_path)["00001"][1]) == 1
    secret = b"0" * 40
    assert [path for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()] == []


def test_wandb_mode_of_the_environment_is_obeyed(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("WANDB_RUN_ID", "other")
    tracker = Tracker("p", None, "s", tmp_path, warn=fail)
    tracker.trial_started("00000", {"lr": 0.1})
    tracker.row("00000", 1, 0, {"loss": 1.0})
    tracker.close()
    assert tracker.mode == "disabled"
    assert runs(tmp_path) == {}


def test_impossible_projects_and_modes_are_refused_before_anything_starts(tmp_path):
    with pytest.raises(ValueError, match="project is 'a/b'; give a name without"):
        Tracker("a/b", None, "s", tmp_path)
    with pytest.raises(ValueError, match="project is ''"):
        Tracker("", None, "s", tmp_path)
    with pytest.raises(ValueError, match="mode is 'onlin'; choose online, offline, disabled"):
        Tracker("p", None, "s", tmp_path, mode="onlin")
    assert list(tmp_path.iterdir()) == []


def test_run_ids_have_only_letters_that_wandb_takes():
    assert run_name("my sweep/2: ähm#%") == "my-sweep-2-hm-"
    assert len(run_name("x" * 500)) == 80
    assert json.loads(json.dumps(run_name("quick_start-1.0"))) == "quick_start-1.0"
