import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sweeps import journal as module
from sweeps.journal import Journal, exists, is_running, read
from sweeps.store import lines
from sweeps.store.lease import SweepInUse

FORKER = """
import os, sys
from sweeps.journal import Journal
for path in sys.stdin:
    if os.fork() == 0:  # one import of everything for all rounds
        journal = Journal.open(path.strip())
        print(os.getpid(), flush=True)
        for i in range(10**9):
            journal.append("reported", trial="00001", iteration=i, metrics={"loss": i / 3})
            os.write(1, b"%d\\n" % i)  # whole or not at all
    os.wait()
    print("dead", flush=True)
"""


def test_events_come_back_in_order_with_their_running_numbers(tmp_path):
    with Journal.open(tmp_path / "s") as journal:
        first = journal.append("opened", session="a")
        journal.append("suggested", trial="00000", config={"lr": 0.1}, memo=None)
        assert [e["n"] for e in journal.events()] == [1, 2]
        assert next(journal.events()) == first
    with Journal.open(tmp_path / "s") as journal:
        journal.append("closed", why="finished")
    assert [(e["n"], e["event"]) for e in read(tmp_path / "s")] == [
        (1, "opened"),
        (2, "suggested"),
        (3, "closed"),
    ]


def test_every_finite_double_and_every_special_value_survives_bit_for_bit():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**63, 5000, dtype=np.int64) * 2 + rng.integers(0, 2, 5000)
    floats = [float(x) for x in bits.view(np.float64)] + [
        0.0,
        -0.0,
        5e-324,
        math.inf,
        -math.inf,
        math.nan,
        1e308,
    ]
    for flat in (True, False):
        back = lines.decode(lines.encode({"metrics": {"x": floats}}, flat=flat))["metrics"]["x"]
        for a, b in zip(floats, back, strict=True):
            assert (math.isnan(a) and math.isnan(b)) or np.float64(a).tobytes() == np.float64(b).tobytes()


@pytest.mark.parametrize("flat", [True, False])
def test_what_json_lacks_survives(flat):
    value = {
        "float": {"$float": "nan"}, "$x": 1, "deep": [{"a": math.inf}], "text": 'a"$float"b', "none": None,
        "flag": True,
        "unicode": "é\ud800", "big": 2**70,
    }  # fmt: skip
    assert lines.decode(lines.encode(value, flat=flat)) == value
    exact = {"betas": (0.9, 0.99), "by_number": {1: (2, [3]), "1": 4}, "empty": {}}
    assert lines.decode(lines.encode(exact)) == exact


def test_numpy_and_torch_scalars_are_numbers():
    torch = pytest.importorskip("torch")
    given = {
        "a": np.float32(0.1),
        "b": np.int64(3),
        "c": np.bool_(True),
        "d": torch.tensor(0.5),
        "e": np.float64("nan"),
    }
    back = lines.decode(lines.encode(given, flat=True))
    assert back["a"] == float(np.float32(0.1))
    assert (back["b"], back["c"], back["d"]) == (3, True, 0.5)
    assert math.isnan(back["e"])


def test_a_line_is_strict_json_that_any_other_program_reads():
    def refuse(name):
        raise AssertionError(name)

    json.loads(lines.encode({"metrics": {"loss": math.nan}}, flat=True), parse_constant=refuse)


def test_a_value_that_cannot_be_stored_is_named_and_nothing_is_written(tmp_path):
    with Journal.open(tmp_path) as journal:
        with pytest.raises(ValueError, match=r"config\.model\.activation is <class .* cannot be stored"):
            journal.append("suggested", trial="00000", config={"model": {"activation": dict}})
        journal.append("closed", why="x")
        assert [e["n"] for e in journal.events()] == [1]


