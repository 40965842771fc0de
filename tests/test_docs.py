"""Every command and every block of Python and YAML in README.md and docs/ runs, in the order they stand.

Each document has an empty folder of its own with the recipes, the clusters' YAMLs, the Makefile and a tiny
CIFAR-10 archive in it, and, except the README's, a finished `results/quickstart`. Not done as written:

| written                        | done                                                                      |
|--------------------------------|---------------------------------------------------------------------------|
| a sweep                        | two trials at most, one after the other, of two reports at most, one rank |
| `--extend N`, `extend=N`       | one further trial                                                         |
| a block that begins `# NAME`   | is that file; Python compiled, YAML checked; a command after it runs it   |
| `make TARGET`                  | `make -n TARGET`                                                          |
| `pip install ...`              | its files exist                                                           |
| `optuna-dashboard FILE`        | Optuna opens FILE                                                         |
| `starling cluster VERB`        | `lint`; `plan` of 20 trials and one seed; what starts nodes is only read  |
| a further sweep of a file      | `starling check`; `pytest -m slow` runs it                                |
| a file outside of the README   | the same                                                                  |

(Longer than most: the rules, and the tables of the documents against those of the code.)
"""

import dataclasses
import io
import json
import os
import pickle
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import numpy as np
import optuna
import pytest
import ray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import search_algs
import sweeps.run
from sweeps import Sweep, cli, journal, schedulers
from sweeps.store.metrics_table import KEY
from sweeps.store.trials_table import trials_schema

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [doc.name for doc in DOCS]
ELSEWHERE = ("https://keepachangelog.com/", "https://semver.org/")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w-]+\.(?:py|yaml))\n")

quiet = pytest.mark.filterwarnings("ignore")  # Ray's and W&B's own, in their threads


def text_of(name):
    return next(doc for doc in DOCS if doc.name == name).read_text()


def blocks(name):
    """(language, content, where) of each fenced block of a document."""
    text = text_of(name)
    return [(m[1], m[2], f"{name}:{text[: m.start()].count(chr(10)) + 1}") for m in BLOCK.finditer(text)]


def archive(path):
    """CIFAR-10's python version with a hundred random images a batch."""
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:gz") as tar:
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            images = rng.integers(0, 256, (100, 3072), np.uint8)
            data = pickle.dumps({b"labels": rng.integers(0, 10, 100).tolist(), b"data": images}, 2)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="module")
def small():
    """A Ray of two CPUs, and sweeps made small, for the whole module."""
    start, restart = sweeps.run.start, sweeps.run.restart

    def start_small(sweep):
        few = {"trials": min(sweep.trials or 2, 2), "max_iterations": min(sweep.max_iterations or 2, 2)}
        alone = None if sweep.scheduler_choice[0] in schedulers.GATHERING else 1
        return start(sweep.override(**few, ranks=1, max_concurrent=alone))

    def restart_small(path, extend=0, **rest):
        return restart(path, extend=min(extend, 1), **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("WANDB_MODE", "offline")
        patch.setattr(sweeps.run, "start", start_small)
        patch.setattr(sweeps.run, "restart", restart_small)
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def quickstart(small, tmp_path_factory):
    """The finished sweep that documents speak of."""
    storage = tmp_path_factory.mktemp("storage")
    recipe = ROOT / "sweeps" / "recipes" / "quickstart.py"
    assert cli.main(["run", str(recipe), "--storage", str(storage), "--name", "quickstart"]) == 0
    return storage / "quickstart"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working folder with the recipes; modules loaded from it are forgotten afterwards."""
    shutil.copytree(ROOT / "sweeps" / "recipes", tmp_path / "sweeps" / "recipes")
    data_alone = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(ROOT / "cluster", tmp_path / "cluster", ignore=data_alone)
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    archive(tmp_path / "cifar-10-python.tar.gz")
    before, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STARLING_CACHE", str(tmp_path / "cache"))
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def python(path, *arguments):
    """`python FILE ARGUMENTS`; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *arguments])
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as end:
            return end.code
    return 0


def opens(file):
    storage = JournalStorage(JournalFileBackend(file))
    return bool(optuna.load_study(study_name=None, storage=storage).trials)


def understood(words):
    """Whether a command that would start nodes has words that its parser knows, and a sweep that can run."""
    given = cli.parser().parse_args(words)
    if words[1] == "submit":
        return cli.main(["check", given.file, *given.words]) == 0
    return Path(given.yaml).is_file() and (words[1] != "simulate" or Path(given.file).is_file())


