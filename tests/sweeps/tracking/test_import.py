"""`starling import`: W&B's sweep files."""

import pytest

from sweeps.files import sweep_file

W_AND_B = """
program: train.py
method: grid
metric: {name: loss, goal: minimize}
parameters:
  lr: {values: [0.1, 0.2]}
  epochs: {value: 2}
"""
SCRIPT = """
import argparse, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
given = parser.parse_args()
wandb.init(config=vars(given))
for epoch in range(given.epochs):
    wandb.log({"loss": given.lr / (epoch + 1)})
"""


@pytest.fixture
def files(outside):
    (outside / "w.yaml").write_text(W_AND_B)
    (outside / "train.py").write_text(SCRIPT)
    return outside


def test_with_out_it_writes_the_same_sweep_in_our_form_and_starts_nothing(files, starling):
    answer = starling("import", "w.yaml", "--out", "ours.yaml", "--seed", 5)
    assert answer.code == 0, answer.err
    assert "starling run ours.yaml" in answer.out
    same = sweep_file.load("w.yaml").override(seed=5)
    assert sweep_file.load("ours.yaml").to_yaml() == same.to_yaml()
    assert not (files / "results").exists()


@pytest.mark.filterwarnings("ignore")  # Ray's own, in its threads
def test_without_it_is_run(files, starling, small_ray):
    answer = starling("import", "w.yaml", "--name", "w", "--quiet")
    assert answer.code == 0, answer.err
    assert '"value": 0.05' in starling("best", "results/w", "--json").out.replace("'", '"')


def test_what_is_not_w_and_bs_is_refused(files, starling):
    (files / "ours.yaml").write_text("trainable: quickstart\nspace: {lr: {min: 0.0, max: 1.0}}\n")
    for file, said in (("ours.yaml", "is no W&B sweep file; `starling run"), ("none.yaml", "does not exist")):
        answer = starling("import", file)
        assert answer.code == 2
        assert said in answer.err
    answer = starling("import", "w.yaml", "--out", "w.yaml")
    assert answer.code == 2
    assert "is the file to be read" in answer.err
