import json
import math
import subprocess

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sweeps.catalogue import list_sweeps
from sweeps.export import export
from sweeps.journal import Journal
from sweeps.results import Results
from sweeps.store.manifest import Manifest, environment, git_state, read_manifest, write_manifest
from sweeps.store.storage import open_folder
from sweeps.store.tables import Tables


def sweep(path, trials, metric="loss", mode="min", parameters=None, closed=True, total=None):
    """A stored sweep; trials: (state, [value or tuple of values of each report])."""
    folder = open_folder(path)
    manifest = Manifest(metric=metric, mode=mode, parameters=parameters or {"lr": "double"}, trials=total)
    manifest = write_manifest(folder, manifest, "/")
    names = [metric] if isinstance(metric, str) else metric
    with (
        Journal.open(folder) as journal,
        Tables(folder, manifest, journal.events(), distributions={}) as tables,
    ):
        for i, (state, values) in enumerate(trials):
            trial = f"{i:05d}"
            config = {"lr": i / 10, "model": {"width": 8, "betas": (0.9, 0.99)}}
            tables.fold(journal.append("suggested", trial=trial, config=config, memo=None))
            for step, value in enumerate(values, start=1):
                metrics = dict(zip(names, value if isinstance(value, tuple) else (value,), strict=True))
                fields = {"iteration": step, "metrics": metrics | {"epoch": step}, "decision": "CONTINUE"}
                tables.fold(journal.append("reported", trial=trial, copies=0, **fields))
            if state not in ("pending", "running"):
                tables.fold(journal.append("ended", trial=trial, state=state, reason=None))
        if closed:
            journal.append("closed", why="finished")
    return Results(path)


def test_the_best_is_the_completed_trial_with_the_best_last_value(tmp_path):
    results = sweep(
        tmp_path,
        [
            ("stopped", [0.1]),  # better, but after one iteration
            ("completed", [0.05, 0.5]),  # better on its way, worse at its end
            ("completed", [0.9, 0.4]),
            ("failed", [0.2]),
            ("completed", [math.nan]),
            ("running", [0.3]),
            ("pending", []),
        ],
    )
    assert [t.id for t in results.top(9)] == ["00002", "00001", "00000", "00005", "00003"]
    assert [t.id for t in results.top(2, by="best")] == ["00001", "00000"]
    best = results.best
    assert (best.id, best.value, best.iterations, best.state) == ("00002", 0.4, 2, "completed")
    assert best.config == {"lr": 0.2, "model": {"width": 8, "betas": (0.9, 0.99)}}
    assert best.metrics == {"loss": 0.4, "epoch": 2.0}
    assert results.status() == {"stopped": 1, "completed": 3, "failed": 1, "running": 1, "pending": 1}
    assert "1 stopped, 3 completed" in repr(results)
    assert "best loss 0.4 by 00002" in repr(results)
    assert json.loads(json.dumps(best.to_dict()))["loss"] == 0.4
    with pytest.raises(ValueError, match="by is 'luck'"):
        results.top(1, by="luck")


def test_max_means_the_largest(tmp_path):
    results = sweep(
        tmp_path, [("completed", [0.1]), ("completed", [0.7, 0.6]), ("completed", [0.65])], mode="max"
    )
    assert [t.value for t in results.top(3)] == [0.65, 0.6, 0.1]
    assert results.top(1, by="best")[0].best_values == (0.7,)


def test_pareto_is_the_set_that_a_direct_reading_of_the_definition_gives(tmp_path):
    rng = np.random.default_rng(3)
    points = [tuple(p) for p in rng.integers(0, 6, (60, 2)).astype(float).tolist()]
    results = sweep(tmp_path, [("completed", [p]) for p in points], ["loss", "acc"], ["min", "max"])
    expected = [
        i
        for i, (loss, acc) in enumerate(points)
        if not any(b <= loss and a >= acc and (b < loss or a > acc) for b, a in points)
    ]
    assert [int(t.id) for t in results.pareto()] == expected
    assert results.metric == ["loss", "acc"]
    assert results.best.values[0] == min(p[0] for p in points)


def test_tables_come_as_arrow_and_pandas(tmp_path):
    results = sweep(tmp_path, [("completed", [0.5, 0.4]), ("stopped", [0.9])])
    frame = results.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame["iterations"].tolist() == [2, 1]
    assert results.to_arrow().column("lr").to_pylist() == [0.0, 0.1]
    assert results.metrics().column("loss").to_pylist() == [0.5, 0.4, 0.9]
    assert results.metrics("00001").num_rows == 1
    assert len(results) == len(results.trials) == 2