def test_a_torn_last_line_is_left_out_by_readers_and_cut_by_the_next_writer(tmp_path):
    with Journal.open(tmp_path) as journal:
        for i in range(3):
            journal.append("reported", iteration=i)
    file = tmp_path / "journal" / "000001.jsonl"
    whole = file.read_bytes()
    for cut in range(1, len(whole) - whole[:-1].rfind(b"\n") - 1):
        file.write_bytes(whole[:-cut])
        assert len(list(read(tmp_path))) == 2 + (
            cut == 1
        )  # only the newline is missing: still a whole event to a reader
    for tail in (b'{"n":4,"t":1', b"\0" * 100, b"garbage\n\0\0\n"):
        file.write_bytes(whole + tail)
        assert len(list(read(tmp_path))) == 3
        with Journal.open(tmp_path) as journal:
            assert journal.append("closed")["n"] == 4
        assert [e["n"] for e in read(tmp_path)] == [1, 2, 3, 4]


def test_damage_before_the_end_is_an_error_that_says_where(tmp_path):
    with Journal.open(tmp_path) as journal:
        for i in range(4):
            journal.append("reported", iteration=i)
    file = tmp_path / "journal" / "000001.jsonl"
    kept = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([kept[0], b"{garbage", *kept[2:]]))
    with pytest.raises(ValueError, match=r"damaged at 000001.jsonl, line 2, where event 2 should be"):
        list(read(tmp_path))
    file.write_bytes(b"\n".join([kept[0], *kept[2:]]))
    with pytest.raises(ValueError, match=r"damaged at 000001.jsonl, line 2"):
        list(read(tmp_path))


def test_segments_are_sealed_and_reading_goes_over_all(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT_BYTES", 1000)
    for _ in range(2):
        with Journal.open(tmp_path) as journal:
            for i in range(50):
                journal.append("reported", iteration=i)
    sizes = [f.stat().st_size for f in sorted((tmp_path / "journal").glob("*.jsonl"))]
    assert len(sizes) > 4
    assert all(1000 <= size < 1200 for size in sizes[:-1])
    assert [e["n"] for e in read(tmp_path)] == list(range(1, 101))


def test_a_second_driver_is_refused_while_the_first_lives(tmp_path):
    with Journal.open(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(
            SweepInUse, match=rf"run by another driver \(host .*, pid {os.getpid()}, since .*wait for it"
        ):
            Journal.open(tmp_path)
    assert not is_running(tmp_path)
    Journal.open(tmp_path).close()


def test_kill_9_at_any_moment_loses_no_appended_event_and_frees_the_sweep(tmp_path):
    rng = random.Random(0)
    command = [sys.executable, "-c", FORKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forker:
        assert forker.stdin is not None
        assert forker.stdout is not None
        for round_ in range(6):
            print(tmp_path, file=forker.stdin, flush=True)
            writer = int(forker.stdout.readline())
            time.sleep(rng.uniform(0, 0.1))
            os.kill(writer, signal.SIGKILL)
            said = [int(line) for line in iter(forker.stdout.readline, "dead\n")]
            with Journal.open(tmp_path) as journal:
                mine = [e["iteration"] for e in journal.events() if e["event"] == "reported"]
                journal.append("closed", why=round_)
            begin = len(mine) - 1 - mine[::-1].index(0) if said else len(mine)
            assert mine[begin:][: len(said)] == said
            assert [e["n"] for e in read(tmp_path)] == list(range(1, len(mine) + round_ + 2))
        forker.stdin.close()


def test_a_full_disk_raises_and_leaves_the_journal_whole(tmp_path, monkeypatch):
    with Journal.open(tmp_path) as journal:
        journal.append("opened")
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
        with pytest.raises(OSError, match="No space left"):
            journal.append("reported", iteration=1)
        monkeypatch.undo()
        journal.append("reported", iteration=2)
    assert [e.get("iteration") for e in read(tmp_path)] == [None, 2]


def test_a_closed_journal_says_so_and_no_journal_is_no_events(tmp_path):
    assert not exists(tmp_path)
    assert list(read(tmp_path)) == []
    journal = Journal.open(tmp_path)
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match=r"closed; open it again"):
        journal.append("opened")
    assert exists(tmp_path)


def test_a_folder_that_cannot_be_made_is_answered_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written in .*: Not a directory"):
        Journal.open(tmp_path / "file" / "sweep")