def command(line, patch, *, runs):
    """One line of a `sh` block, by the rules above; whether it succeeded."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        patch.setenv(*words.pop(0).split("=", 1))
    match words:
        case ["make", target]:
            done = subprocess.run(["make", "-n", target], capture_output=True, text=True, check=False)
            return done.returncode == 0
        case ["pip", "install", "-c", constraints, "."]:
            return Path(constraints).exists() and Path("pyproject.toml").exists()
        case ["optuna-dashboard", file]:
            return opens(file)
        case ["starling", "cluster", "plan", *rest]:
            return cli.main(["cluster", "plan", *rest, "--trials", "20", "--seeds", "1"]) == 0
        case ["starling", "cluster", ("submit" | "simulate" | "up" | "down" | "status"), *_]:
            return understood(words[1:])
        case ["starling", "run", *rest] if not runs:
            return cli.main(["check", *rest]) == 0
        case ["python", file, *rest] if not runs:
            return cli.main(["check", file, *rest]) == 0
        case ["starling", *rest]:
            return cli.main(rest) == 0
        case ["python", file, *rest]:
            return python(file, *rest) == 0
    raise AssertionError(f"{line!r}: no rule says how this command is tested")


def walk(name, patch, *, runs):
    """All blocks of a document in their order; `runs`: of each file "all" sweeps, the "first" or "none"."""
    ran = set()
    for number, (language, content, where) in enumerate(blocks(name)):
        file = (found := FILE.match(content)) and found[1]
        if language in ("python", "yaml"):
            path = Path(file or f"block_{number}.{'py' if language == 'python' else 'yaml'}")
            path.write_text(content)
        if language == "python":
            compile(content, where, "exec")
            assert file or python(path) == 0, where
        elif language == "yaml":
            program = re.search(r"^(?:program: |trainable: (?=\S*\.py))([\w.]+)", content, re.MULTILINE)
            if not program or Path(program[1]).exists():
                assert cli.main(["check", str(path)]) == 0, where
        elif language == "sh":
            for line in filter(None, content.splitlines()):
                given = re.search(r"\S+\.(py|yaml)", line)
                run = runs == "all" or (runs == "first" and given and given[0] not in ran)
                assert command(line, patch, runs=run), f"{where}: {line}"
                if given and run and not line.startswith("starling check"):
                    ran.add(given[0])
        elif language == "toml":
            tomllib.loads(content)
        else:
            assert language == "text", f"{where}: no rule says how {language} is tested"


@quiet
def test_every_block_of_the_readme_runs(small, place, monkeypatch):
    walk("README.md", monkeypatch, runs="first")
    documented = events_table()
    for sweep in (place / "results").iterdir():
        for event in journal.read(sweep):
            assert set(event) - {"n", "t", "event"} <= documented[event["event"]], sweep.name


@quiet
@pytest.mark.parametrize("name", [name for name in NAMES if name != "README.md"])
def test_every_block_of_a_document_runs_or_is_checked(quickstart, place, monkeypatch, name):
    shutil.copytree(quickstart, place / "results" / "quickstart")
    walk(name, monkeypatch, runs="none")


@quiet
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["README.md", "your-own-model.md", "search-and-schedulers.md", "cifar10.md", "sweep-files.md"]
)
def test_every_sweep_of_a_document_runs(quickstart, place, monkeypatch, name):
    shutil.copytree(quickstart, place / "results" / "quickstart")
    walk(name, monkeypatch, runs="all")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_a_document_shows_is_used_by_it(name):
    for _, content, where in blocks(name):
        if found := FILE.match(content):
            used = re.findall(rf"\b{re.escape(Path(found[1]).stem)}\b", text_of(name))
            assert len(used) > 1, f"{where}: nothing uses {found[1]}"


@pytest.mark.parametrize("doc", [*DOCS, ROOT / "CHANGELOG.md"], ids=lambda doc: doc.name)
def test_links_lead_somewhere(doc):
    for target in re.findall(r"\]\(([^)\s]+)\)", doc.read_text()):
        if target.startswith(ELSEWHERE):
            continue
        file, _, anchor = target.partition("#")
        there = doc.parent / file if file else doc
        assert there.is_file(), f"{doc.name} links to {target}"
        headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE) if anchor else []
        slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
        assert not anchor or anchor in slugs, f"{doc.name} links to {target}; there are {slugs}"


@pytest.mark.parametrize(
    "doc", [*DOCS, ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.svg")], ids=lambda d: d.name
)
def test_no_outside_address_and_no_path_of_a_machine(doc):
    text = doc.read_text()
    addresses = set(re.findall(r"https?://[^\s)\"']+", text))
    vocabulary = "http://www.w3.org/"  # SVG's: names, which nothing fetches
    assert not [one for one in addresses if not one.startswith((*ELSEWHERE, vocabulary))]
    assert not re.findall(r"(?<![\w./:*~>\]])/(?:[a-z]+/)+[\w.-]*", text) or doc.suffix == ".svg"


def rows_of(name, heading):
    """The first column's names and the whole row of the first table below a heading."""
    table = text_of(name).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return {m[1]: m[0] for m in re.finditer(r"^\| `([^`]+)` \|.*$", table, re.MULTILINE)}