def test_a_sweep_that_has_not_begun_has_empty_results(tmp_path):
    write_manifest(
        open_folder(tmp_path), Manifest(metric="loss", mode="min", parameters={"lr": "double"}), "/"
    )
    results = Results(tmp_path)
    assert (results.best, results.trials, results.pareto(), results.metrics().num_rows) == (None, [], [], 0)
    assert "lr" in results.to_arrow().column_names
    assert "no trials yet" in repr(results)


def test_a_folder_without_a_sweep_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"holds no sweep: .*starling ls STORAGE"):
        Results(tmp_path)


def test_sweeps_are_listed_with_their_state(tmp_path):
    sweep(tmp_path / "a", [("completed", [1.0]), ("failed", [])], total=2)
    sweep(tmp_path / "b", [("completed", [3.0]), ("running", [2.0])], closed=False, total=5)
    folder = open_folder(tmp_path / "b")
    with Journal.open(folder) as journal, Tables(folder, read_manifest(folder), journal.events()) as tables:
        tables.fold(journal.append("extended", trials=4))
    (tmp_path / "no sweep").mkdir()
    first, second = list_sweeps(tmp_path)
    assert (first.name, first.state, first.done, first.total, first.failed, first.best) == (
        "a",
        "finished",
        2,
        2,
        1,
        1.0,
    )
    assert (second.name, second.state, second.done, second.total) == ("b", "crashed", 1, 9)
    with Journal.open(tmp_path / "b"):
        assert list_sweeps(tmp_path / "b")[0].state == "running"
    json.dumps(first.to_dict())


def test_exports_hold_every_trial(tmp_path, monkeypatch):
    results = sweep(tmp_path / "digits", [("completed", [0.5]), ("stopped", [0.9])])
    monkeypatch.chdir(tmp_path)
    assert export(results.path) == str(tmp_path / "digits.csv")
    assert pd.read_csv("digits.csv")["loss"].tolist() == [0.5, 0.9]
    assert pq.read_table(export(results.path, to="parquet", out="x.parquet")).equals(results.to_arrow())
    assert export(results.path, to="optuna") == str(tmp_path / "digits.journal")
    assert (tmp_path / "digits.journal").read_bytes() == (tmp_path / "digits" / "study.journal").read_bytes()
    with pytest.raises(ValueError, match=r"export to 'cvs' is not possible; did you mean 'csv'"):
        export(results.path, to="cvs")
    with pytest.raises(ValueError, match=r"cannot be written: .*--out"):
        export(results.path, out="x.parquet/y")


def test_the_manifest_holds_what_repeats_a_sweep_and_no_secret(tmp_path, monkeypatch):
    repository, home = tmp_path / "code", tmp_path / "home"
    repository.mkdir()
    home.mkdir()
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (repository / "train.py").write_text("lr = 1\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    (repository / "train.py").write_text('lr = 2\nAPI_KEY = "hunter22hunter22"\n')
    (repository / ".env").write_text("TOKEN=hunter22hunter22")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "hunter22hunter22")
    monkeypatch.setenv("STARLING_DATA", "/data")
    monkeypatch.setattr("sys.argv", ["starling", "run", "--set", "api_key=hunter22hunter22", "x.py"])
    folder = open_folder(tmp_path / "sweep")
    given = Manifest(metric="loss", mode="min", parameters={"b": "int64", "a": "string"}, trials=3, seed=7)
    written = write_manifest(folder, given, repository)
    assert b"hunter22" not in folder.read("manifest.json")
    assert read_manifest(folder) == written
    assert list(written.parameters) == ["b", "a"]
    rest = written.rest
    assert "+lr = 2" in rest["git"]["diff"]
    assert len(rest["git"]["commit"]) == 40
    assert rest["environment"]["STARLING_DATA"] == "/data"
    assert rest["command"][3] == "api_key=***"
    assert rest["versions"]["pyarrow"]
    assert written.seed == 7
    monkeypatch.setattr("socket.gethostname", lambda: "second")
    again = write_manifest(folder, given, tmp_path)
    assert again.rest["git"] == rest["git"]
    assert again.rest["hosts"] == [*rest["hosts"], "second"]
    assert git_state(home) is None


def test_only_harmless_environment_variables_are_kept():
    given = {
        "PATH": "x",
        "RAY_ADDRESS": "http://u:p@h",
        "WANDB_API_KEY": "k",
        "NCCL_DEBUG": "INFO",
        "STARLING_TOKEN": "t",
    }
    assert environment(given) == {"NCCL_DEBUG": "INFO", "RAY_ADDRESS": "http://h"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mode": "maximum"}, "mode is 'maximum'"),
        ({"mode": ["min", "max"]}, "for each"),
        ({"parameters": {"a": "float"}}, "float"),
    ],
)
def test_a_wrong_manifest_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Manifest(**({"metric": "loss", "mode": "min"} | wrong))
