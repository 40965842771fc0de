"""The journal as a process beside the driver reads it, and what it remembers of W&B."""

import json

from sweeps import journal as journals
from sweeps.tracking import events as module
from sweeps.tracking import identity
from sweeps.tracking.events import Events
from sweeps.tracking.ledger import OFFLINE, Ledger


def drain(events):
    found = []
    while new := events.take():
        found += new
    return found


def test_every_event_comes_once_in_order_over_segments_and_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 3000)
    monkeypatch.setattr(module, "CHUNK", 500)
    events, found = Events(tmp_path / "journal"), []
    assert events.take() == []  # there is no journal yet
    with journals.Journal.open(tmp_path) as journal:
        for i in range(300):
            journal.append("reported", trial="00000", value=i, text="x" * (i % 7 * 200))  # some over a chunk
            if i % 13 == 0:
                found += drain(events)
        found += drain(events)
        assert found == list(journal.events())
    assert len(list((tmp_path / "journal").glob("*.jsonl"))) > 3
    assert len(found) == 300


def test_half_a_line_waits_for_its_other_half(tmp_path):
    events = Events(tmp_path)
    file = tmp_path / "000001.jsonl"
    file.write_bytes(b'{"n":1,"event":"a"}\n{"n":2,"ev')
    assert [one["n"] for one in events.take()] == [1]
    assert events.take() == []
    with file.open("ab") as more:
        more.write(b'ent":"b"}\n')
    assert [one["n"] for one in events.take()] == [2]


def test_the_ledger_keeps_destinations_apart_and_survives_a_torn_line(tmp_path):
    path = tmp_path / "sent.jsonl"
    Ledger(path, "here").note("00000", 5, False)
    Ledger(path, OFFLINE).note("00000", 9, True)
    Ledger(path, "here").note("00000", 7, True)
    with path.open("a") as file:
        file.write('{"to": "here", "trial": "00001", "ro')
    again = Ledger(path, "here")
    assert (again.rows("00000"), again.ended("00000")) == (7, True)
    assert (again.rows("00001"), again.ended("00001")) == (0, False)
    assert Ledger(path, OFFLINE).rows("00000") == 9
    assert (Ledger(path, "elsewhere").rows("00000"), Ledger(path, "elsewhere").ended("00000")) == (0, False)


def test_a_note_after_a_torn_line_is_not_lost(tmp_path):
    path = tmp_path / "sent.jsonl"
    path.write_text('{"to": "here", "trial": "00001", "ro')
    Ledger(path, "here").note("00002", 3, True)
    assert Ledger(path, "here").rows("00002") == 3


def test_a_sweeps_identity_is_drawn_once_and_an_older_sweep_keeps_its_key(tmp_path):
    first = identity.load(tmp_path)
    first.project = "a/b"
    first.sweeps["x"] = {"id": "1"}
    identity.save(tmp_path, first)
    assert identity.load(tmp_path) == first
    assert json.loads((tmp_path / identity.FILE).read_text())["key"] == first.key
    (tmp_path / "old" / "wandb").mkdir(parents=True)
    (tmp_path / "old" / "wandb" / "key").write_text("abcdef\n")
    assert identity.load(tmp_path / "old").key == "abcdef"
    assert identity.load(tmp_path / "new").key != first.key


def test_run_ids_have_only_letters_that_wandb_takes():
    assert identity.run_name("my sweep/2: ähm#%") == "my-sweep-2-hm-"
    assert len(identity.run_name("x" * 500)) == 80
