import math
import os
import random
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from sweeps.journal import Journal, read
from sweeps.store import tables as module
from sweeps.store.manifest import Manifest
from sweeps.store.metrics_table import MetricsTable
from sweeps.store.storage import open_folder
from sweeps.store.tables import Tables
from sweeps.store.trials_table import look_up, trials_schema, typed

MANIFEST = Manifest(
    metric="loss",
    mode="min",
    parameters={
        "lr": "double",
        "layers": "int64",
        "nesterov": "bool",
        "optimizer.name": "string",
        "seconds": "double",
    },
)

FORKER = """
import os, sys
from sweeps.store import tables
from sweeps.journal import Journal
from sweeps.store.manifest import Manifest
from sweeps.store.storage import open_folder
tables.ROWS, tables.EVERY_S, tables.SHARE = 300, 0.01, 1.0

def write(folder):
    with Journal.open(folder) as journal:
        with tables.Tables(folder, Manifest(metric="loss", mode="min"), journal.events()) as made:
            print(os.getpid(), flush=True)
            session = sum(1 for _ in journal.events())
            for i in range(10**9):
                metrics = {"loss": i / 3, **({"late": i} if i > 500 else {})}
                made.fold(journal.append("reported", trial=f"{session}-{i % 7}", iteration=i + 1, copies=0,
                                         metrics=metrics, decision="CONTINUE"))

for path in sys.stdin:
    if os.fork() == 0:  # one import of everything for all rounds
        write(open_folder(path.strip()))
    os.wait()
    print("dead", flush=True)
"""


def report(trial="00000", iteration=1, t=100.0, copies=0, decision="CONTINUE", **metrics):
    key = {"trial": trial, "copies": copies, "iteration": iteration}
    return {"event": "reported", **key, "t": t, "metrics": metrics, "decision": decision}


def suggest(trial="00000", t=99.0, **config):
    return {"event": "suggested", "trial": trial, "t": t, "config": config, "memo": None}


def folded(tmp_path, *events, manifest=MANIFEST):
    with Tables(open_folder(tmp_path), manifest, events):
        pass
    return Seen(tmp_path)


class Seen:
    """The files as any other program would read them."""

    def __init__(self, path):
        self.trials = pq.read_table(path / "trials.parquet")
        parts = sorted((path / "metrics").glob("*.parquet")) if (path / "metrics").exists() else []
        self.metrics = (
            pa.concat_tables([pq.read_table(p) for p in parts], promote_options="default") if parts else None
        )


def test_a_hand_worked_sweep_gives_the_rows_written_out_here(tmp_path):
    got = folded(
        tmp_path,
        suggest("00000", lr=0.1, layers=2, nesterov=True, optimizer={"name": "sgd"}),
        suggest("00001", lr=0.2, layers=3, optimizer={"name": "adam"}),
        report("00000", 1, 101.0, loss=2.0, time_total_s=0.5),
        {**report("00001", 1, 101.5, loss=math.nan), "host": "node7"},
        report("00000", 2, 102.0, loss=3.0, time_total_s=1.5),
        {
            "event": "checkpointed",
            "trial": "00000",
            "t": 102.1,
            "path": "trials/00000/c2",
            "copies": 0,
            "iteration": 2,
        },
        {
            "event": "failed",
            "trial": "00001",
            "t": 103.0,
            "error": "\n".join(f"line {i}" for i in range(50)),
            "again": True,
        },
        {"event": "ended", "trial": "00000", "t": 104.0, "state": "completed", "reason": None},
    )
    rows = got.trials.to_pylist()
    first, second = rows
    assert list(first.values())[:7] == ["00000", "completed", 2, 0.1, 2, True, "sgd"]
    assert (first["loss"], first["best_loss"], first["seconds"]) == (3.0, 2.0, 1.5)
    assert (first["started"].timestamp(), first["ended"].timestamp()) == (100.5, 104.0)
    assert first["checkpoint"] == "trials/00000/c2"
    assert (second["state"], second["failures"], second["nesterov"], second["host"]) == (
        "pending",
        1,
        None,
        "node7",
    )
    assert math.isnan(second["loss"])
    assert second["best_loss"] is None
    assert second["error"].splitlines() == [f"line {i}" for i in range(30, 50)]
    assert got.metrics.select(["trial", "copies", "iteration", "loss"]).to_pylist()[::2] == [
        {"trial": "00000", "copies": 0, "iteration": 1, "loss": 2.0},
        {"trial": "00000", "copies": 0, "iteration": 2, "loss": 3.0},
    ]


def test_columns_are_the_documented_ones_in_the_spaces_order_and_no_hyperparameter_is_lost():
    schema = trials_schema(MANIFEST.parameters, MANIFEST.objectives)
    assert schema.names[:10] == [
        "trial", "state", "iterations", "lr", "layers", "nesterov", "optimizer.name", "config/seconds",
        "loss", "best_loss",
    ]  # fmt: skip
    assert schema.field("seconds").type == schema.field("config/seconds").type == pa.float64()
    assert schema.field("nesterov").type == pa.bool_()
    with pytest.raises(ValueError, match=r"metric 'state' is also a column .*another name"):
        trials_schema({}, {"state": "min"})


