"""docs/architecture.md: each file that it adds is dropped into a copy of the packages, and works at once."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cluster", "search_algs", "sweeps", "trainables")
TEXT = (ROOT / "docs" / "architecture.md").read_text()
ADDED = dict(re.findall(r"```text\n(\S+\.py)\n\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the packages with the document's files in it, and nothing else changed."""
    folder = tmp_path_factory.mktemp("extended")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, text in ADDED.items():
        assert not (ROOT / file).exists()
        (folder / file).write_text(text)
    for file in ("pyproject.toml", "constraints.txt", "README.md"):  # which the YAML ships
        shutil.copy(ROOT / file, folder)
    shutil.copy(ROOT / "cluster" / "aws.yaml", folder / "cluster" / "ours.yaml")
    return folder


def starling(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", "sweeps", *map(str, words)],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_document_adds_an_algorithm_a_trainable_and_a_scheduler():
    assert sorted(ADDED) == ["search_algs/nearby.py", "sweeps/schedulers/patient.py", "trainables/line.py"]


def test_what_was_added_runs_a_sweep_together(extended, tmp_path):
    sweep = tmp_path / "ours.yaml"
    sweep.write_text(
        "trainable: line\nspace: {lr: {min: 0.01, max: 0.3}}\nfixed: {epochs: 4, batch_size: 16}\ntrials: 6\n"
        "search: {name: nearby, step: 0.05}\nscheduler: patient\nmax_iterations: 4\nmax_concurrent: 1\n"
    )
    plan = json.loads(starling(extended, "check", sweep, "--json"))
    assert "nearby" in json.dumps(plan)
    said = json.loads(starling(extended, "run", sweep, "--storage", tmp_path, "--name", "s", "--json"))
    assert sum(said["status"].values()) == 6
    assert "failed" not in said["status"]
    lines = (tmp_path / "s" / "journal").glob("*.jsonl")
    events = [json.loads(line) for part in lines for line in part.read_text().splitlines()]
    rates = [one["config"]["lr"] for one in events if one["event"] == "suggested"]
    assert all(abs(lr - rates[0]) < 0.1 for lr in rates)  # uniform draws would lie so close once in ten
    stops = [one["iteration"] for one in events if one.get("decision") == "STOP"]
    assert all(iteration >= 2 for iteration in stops)  # patience: half of the training


def test_a_copied_cluster_file_is_one_more_cluster(extended):
    said = json.loads(starling(extended, "cluster", "lint", "cluster/ours.yaml", "--json"))
    assert not [one for one in said if one.get("level") == "error"]


def test_every_file_and_folder_that_the_document_names_exists():
    named = set(re.findall(r"`((?:sweeps|trainables|search_algs|cluster|tests)/[\w/]+(?:\.\w+)?/?)`", TEXT))
    assert len(named) > 15
    missing = [one for one in named if "NAME" not in one and not (ROOT / one).exists()]
    assert not missing
