import json
import threading
import time

import pytest
from rich.console import Console

from sweeps.live import watch as module
from sweeps.live.state import LiveSweep
from sweeps.live.watch import line, picture, summary, watch


def drawn(sweep, rows=10):
    terminal = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with terminal.file:
        terminal.print(picture(sweep, rows))
        return terminal.export_text()


def a_sweep(tmp_path, drive, **options):
    driver = drive(tmp_path / "s", trials=40, mode="max", **options)
    for number in range(30):
        driver.suggest(f"{number:05d}")
    driver.report("00003", 7, 0.25)
    driver.report("00004", 2, 0.75)
    driver.end("00004", "completed")
    for trial in ("00000", "00001", "00002"):
        driver.end(trial, "failed", "Traceback ...\nValueError: [lr] is \x1b[31mtoo large")
    return driver


def test_the_picture_has_progress_best_trials_and_failures(tmp_path, drive):
    a_sweep(tmp_path, drive)
    text = drawn(LiveSweep(tmp_path / "s"))
    lines = text.splitlines()
    assert lines[0].startswith(
        "s  running  4/40 trials  26 under way  3 failed  best loss 0.75 (00004)  for 0s"
    )
    assert lines[0].endswith("left")
    assert lines[1].split() == ["trial", "state", "iteration", "loss", "host", "last", "report"]
    assert lines[2].split() == ["00003", "running", "7", "0.25", "node-a", "0s", "ago"]
    assert lines[3].split() == ["00005", "pending"]
    assert lines[12] == "and 16 more"
    assert lines[13].startswith("3 failed: ValueError: [lr] is")
    assert lines[13].endswith("(00000, 00001, 00002)")


def test_the_line_and_the_object_say_the_same(tmp_path, drive):
    driver = a_sweep(tmp_path, drive)
    driver.report("00005", 1, float("nan"))
    driver.say("node", node="n1", state="up", type="gpu", price=3.6)
    driver.tables.flush()
    sweep = LiveSweep(tmp_path / "s")
    assert "4/40 trials" in line(sweep)
    assert "$0.00" in line(sweep)
    found = json.loads(json.dumps(summary(sweep), allow_nan=False))
    assert found["best"] == {"trial": "00004", "loss": 0.75}
    assert (found["done"], found["total"], found["state"]) == (4, 40, "running")
    assert found["under_way"][0]["last_report_s"] < 60
    assert [t["trial"] for t in found["under_way"][:2]] == ["00003", "00005"]
    assert list(found["failures"].values()) == [["00000", "00001", "00002"]]


@pytest.mark.parametrize(
    ("why", "state", "code"),
    [
        ("finished", "completed", 0),
        ("finished", "failed", 1),
        ("stopped", "stopped", 0),
        ("failures", "completed", 1),
        ("interrupted", "completed", 130),
        (None, "completed", 1),
    ],
)
def test_watching_ends_with_the_sweep_and_its_exit_code(
    tmp_path, drive, capsys, monkeypatch, why, state, code
):
    monkeypatch.setattr("sweeps.live.state._QUIET_S", 0.2)
    driver = drive(tmp_path / "s", trials=1)
    driver.suggest("00000")
    driver.report("00000", 1, 0.5)

    def go_on():
        time.sleep(0.5)
        driver.end("00000", state)
        driver.close(why)

    thread = threading.Thread(target=go_on)
    thread.start()
    assert watch(tmp_path / "s", interval_s=0.1) == code
    thread.join(10)
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("s  running  0/1 trials  1 under way")
    assert "1 trials ended" in out


def test_ctrl_c_ends_the_watching_alone(tmp_path, drive, monkeypatch):
    drive(tmp_path / "s")

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.time, "sleep", interrupted)
    assert watch(tmp_path / "s") == 130


def test_an_interval_is_above_zero(tmp_path, starling):
    assert (
        "--interval is 0.0; give seconds above 0"
        in starling("status", tmp_path, "--watch", "--interval", "0").err
    )
    assert "--interval is of --watch" in starling("status", tmp_path, "--interval", "2").err
