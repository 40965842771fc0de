import subprocess
import sys
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from sweeps import journal as journal_module
from sweeps.catalogue import list_sweeps
from sweeps.export import export
from sweeps.journal import Journal, exists, is_running, last, read
from sweeps.results import Results
from sweeps.store import lease as lease_module
from sweeps.store import mirror
from sweeps.store.lease import SweepInUse
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import open_folder, without_secrets
from sweeps.store.tables import Tables


@pytest.fixture(params=["local", "file", "memory", "s3", "fsspec"])
def where(request, tmp_path, monkeypatch):
    """The URI of an empty storage folder, one for each way of opening one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name = f"d{time.time_ns()}"
    if request.param == "local":
        return str(tmp_path / name)
    if request.param == "file":
        return f"file://{tmp_path}/{name}%20x"
    if request.param == "memory":
        return f"memory://{name}"
    host = request.getfixturevalue("s3")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "s3":
        return f"s3://bucket/{name}?endpoint_override={host}&scheme=http"
    return f"fsspec+s3://bucket/{name}"


@pytest.fixture
def remote(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return f"s3://bucket/d{time.time_ns()}?endpoint_override={s3}&scheme=http"


def test_files_are_put_read_listed_and_deleted_alike_in_every_store(where):
    folder = open_folder(where)
    assert not folder.exists("a.txt")
    assert folder.read("a.txt") is None
    assert folder.names() == []
    folder.check_writable()
    folder.put("a.txt", b"one")
    folder.put("a.txt", b"two")
    folder.child("sub").put("b.txt", b"")
    folder.put(".hidden", b"")
    assert folder.read("a.txt") == b"two"
    assert folder.child("sub").read("b.txt") == b""
    assert folder.names() == ["a.txt", "sub"]
    folder.delete("a.txt")
    folder.delete("a.txt")
    assert folder.names() == ["sub"]
    again = open_folder(folder.child("sub").uri)
    assert again.read("b.txt") == b""


def test_a_sweep_is_stored_read_resumed_listed_and_exported_alike_in_every_store(where, tmp_path):
    storage = open_folder(where)
    folder = storage.child("digits")
    manifest = write_manifest(
        folder, Manifest(metric="loss", mode="min", parameters={"lr": "double"}, trials=2), "/"
    )
    assert not exists(folder)
    for session in range(2):
        with (
            Journal.open(folder) as journal,
            Tables(folder, manifest, journal.events(), distributions={}) as tables,
        ):
            assert is_running(folder)
            trial = f"{session:05d}"
            for event, fields in [
                ("suggested", {"config": {"lr": 0.1 + session}, "memo": None}),
                (
                    "reported",
                    {"copies": 0, "iteration": 1, "metrics": {"loss": 2.0 - session}, "decision": "CONTINUE"},
                ),
                ("ended", {"state": "completed", "reason": None}),
            ]:
                tables.fold(journal.append(event, trial=trial, **fields))
            journal.append("closed", why="finished")
    assert not is_running(folder)
    assert [e["n"] for e in read(folder)] == list(range(1, 9))
    assert last(folder)["event"] == "closed"
    results = Results(folder.uri)
    assert results.best.id == "00001"
    assert results.best.metrics == {"loss": 1.0}
    assert results.metrics().num_rows == 2
    path = folder.child("metrics").path
    assert ds.dataset(path, filesystem=folder.filesystem, format="parquet").count_rows() == 2
    (found,) = list_sweeps(where)
    assert (found.name, found.state, found.done, found.total, found.best) == ("digits", "finished", 2, 2, 1.0)
    written = export(folder, to="csv", out=tmp_path / "t.csv")
    assert Path(written).read_text().count("\n") == 3
    assert folder.read("study.journal").count(b"\n") >= 6


def test_what_is_in_the_store_survives_the_loss_of_the_machine(remote, tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "PUT_S", 1e6)  # only `sync` brings anything there
    journal = Journal.open(remote)
    for i in range(3):
        journal.append("reported", iteration=i)
    journal.sync()
    journal.append("reported", iteration=3)  # not yet in the store
    copy = [e["n"] for e in read(remote)]
    assert copy == [1, 2, 3]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another-host"))
    with pytest.raises(SweepInUse, match=r"last sign \d+ s ago\).*if it is dead already, try again in \d+ s"):
        Journal.open(remote)
    monkeypatch.setattr(lease_module, "DEAD_S", -1.0)  # a minute later
    with Journal.open(remote) as other:
        assert other.append("closed", why="elsewhere")["n"] == 4
    third = Journal.open(remote)
    journal._lease._last = 0.0  # the first one wakes up
    with pytest.raises(SweepInUse, match=r"silent too long"):
        journal._lease.beat()
    third.close()
    journal._stop.set()
    journal._lock.release()
    assert [e["event"] for e in read(remote)][-1] == "closed"


CRASHER = """
import os, sys
from sweeps.journal import Journal
journal = Journal.open(sys.argv[1])
for i in range(5):
    journal.append("reported", iteration=i)
    if i == 2:
        journal.sync()
