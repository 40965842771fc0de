"""One real sweep, seen, read and stopped from other processes, then resumed. Only its folder is shared."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps import Results, journal

ROOT = Path(__file__).parents[3]
SECRET = "sesame-0123456789"
FILE = """
import json, os, subprocess, sys, tempfile, time
from pathlib import Path

from ray import tune
from sweeps import Sweep

HERE = Path(__file__).parent


def train(config):
    kind, step = config["kind"], 0
    if checkpoint := tune.get_checkpoint():
        with checkpoint.as_directory() as folder:
            step = json.loads(Path(folder, "step").read_text())
    print(f"{kind} begins at step {step}, its key is {os.environ['STORY_API_KEY']}")
    subprocess.run(["echo", f"a child of {kind}"], check=True)
    while step < 3:
        if kind == "broken" and step == 1:
            raise RuntimeError("it broke")
        if kind == "stuck" and step == 2:
            (HERE / "stuck").touch()
            time.sleep(3600)
        if kind.startswith("gated") and step == 1:
            while not (HERE / "gate").exists():
                time.sleep(0.1)
        step += 1
        print(f"{kind} step {step}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(json.dumps(step))
            tune.report({"loss": 1 / step}, checkpoint=tune.Checkpoint.from_directory(folder))


kinds = ["plain", "broken", "stuck", "gated", "gated too", "last"]
sweep = Sweep(
    trainable=train, space={"kind": tune.grid_search(kinds)}, metric="loss", mode="min", search="grid",
    max_concurrent=2, retries=0,
)
"""


def starling(place, *words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps", *map(str, words)],
        cwd=place,
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT), "STORY_API_KEY": SECRET},
        stdin=subprocess.DEVNULL,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options),
    )


def said(place, *words):
    process = starling(place, *words)
    out, err = process.communicate(timeout=120)
    return SimpleNamespace(code=process.returncode, out=out, err=err)


def until(condition, process, seconds=180):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the driver has ended"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)


def on_a_terminal(place, *words, until, then=b""):
    """The bytes a command draws on a terminal of 20 lines until they contain something; Ctrl-C then."""
    parent, child = pty.openpty()
    process = starling(place, *words, stdout=child, stderr=child, start_new_session=True)
    os.close(child)
    seen, end = b"", time.monotonic() + 60
    while until not in seen and time.monotonic() < end:
        if select.select([parent], [], [], 0.5)[0]:
            seen += os.read(parent, 65536)
    process.send_signal(signal.SIGINT)
    code = process.wait(30)
    os.close(parent)
    return code, seen.decode(errors="replace")


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """What happened, in order; the tests look at its parts."""
    place = tmp_path_factory.mktemp("story")
    (place / "story.py").write_text(FILE)
    path, log = place / "results" / "story", (place / "driver.log").open("w")
    told = SimpleNamespace(place=place, path=path)

    def drive(*words):
        return starling(place, *words, stdout=log, stderr=log, start_new_session=True)

    driver = drive("run", "story.py", "--storage", "results", "--name", "story")
    try:
        until((place / "stuck").exists, driver)
        watching = starling(place, "status", path, "--watch", "--interval", "0.5")
        following = starling(place, "logs", path, "2", "--follow")
        told.table = on_a_terminal(place, "status", path, "--watch", until=b"ago")
        told.unknown = said(place, "stop", path, "2", "77")
        told.one = said(place, "stop", path, "2")
        told.again = said(place, "stop", path, "2")
        told.followed = following.communicate(timeout=120)
        told.whole = said(place, "stop", path)
        told.driver = driver.wait(60)
        told.watched = watching.communicate(timeout=60)[0], watching.returncode
        told.stopped = list(journal.read(path))
        (place / "gate").touch()
        driver = drive("resume", path)
        told.resumed = driver.wait(240)
        told.events, told.results = list(journal.read(path)), Results(path)
        told.broken = said(place, "logs", path, "1")
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait(30)
        log.close()
    told.log = (place / "driver.log").read_text()
    return told


def ended(events):
    return {e["trial"]: (e["state"], e["reason"]) for e in events if e["event"] == "ended"}


def test_a_table_is_drawn_on_a_terminal_and_ctrl_c_leaves_the_sweep_alone(story):
    code, text = story.table
    assert code == 130
    assert re.search(r"story  running  2/6 trials  \d under way  1 failed  best loss 0.33333 \(00000\)", text)
    assert re.search(r"00002 +running +2 +0.5 +\S+ +\d+s ago", text)
    assert "1 failed: RuntimeError: it broke  (00001)" in text
    assert "Traceback" not in text


def test_in_a_pipe_the_sweep_is_watched_by_the_line_until_it_ends_with_its_code(story):
    out, code = story.watched
    lines = out.splitlines()
    assert lines[0].startswith("story  running  2/6 trials")
    assert any(line.startswith("story  running  3/6 trials") for line in lines)
    assert any(line.startswith("story  stopped  3/6 trials") for line in lines)
    assert "next: starling resume" in lines[-1]
    assert code == story.driver == 0


def test_one_trial_is_stopped_in_the_middle_of_a_step_that_would_take_an_hour(story):
    assert (story.one.code, story.one.out) == (0, "00002 is stopped\n")
    assert (story.again.code, story.again.out) == (0, "00002 is stopped by hand already\n")
    assert story.unknown.code == 2
    assert "no trial '77'" in story.unknown.err
    assert ended(story.stopped)["00002"] == ("stopped", "stopped by hand")
    trial = next(t for t in story.results.trials if t.id == "00002")
    assert (trial.state, trial.iterations, trial.value) == ("stopped", 2, 0.5)


def test_the_whole_sweep_is_stopped_and_its_driver_ends(story):
    assert story.whole.code == 0
    assert "is stopped, 3 of 6 trials ended; next: starling resume" in story.whole.out
    assert story.stopped[-1]["why"] == "stopped"
    assert "stopped by process" in story.log
    assert story.log.count("next: starling resume") == 1
    assert "Traceback" not in story.log


def test_a_resume_goes_on_with_what_was_not_stopped_and_leaves_alone_what_was(story):
    assert story.resumed == 0
    completed = ("completed", None)
    failed, stopped = ended(story.events)["00001"], ("stopped", "stopped by hand")
    assert failed[0] == "failed"
    assert ended(story.events) == {
        "00000": completed, "00001": failed, "00002": stopped,
        "00003": completed, "00004": completed, "00005": completed,
    }  # fmt: skip
    assert len([e for e in story.events if e["event"] == "suggested"]) == 6
    rows = [(e["trial"], e["iteration"]) for e in story.events if e["event"] == "reported"]
    assert len(rows) == len(set(rows)) == 3 * 4 + 1 + 2


def test_what_a_trial_printed_is_read_while_it_runs_to_its_end_and_afterwards(story):
    out, err = story.followed
    assert out.splitlines() == [
        f"stuck begins at step 0, its key is {'*' * len(SECRET)}",
        "a child of stuck",
        "stuck step 1",
        "stuck step 2",
    ]
    assert err == ""
    broken = story.broken.out.splitlines()
    assert broken[0].startswith("broken begins at step 0")
    assert "Traceback (most recent call last):" in broken
    assert broken[-1] == "RuntimeError: it broke"
    assert "00001 failed: RuntimeError: it broke" in story.broken.err
    gated = (story.path / "trials" / "00003" / "log-rank0.txt").read_text().splitlines()
    assert [line for line in gated if line.startswith("gated step")] == [f"gated step {i}" for i in (1, 2, 3)]
    assert any(line.startswith("--- goes on in process ") for line in gated)


def test_no_file_of_the_sweep_has_the_secret_that_its_trials_printed(story):
    for file in story.path.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file
