import subprocess

import pytest
from ray import tune

from sweeps import submission
from sweeps.cli import main
from sweeps.spec import Sweep

RECIPE = """
from ray import tune
from sweeps import Sweep

def train(config):
    tune.report({"loss": config["lr"]})

sweep = Sweep(trainable=train, space={"lr": tune.uniform(0, 1)}, metric="loss", mode="min", trials=4)
"""


def classify(**more):
    return Sweep(trainable="classify", space={"lr": tune.uniform(0, 1)}, trials=2, **more)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with a recipe in a folder, which is where its user is."""
    root = tmp_path / "project"
    (root / "night").mkdir(parents=True)
    (root / "night" / "train.py").write_text(RECIPE)
    (root / "model.py").write_text("x")
    subprocess.run(["git", "init", "-q", root], check=True)
    monkeypatch.chdir(root / "night")
    return root


def test_a_sweep_runs_from_the_same_place_of_its_tree_with_the_words_as_typed(project):
    sweep = classify(name="long", storage="s3://bucket/x")
    job = submission.job("train.py", ["--set", "note=a b"], sweep)
    assert (job.tree.root, job.folder, job.results) == (project, "night", "s3://bucket/x/long")
    assert job.run == ["run", "train.py", "--set", "note=a b", "--name", "long", "--address", "auto"]


def test_a_sweep_without_a_name_gets_one_of_its_recipe_and_the_time(project):
    assert submission.job("train.py", [], classify()).name.startswith("train-20")


def test_a_sweep_with_an_address_or_from_elsewhere_is_refused(project, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="address: is 'auto'; a submitted sweep runs where it is sent to"):
        submission.job("train.py", [], classify(address="auto"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"go into .*project, which is sent, first"):
        submission.job("project/night/train.py", [], classify())


@pytest.fixture
def sent(monkeypatch):
    """What would be sent, in place of sending it."""
    calls = []
    monkeypatch.setattr(submission, "submit", lambda yaml, job, **more: calls.append((yaml, job, more)))
    return calls


def test_on_the_command_line_our_options_are_kept_and_those_of_run_go_along(project, sent):
    words = ["--trials", "7", "--no-estimate", "--set", "lr=0.5", "--yes", "--seconds-per-report", "3"]
    assert main(["cluster", "submit", "lab.yaml", "train.py", *words]) == 0
    ((yaml, job, more),) = sent
    assert yaml == "lab.yaml"
    assert job.run[:6] == ["run", "train.py", "--trials", "7", "--set", "lr=0.5"]
    assert more["yes"] is True
    assert more["cost"](None) == "not planned, as --no-estimate says"


def test_a_mistyped_option_or_value_is_refused_before_anything_else(project, sent, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["cluster", "submit", "lab.yaml", "train.py", "--trails", "7"])
    assert "--trails is unknown; did you mean --trials?" in capsys.readouterr().err
    assert main(["cluster", "submit", "lab.yaml", "train.py", "--search", "psoo"]) == 2
    assert "psoo" in capsys.readouterr().err
    assert sent == []