os.kill(os.getpid(), 9)
"""


def test_after_kill_9_the_same_machine_loses_nothing_and_another_gets_what_the_store_has(
    remote, tmp_path, monkeypatch
):
    assert subprocess.run([sys.executable, "-c", CRASHER, remote], check=False).returncode == -9
    assert [e["n"] for e in read(remote)] == [1, 2, 3]
    assert not is_running(remote)  # its spool is here, and nobody holds it
    with Journal.open(remote) as journal:  # at once: no waiting for a lease that a dead process left
        assert [e["n"] for e in journal.events()] == [1, 2, 3, 4, 5]
    assert [e["n"] for e in read(remote)] == [1, 2, 3, 4, 5]
    assert subprocess.run([sys.executable, "-c", CRASHER, remote], check=False).returncode == -9
    monkeypatch.setattr(lease_module, "DEAD_S", -1.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another-host"))
    with Journal.open(remote) as journal:
        assert journal.append("opened")["n"] == 9
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Journal.open(remote) as journal:  # back on the first machine: its leftover is another history now
        assert [e["event"] for e in journal.events()] == ["reported"] * 8 + ["opened"]


def test_a_deleted_sweep_does_not_come_back_from_the_spool(remote):
    assert subprocess.run([sys.executable, "-c", CRASHER, remote], check=False).returncode == -9
    folder = open_folder(remote)
    folder.filesystem.delete_dir(folder.path)
    with Journal.open(remote) as journal:
        assert journal.append("opened")["n"] == 1


def test_sealed_segments_are_put_once(remote, monkeypatch):
    from sweeps import journal as module

    monkeypatch.setattr(module, "SEGMENT_BYTES", 500)
    puts = []
    with Journal.open(remote) as journal:
        store = journal._mirror._journal
        monkeypatch.setattr(
            mirror.Folder,
            "put",
            lambda self, name, data, put=mirror.Folder.put: (puts.append(name), put(self, name, data)),
        )
        for i in range(40):
            journal.append("reported", iteration=i)
            journal.sync()
    segments = [name for name in puts if name.endswith(".jsonl")]
    assert segments == sorted(segments)
    assert len(set(segments)) == len([n for n in store.names() if n.endswith(".jsonl")]) > 3
    assert [e["iteration"] for e in read(remote)] == list(range(40))


def test_credentials_are_never_stored(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    uri = f"s3://AKIATESTING:do-not-store-me@bucket/secret?endpoint_override={s3}&scheme=http"
    folder = open_folder(uri)
    manifest = write_manifest(folder, Manifest(metric="loss", mode="min"), "/")
    with Journal.open(folder) as journal, Tables(folder, manifest, distributions={}):
        journal.append("opened", where=folder.uri)
    assert "do-not-store-me" not in folder.uri + repr(Results(uri))
    for name in ("manifest.json", "journal/000001.jsonl", "study.journal"):
        assert b"do-not-store-me" not in folder.read(name)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert not any(b"do-not-store-me" in file.read_bytes() for file in files)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://key:secret@bucket/x?scheme=http", "s3://bucket/x?scheme=http"),
        ("s3://b/x?access_key=a&secret_key=b&region=eu", "s3://b/x?region=eu"),
        ("s3://b/x?sas_token=z", "s3://b/x"),
        ("/tmp/a@b?c", "/tmp/a@b?c"),
    ],
)
def test_uris_are_shown_without_secrets(uri, shown):
    assert open_folder(uri).uri == shown if "://" not in uri else without_secrets(uri) == shown


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("", "storage is empty"),
        ("abc://x", r"'abc://x' cannot be opened: .*Allowed are a local path"),
        ("s3://k:sec@b d/x", r"'s3://b d/x' cannot be opened"),
    ],
)
def test_a_storage_that_cannot_be_opened_says_what_can(uri, said):
    with pytest.raises(ValueError, match=said) as error:
        open_folder(uri)
    assert "sec@" not in str(error.value)


def test_a_storage_that_cannot_be_written_says_so_before_anything_starts(tmp_path, s3):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ValueError, match=r"cannot be written: .*Not a directory.* Give a folder you may write to"
    ):
        open_folder(tmp_path / "file" / "x").check_writable()
    with pytest.raises(ValueError, match=r"s3://no-such-bucket.*cannot be written"):
        open_folder(f"s3://no-such-bucket/x?endpoint_override={s3}&scheme=http").check_writable()