@pytest.mark.parametrize(
    ("value", "kind", "stored"),
    [
        (1, "double", 1.0), (2.0, "int64", 2), (2.5, "int64", None), (True, "bool", True),
        ("a", "string", "a"),
        ((1, 2), "string", '{"$tuple":[1,2]}'), (3, "string", "3"), ("x", "double", None),
        (math.inf, "double", math.inf),
    ],
)  # fmt: skip
def test_hyperparameters_are_stored_in_their_columns_type(value, kind, stored):
    assert typed(value, kind) == stored


def test_dotted_names_are_looked_up_in_nested_and_in_flat_configs():
    assert look_up({"a": {"b": 1}, "c.d": 2}, {"a.b": "", "c.d": "", "a.x": "", "a.b.c": ""}) == {
        "a.b": 1,
        "c.d": 2,
    }


def test_steps_repeated_after_a_failure_are_no_new_rows_and_change_nothing(tmp_path):
    got = folded(
        tmp_path,
        *(report(iteration=i, loss=float(i)) for i in (1, 2, 3, 2, 3, 4)),
    )
    assert got.metrics["iteration"].to_pylist() == [1, 2, 3, 4]
    assert got.trials["loss"].to_pylist() == [4.0]


def test_a_copied_trial_repeats_the_donors_iterations_under_a_new_number_of_copies(tmp_path):
    copy = {
        "trial": "00000",
        "copies": 1,
        "donor": "00001",
        "donor_iteration": 2,
        "config": {"lr": 0.5},
        "path": "trials/00001/c",
    }
    got = folded(
        tmp_path,
        suggest("00000", lr=0.1),
        suggest("00001", lr=0.4),
        *(report("00000", i, loss=float(i)) for i in (1, 2, 3)),
        {**report("00001", 3, loss=0.0), "copied": [copy]},
        *(report("00000", i, copies=1, loss=10.0 + i) for i in (3, 4)),
    )
    mine = [r for r in got.metrics.to_pylist() if r["trial"] == "00000"]
    assert [(r["copies"], r["iteration"], r["loss"]) for r in mine] == [
        (0, 1, 1.0), (0, 2, 2.0), (0, 3, 3.0), (1, 3, 13.0), (1, 4, 14.0),
    ]  # fmt: skip
    row = got.trials.to_pylist()[0]
    assert (row["copies"], row["copied_from"], row["lr"], row["iterations"]) == (1, "00001", 0.5, 4)


def test_metrics_may_appear_at_any_time_change_type_be_nested_or_have_a_columns_name(tmp_path):
    table = MetricsTable(open_folder(tmp_path), rows=2)
    for i, metrics in enumerate(
        [
            {"a": 1, "time": 5.0},
            {"a": 2.5, "b": "word"},
            {"a": "text", "b": 3, "flag": True},
            {"deep": {"x": 1, "y": {"z": 2}}, "list": [1, 2], "none": None},
            {"a": 4.0},
        ]
    ):
        table.add("t", 0, i, float(i), metrics)
        table.write()
    assert sorted(p.name for p in (tmp_path / "metrics").iterdir()) == [
        f"part-0000{i}.parquet" for i in range(3)
    ]
    whole = columns_of(tmp_path)
    assert whole["a"] == [1.0, 2.5, None, None, 4.0]
    assert whole["metrics/time"][0] == 5.0
    assert whole["a/text"][2] == "text"
    assert (whole["b"][1], whole["b/number"][2], whole["flag"][2]) == ("word", 3.0, 1.0)
    assert (whole["deep/x"][3], whole["deep/y/z"][3], whole["list"][3], whole["none"][3]) == (
        1.0,
        2.0,
        "[1,2]",
        None,
    )


def columns_of(path):
    parts = sorted((path / "metrics").glob("*.parquet"))
    return pa.concat_tables([pq.read_table(p) for p in parts], promote_options="default").to_pydict()


def test_full_parts_are_kept_by_a_replay_and_rows_the_journal_lacks_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 10)
    events = [report(iteration=i + 1, loss=float(i)) for i in range(45)]
    folded(tmp_path, *events)
    parts = sorted((tmp_path / "metrics").iterdir())
    stamps = [p.stat().st_mtime_ns for p in parts]
    folded(tmp_path, *events)
    assert [p.stat().st_mtime_ns for p in parts[:4]] == stamps[:4]
    for kept in (31, 30, 5, 0):  # a journal that knows less than the tables (its machine was lost)
        got = folded(tmp_path, *events[:kept])
        assert (got.metrics["iteration"].to_pylist() if got.metrics else []) == list(range(1, kept + 1))
    parts[0].write_bytes(b"torn by a power cut")
    assert folded(tmp_path, *events).metrics.num_rows == 45


