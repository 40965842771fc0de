import threading
import time

import pytest

from sweeps.live.stop import stop
from sweeps.store.inbox import Inbox


def test_a_sweep_that_does_not_run_cannot_be_stopped(tmp_path, drive):
    path = tmp_path / "s"
    with pytest.raises(ValueError, match="holds no sweep"):
        stop(path)
    driver = drive(path)
    driver.suggest("00000")
    driver.close()
    with pytest.raises(ValueError, match=r"is not running \(crashed: its driver is gone\).*starling resume"):
        stop(path)
    with pytest.raises(ValueError, match="is not running"):
        stop(path, ["00000"])
    drive(path).close("finished")
    with pytest.raises(ValueError, match=r"is not running \(finished\)"):
        stop(path)
    drive(path).close("stopped")
    assert "is stopped already" in stop(path)[0]
    with pytest.raises(ValueError, match="time-out is 0"):
        stop(path, timeout_s=0)


def test_trials_that_have_ended_or_are_unknown_are_errors_and_nothing_is_stopped(tmp_path, drive):
    driver = drive(tmp_path / "s")
    for trial in ("00000", "00001", "00002"):
        driver.suggest(trial)
    driver.end("00000", "completed")
    driver.end("00001", "stopped", "stopped by hand")
    driver.end("00002", "stopped", "diverged")  # by a rule
    path, began = tmp_path / "s", time.monotonic()
    assert stop(path, ["1"]) == ["00001 is stopped by hand already"]
    with pytest.raises(ValueError, match=r"00000 has ended already \(completed\)"):
        stop(path, ["00000", "1"])
    with pytest.raises(ValueError, match=r"00002 has ended already \(stopped\)"):
        stop(path, ["2"])
    with pytest.raises(ValueError, match="no trial '9'; it has 00000 to 00002"):
        stop(path, ["9"])
    assert time.monotonic() - began < 10  # nobody was asked: nobody would answer


def test_a_driver_that_does_not_answer_is_told_of_and_the_request_withdrawn(tmp_path, drive):
    driver = drive(tmp_path / "s")
    driver.suggest("00000")
    with pytest.raises(ValueError, match=r"has not answered within 0\.5 s, and nothing was stopped"):
        stop(tmp_path / "s", timeout_s=0.5)
    with pytest.raises(ValueError, match="has not answered"):
        stop(tmp_path / "s", ["0"], timeout_s=0.5)
    assert driver.folder.child("inbox").names() == []


def test_what_the_driver_says_of_each_trial_is_passed_on(tmp_path, drive):
    driver = drive(tmp_path / "s")
    driver.suggest("00000")
    driver.suggest("00001")

    def answer():
        while not (found := inbox.taken()):
            time.sleep(0.05)
        assert found[0].what == {"trials": ["00001", "00000"]}
        inbox.answer(found[0], {"trials": {"00000": "stopped", "00001": "was about to end"}})

    with Inbox(driver.folder) as inbox:
        thread = threading.Thread(target=answer)
        thread.start()
        assert stop(tmp_path / "s", ["1", "0", "1"]) == ["00001 was about to end", "00000 is stopped"]
        thread.join(10)


def test_stopping_a_sweep_waits_until_its_driver_has_let_go_of_it(tmp_path, drive):
    driver = drive(tmp_path / "s", trials=4)
    driver.suggest("00000")

    def obey():
        while not (found := inbox.taken()):
            time.sleep(0.05)
        inbox.answer(found[0], {"trials": {}})
        time.sleep(1)
        driver.close("stopped")

    with Inbox(driver.folder) as inbox:
        thread = threading.Thread(target=obey)
        thread.start()
        (line,) = stop(tmp_path / "s")
        assert not thread.is_alive() or thread.join(1) is None
        thread.join(10)
    assert "is stopped, 0 of 4 trials ended; next: starling resume" in line