def events_table():
    table = rows_of("results.md", "journal/")
    return {event: set(re.findall(r"`(\w+)`", row)) for event, row in table.items()}


def test_search_algorithms_and_their_parameters_are_documented_as_they_are():
    rows = rows_of("search-and-schedulers.md", "Search algorithms")
    assert sorted(rows) == search_algs.names()
    for name, row in rows.items():
        expected = {f"{key}={p.default}" for key, p in search_algs.parameters(name).items()}
        assert {one for one in re.findall(r"`([^`]+)`", row) if "=" in one} == expected


def test_schedulers_and_their_parameters_are_documented_as_they_are():
    rows = rows_of("search-and-schedulers.md", "Schedulers")
    assert sorted(rows) == sorted(schedulers.names())
    for name, row in rows.items():
        expected = {f"{key}={default}" for key, (default, _) in schedulers.parameters(name).items()}
        assert {one for one in re.findall(r"`([^`]+)`", row) if "=" in one} == expected
    gathering = re.search(
        r"\*\*Which schedulers gather all trials\.\*\* (.*?) compare", text_of("search-and-schedulers.md")
    )
    assert set(re.findall(r"`(\w+)`", gathering[1])) == schedulers.GATHERING


def test_the_tables_columns_are_documented_as_they_are():
    rows = rows_of("results.md", "trials.parquet")
    schema = trials_schema({}, {"metric": "min"})
    expected = {("best_<metric>" if f.name == "best_metric" else f.name): str(f.type) for f in schema}
    del expected["metric"]  # a row of its own form
    assert {name: row.split("|")[2].strip() for name, row in rows.items()} == expected
    rows = rows_of("results.md", "metrics/")
    assert {name: row.split("|")[2].strip() for name, row in rows.items()} == {
        f.name: str(f.type) for f in KEY
    }


def test_every_event_that_the_code_writes_is_documented():
    source = "".join(file.read_text() for file in (ROOT / "sweeps").rglob("*.py"))
    written = set(re.findall(r'(?:_record|journal\.append)\(\s*"(\w+)"', source))
    assert written == set(events_table())


def test_every_field_of_a_sweep_is_documented():
    table = text_of("sweep-files.md").partition("\n## Fields\n")[2].partition("\n## ")[0]
    documented = [
        word for row in re.findall(r"^\| (`.*?) \|", table, re.M) for word in row.strip("`").split("`, `")
    ]
    assert sorted(documented) == sorted(f.name for f in dataclasses.fields(Sweep) if f.init)


def test_the_readme_names_every_command():
    listed = subprocess.run(
        [sys.executable, "-m", "sweeps", "--help"],
        capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, "COLUMNS": "200"},
    ).stdout  # fmt: skip
    commands = re.findall(r"^    (\w+)  ", listed, re.MULTILINE)
    assert len(commands) >= 8
    table = text_of("README.md").partition("## Commands and exit codes")[2]
    assert not [one for one in commands if not re.search(rf"`(?:starling )?{one} ", table)]


NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


def test_the_notebook_is_kept_without_outputs_and_its_links_lead_somewhere():
    kept = json.loads(NOTEBOOK.read_text())
    assert kept["metadata"].keys() == {"kernelspec", "language_info"}
    for cell in kept["cells"]:
        assert cell.get("outputs", []) == [], cell["id"]
        assert cell.get("execution_count") is None, cell["id"]
        text = "".join(cell["source"])
        assert "://" not in text, cell["id"]
        for target in re.findall(r"\]\(([^)\s#]+)", text):
            assert (NOTEBOOK.parent / target).is_file(), target


@quiet
def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    book = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    kernel = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    client = nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources=resources)
    client.execute(env=kernel)
    outputs = [out for cell in book.cells for out in cell.get("outputs", ())]
    said = "".join(out["text"] for out in outputs if out.get("name") == "stdout")
    assert "finished after" in said
    assert "\x1b" not in said  # nothing redrawn, no colours
    tables = [out["data"]["text/html"] for out in outputs if "text/html" in out.get("data", {})]
    assert "<b>notebook</b>: " in tables[0]
    assert tables[1].startswith("<div><b>trial 0")
    figures = [out for out in outputs if "application/vnd.plotly.v1+json" in out.get("data", {})]
    assert len(figures) == 5
    assert len((tmp_path / "notebook.csv").read_text().splitlines()) == 13