def test_flush_shows_everything_at_once_and_a_reader_never_sees_a_half_written_file(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EVERY_S", 0.001)
    monkeypatch.setattr(module, "ROWS", 50)
    end = time.monotonic() + 1.5
    with Tables(open_folder(tmp_path), MANIFEST) as tables:
        count = 0
        while time.monotonic() < end:
            for _ in range(20):
                count += 1
                tables.fold(report(iteration=count, loss=1.0))
            seen = (
                ds.dataset(tmp_path / "metrics", format="parquet").to_table()["iteration"].to_pylist()
                if count > 20
                else []
            )
            assert seen == list(range(1, len(seen) + 1))
            tables.flush()
            assert ds.dataset(tmp_path / "metrics", format="parquet").count_rows() == count
            assert pq.read_table(tmp_path / "trials.parquet")["iterations"].to_pylist() == [count]


def test_kill_9_at_any_moment_doubles_and_loses_no_row(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 300)
    rng = random.Random(1)
    command = [sys.executable, "-c", FORKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forker:
        assert forker.stdin is not None
        assert forker.stdout is not None
        for _ in range(6):
            print(tmp_path, file=forker.stdin, flush=True)
            writer = int(forker.stdout.readline())
            time.sleep(rng.uniform(0.02, 0.3))
            os.kill(writer, signal.SIGKILL)
            assert forker.stdout.readline() == "dead\n"
            truth = [e for e in read(tmp_path) if e["event"] == "reported"]
            truth = [(e["trial"], e["iteration"], e["metrics"]["loss"]) for e in truth]
            left = rows_of(tmp_path)
            assert left == truth[: len(left)]
            with Journal.open(tmp_path) as journal:
                folded(tmp_path, *journal.events(), manifest=Manifest(metric="loss", mode="min"))
            assert not [p.name for p in tmp_path.rglob(".*") if p.is_file() and p.name != ".lock"]
            assert rows_of(tmp_path) == truth
        forker.stdin.close()
    assert len(truth) > 300


def rows_of(path):
    if not any((path / "metrics").glob("[!.]*.parquet")):  # a writer killed early leaves an empty folder
        return []
    table = ds.dataset(path / "metrics", format="parquet").to_table(columns=["trial", "iteration", "loss"])
    return [tuple(row.values()) for row in table.to_pylist()]


def test_a_store_that_fails_for_a_while_loses_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    folder = open_folder(tmp_path)
    with Tables(folder, MANIFEST) as tables:
        tables.fold(report(iteration=1, loss=1.0))
        tables.flush()
        (tmp_path / "metrics").rename(tmp_path / "aside")
        (tmp_path / "metrics").write_text("in the way")
        tables.fold(report(iteration=2, loss=1.0))
        time.sleep(0.3)
        assert "cannot be written" in caplog.text
        (tmp_path / "metrics").unlink()
        (tmp_path / "aside").rename(tmp_path / "metrics")
        tables.fold(report(iteration=3, loss=1.0))
    assert Seen(tmp_path).metrics["iteration"].to_pylist() == [1, 2, 3]


def test_what_ran_when_a_session_ended_is_pending_and_extensions_are_counted(tmp_path):
    story = [
        suggest("00000"),
        report("00000", 1, loss=1.0),
        suggest("00001"),
        report("00001", 1, decision="PAUSE", loss=2.0),
    ]
    assert folded(tmp_path, *story).trials["state"].to_pylist() == ["running", "paused"]
    got = folded(
        tmp_path, *story, {"event": "closed", "t": 200.0}, {"event": "extended", "t": 201.0, "trials": 3}
    )
    assert got.trials["state"].to_pylist() == ["pending", "paused"]
    assert got.trials.schema.metadata[b"extended"] == b"3"


def test_a_trial_that_fails_for_good_has_its_reason_as_its_error_and_every_failure_counted(tmp_path):
    got = folded(
        tmp_path,
        suggest("00000", lr=0.1),
        {"event": "failed", "trial": "00000", "t": 103.0, "error": "the first", "again": True},
        {"event": "ended", "trial": "00000", "t": 104.0, "state": "failed", "reason": "the last"},
    )
    row = got.trials.to_pylist()[0]
    assert (row["state"], row["failures"]) == ("failed", 2)
    assert (row["error"], row["reason"]) == ("the last", "the last")


def test_text_that_utf8_cannot_hold_and_huge_numbers_do_not_stop_the_tables(tmp_path):
    got = folded(
        tmp_path,
        suggest("00000", lr=1e308, layers=2**70, optimizer={"name": "\ud800"}),
        report("00000", 1, loss=1.0, note="\udfff"),
        {"event": "failed", "trial": "00000", "t": 103.0, "error": "bad \ud800 byte", "again": False},
    )
    row = got.trials.to_pylist()[0]
    assert (row["error"], row["layers"], row["optimizer.name"]) == ("bad ? byte", None, "?")
    assert got.metrics["note"].to_pylist() == ["?"]
