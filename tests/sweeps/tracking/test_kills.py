"""`kill -9` of everything at any moment: no row that was reported is lost, none is there twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DRIVER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from sweeps.journal import Journal
from sweeps.store.storage import open_folder
from sweeps.tracking.tracker import Tracker
folder = open_folder(sys.argv[1])
journal = Journal.open(folder)
config = {"method": "custom", "parameters": {"lr": {"values": [0.1]}}}
tracker = Tracker(folder, "flock/p", config)
for trial in ("00000", "00001"):
    journal.append("suggested", trial=trial, config={"lr": 0.1}, memo=None)
step = 0
while True:
    step += 1
    for trial in ("00000", "00001"):
        row = {"iteration": step, "metrics": {"loss": time.time()}, "decision": "CONTINUE"}
        journal.append("reported", trial=trial, copies=0, **row)
    print(step, tracker._process.pid, flush=True)
    time.sleep(0.05)
"""
"""A driver that reports for ever."""


@pytest.fixture
def driver(story, server):
    """Starts it on the story's sweep; everything is killed in the end."""
    story.journal.close()
    made = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(story.path), str(Path(__file__).parents[3])],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    yield made
    made.kill()
    made.wait()
    made.stdout.close()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_killed_sink_is_replaced_and_nothing_is_lost_or_doubled(story, server, steps, wait_until):
    tracker = story.track()  # warns of nothing
    story.suggest("00000", "00001")
    for step in range(1, 41):
        story.report("00000", step)
        story.report("00001", step)
        if step in (15, 30):
            wait_until(
                lambda step=step: "00001" in server.trials() and len(server.trials()["00001"].rows) == step
            )
            story.report("00000", *range(step * 100, step * 100 + 3))  # these die with it
            victim = tracker._process.pid
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda victim=victim: tracker._process.pid != victim)
    story.end("00000")
    story.end("00001")
    story.close()
    runs = server.trials()
    assert steps(runs["00000"].rows) == [
        *range(1, 16), 1500, 1501, 1502, *range(16, 31), 3000, 3001, 3002, *range(31, 41),
    ]  # fmt: skip
    assert steps(runs["00001"].rows) == list(range(1, 41))
    assert {run.exit_code for run in runs.values()} == {0}
    assert len(server.sweeps) == 1


def test_kill_of_driver_and_sink_loses_nothing_that_is_five_seconds_old_and_sync_and_resume_double_nothing(
    story, server, steps, wait_until, starling, driver
):
    newest = sink = 0
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        newest, sink = map(int, driver.stdout.readline().split())
        if len(server.runs) == 2 and all(len(run.rows) > 20 for run in server.runs.values()):
            break
    began = time.time()
    while time.time() < began + 7:
        newest, sink = map(int, driver.stdout.readline().split())
    killed = time.time()
    driver.kill()
    os.kill(sink, signal.SIGKILL)
    driver.wait()
    wait_until(lambda: gone(sink))
    at_once = {trial: run.rows for trial, run in server.trials().items()}
    for rows in at_once.values():
        assert steps(rows) == list(range(1, len(rows) + 1))
        assert rows[-1]["loss"] > killed - 5  # the value is the time of its report
    answer = starling("sync", story.path)
    assert answer.code == 0, answer.out
    for run in server.runs.values():
        assert len(run.rows) >= newest
        assert steps(run.rows) == list(range(1, len(run.rows) + 1))
        assert run.exit_code == 255
    (sweep,) = server.sweeps.values()
    assert sweep.state == "PAUSED"
    last = len(run.rows)
    later = story.again()
    later.track()
    for trial in ("00000", "00001"):
        later.report(trial, *range(last + 1, last + 6))
        later.end(trial)
    later.close()
    for run in server.runs.values():
        assert steps(run.rows) == list(range(1, last + 6))
        assert run.exit_code == 0
    assert sweep.state == "FINISHED"


@pytest.mark.slow
def test_when_only_the_driver_is_killed_the_sink_ends_the_runs_as_killed_and_pauses_the_sweep(
    story, server, steps, wait_until, driver
):
    sink = 0
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (
        len(server.runs) == 2 and all(run.rows for run in server.runs.values())
    ):
        _, sink = map(int, driver.stdout.readline().split())
    os.kill(sink, signal.SIGINT)  # Ctrl-C goes to the whole terminal; the sink outlives it
    driver.kill()
    driver.wait()
    began = time.monotonic()
    wait_until(lambda: gone(sink))
    assert time.monotonic() - began < 12
    (sweep,) = server.sweeps.values()
    assert sweep.state == "PAUSED"
    for run in server.runs.values():
        assert run.exit_code == 255
        assert steps(run.rows) == list(range(1, len(run.rows) + 1))
