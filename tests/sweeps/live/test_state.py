import random
import time

import pytest

from sweeps import Results
from sweeps.live import state
from sweeps.live.state import LiveSweep
from sweeps.store import tail
from sweeps.store.storage import Folder, open_folder


def one_event(driver, rng, trials):
    """A trial begins, reports, pauses, crashes or ends; `trials`: id -> its iteration, None: ended."""
    alive = [trial for trial, iteration in trials.items() if iteration is not None]
    if not alive or (len(trials) < 30 and rng.random() < 0.2):
        trial = f"{len(trials):05d}"
        driver.suggest(trial)
        trials[trial] = 0
        return
    trial, kind = rng.choice(alive), rng.random()
    if kind < 0.7 or not trials[trial]:
        trials[trial] += 1
        driver.report(trial, trials[trial], rng.random(), rng.choice(["CONTINUE", "PAUSE"]))
    elif kind < 0.8:
        driver.say("failed", trial=trial, error="it crashed", again=True)
    else:
        driver.end(trial, rng.choice(["completed", "stopped", "failed"]), "because")
        trials[trial] = None


@pytest.mark.parametrize("seed", range(5))
def test_a_sweep_looked_at_while_it_goes_on_stands_as_its_results_say(tmp_path, drive, monkeypatch, seed):
    """The table is older than the journal, whose newest segments repeat some of it."""
    monkeypatch.setattr("sweeps.journal.SEGMENT_BYTES", 4_000)  # some 25 events
    rng, trials, watchers = random.Random(seed), {}, []
    driver = drive(tmp_path / "s", trials=30)
    for turn in range(300):
        one_event(driver, rng, trials)
        if turn % 15 == 0:
            driver.tables.flush()
        if turn % 70 == 30:
            watchers.append(LiveSweep(tmp_path / "s"))
        if rng.random() < 0.1:
            for watcher in watchers:
                watcher.look()
    driver.tables.flush()
    results = Results(tmp_path / "s")
    for watcher in watchers:
        watcher.look()
        assert dict(watcher.counts) == results.status()
        assert (watcher.best.id, watcher.best.value) == (results.best.id, results.best.value)
        found = {t.id: (t.iteration, t.value, t.host or None) for t in watcher.trials.values()}
        assert found == {t.id: (t.iterations, t.value, t.row["host"]) for t in results.trials}
        assert watcher.state == "running"
        assert watcher.total == 30


def test_looking_again_reads_only_what_is_new(tmp_path, drive, monkeypatch):
    driver = drive(tmp_path / "s")
    for number in range(2_000):
        driver.suggest(f"{number:05d}")
    driver.tables.flush()
    sizes, whole, names = [], Folder.read, []
    read_from = tail.read_from
    monkeypatch.setattr(tail, "read_from", lambda *a: sizes.append(len(c := read_from(*a))) or c)
    monkeypatch.setattr(Folder, "read", lambda self, name: names.append(name) or whole(self, name))
    sweep = LiveSweep(tmp_path / "s")
    assert names.count("trials.parquet") == 1
    assert sum(sizes) > 100_000
    sizes.clear()
    names.clear()
    driver.report("01999", 1, 0.5)
    for _ in range(10):
        sweep.look()
    assert sweep.trials["01999"].value == 0.5
    assert sum(sizes) < 300
    assert names == []


def test_a_journal_of_many_segments_is_read_from_its_newest_two(tmp_path, drive, monkeypatch):
    monkeypatch.setattr("sweeps.journal.SEGMENT_BYTES", 2_000)
    driver = drive(tmp_path / "s")
    for number in range(200):
        driver.suggest(f"{number:05d}")
    driver.tables.flush()
    begun = tail.Tail(driver.folder)
    assert 20 < len(begun.events()) < 100
    sweep = LiveSweep(tmp_path / "s")
    assert len(sweep.trials) == 200
    for number in range(200, 300):  # over several further segments
        driver.suggest(f"{number:05d}")
    sweep.look()
    assert len(sweep.trials) == 300
    assert len(begun.events()) == 100


def test_a_line_that_is_being_written_waits_for_its_end(tmp_path):
    segment = tmp_path / "journal" / "000001.jsonl"
    segment.parent.mkdir()
    segment.write_bytes(b'{"n":1,"t":1.0,"event":"opened"}\n{"n":2,"t":2.0,"ev')
    follower = tail.Tail(open_folder(tmp_path))
    assert [event["n"] for event in follower.events()] == [1]
    with segment.open("ab") as file:
        file.write(b'ent":"closed"}\n')
    assert [event["n"] for event in follower.events()] == [2]
    assert follower.events() == []


def test_the_time_left_is_the_trials_left_at_the_pace_of_the_latest(tmp_path, drive):
    driver = drive(tmp_path / "s", trials=10)
    driver.close()
    sweep = LiveSweep(tmp_path / "s")
    assert sweep.left_s() is None
    sweep.began = 100.0
    for number, t in enumerate([50.0, 110.0, 114.0, 118.0]):  # the first in a session before
        sweep._fold({"event": "suggested", "t": t, "trial": f"{number:05d}"})
        sweep._fold({"event": "ended", "t": t, "trial": f"{number:05d}", "state": "completed"})
    assert sweep.left_s() == 4.0 * 6


def test_how_a_sweep_ended_is_seen(tmp_path, drive, monkeypatch):
    monkeypatch.setattr(state, "_QUIET_S", 0.0)
    driver = drive(tmp_path / "s")
    driver.suggest("00000")
    sweep = LiveSweep(tmp_path / "s")
    assert sweep.state == "running"
    driver.close()  # without a word
    sweep.look()
    assert sweep.state == "crashed"
    again = drive(tmp_path / "s")
    sweep.look()
    assert sweep.state == "running"
    again.close("max_cost")
    sweep.look()
    assert sweep.state == "max_cost"


def test_trials_under_way_are_shown_running_ones_first(tmp_path, drive):
    driver = drive(tmp_path / "s")
    for trial in ("00000", "00001", "00002", "00003"):
        driver.suggest(trial)
    driver.report("00001", 1, 0.5, "PAUSE")
    driver.report("00002", 1, 0.5)
    driver.end("00000", "failed", "no")
    before = time.time()
    sweep = LiveSweep(tmp_path / "s")
    assert [(t.id, t.state) for t in sweep.under_way] == [
        ("00002", "running"), ("00001", "paused"), ("00003", "pending"),
    ]  # fmt: skip
    assert 0 <= before - sweep.trials["00002"].reported < 60
    assert sweep.known("2") == "00002"
    with pytest.raises(ValueError, match="has no trial '7'; it has 00000 to 00003"):
        sweep.known("7")


def test_on_a_store_the_same_is_read(tmp_path, drive, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    uri = f"memory://live/{tmp_path.name}/s"
    driver = drive(uri, trials=2)
    driver.suggest("00000")
    driver.tables.flush()
    driver.journal.sync()
    sweep = LiveSweep(uri)
    assert (sweep.state, sweep.trials["00000"].state) == ("running", "pending")
    sizes, read_from = [], tail.read_from
    monkeypatch.setattr(tail, "read_from", lambda *a: sizes.append(len(c := read_from(*a))) or c)
    driver.report("00000", 1, 0.5)
    driver.end("00000", "completed")
    driver.journal.sync()
    sweep.look()
    assert (sweep.trials["00000"].state, sweep.trials["00000"].value) == ("completed", 0.5)
    assert 0 < sum(sizes) < 400
    driver.close("finished")
    sweep.look()
    assert (sweep.state, sweep.left_s()) == ("finished", None)
