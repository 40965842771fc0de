"""Every recipe says what it costs, has a plan without obstacles, and runs: two tiny trials to their end."""

import io
import json
import math
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from sweeps import cli
from sweeps.checks import plan
from sweeps.files import sweep_file
from sweeps.results import Results
from trainables.engine import checkpoint

FOLDER = Path(cli.__file__).parent / "recipes"
RECIPES = sorted([*FOLDER.glob("[!_]*.py"), *FOLDER.glob("*.yaml")])
FOR_CPUS = [path for path in RECIPES if "--gpus-per-rank" not in path.read_text()]
"""Those whose command asks for GPUs are checked and not run."""
QUICK = {"quickstart.py", "gbdt.py"}
"""One of gradient descent and one of trees, which run every time; all others are slow tests."""
NEEDS = {"latent_diffusion_cifar10": "autoencoder"}
"""A checkpoint that a recipe lacks until it is given with `--set`."""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of `starling data cifar10`, from an archive like the official one, of 1,000 noise images."""
    folder = tmp_path_factory.mktemp("cifar10")
    rng = np.random.default_rng(0)
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as tar:
        for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
            labels, data = rng.integers(0, 10, 200).tolist(), rng.integers(0, 256, (200, 3072), np.uint8)
            content = pickle.dumps({b"labels": labels, b"data": data}, 2)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    archive, out = folder / "cifar-10-python.tar.gz", folder / "parquet"
    assert cli.main(["data", "cifar10", "--from", str(archive), "--out", str(out)]) == 0
    return out


@pytest.fixture(autouse=True)
def _data(images, tmp_path, monkeypatch):
    monkeypatch.setenv("STARLING_DATA", str(images))
    monkeypatch.setenv("STARLING_CACHE", str(tmp_path / "cache"))


def test_there_are_the_recipes_that_the_documentation_names():
    assert {path.name for path in RECIPES} >= {"quickstart.py", "quickstart.yaml", "cifar10.py"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_says_what_it_costs_and_its_plan_has_no_obstacle(path, tmp_path):
    assert "Cost:" in path.read_text()
    sweep, needed = sweep_file.load(path), NEEDS.get(path.stem)
    if needed:
        (lacking,) = plan.describe(sweep)["obstacles"]
        assert f"`{needed}` is absent" in lacking
        checkpoint.write(tmp_path, checkpoint.pack({}))
        sweep = sweep.override(set={needed: str(tmp_path)})
    described = plan.describe(sweep)
    assert (described["obstacles"], described["warnings"]) == ([], [])
    assert described["trials"]
    assert described["metric"]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[] if path.name in QUICK else [pytest.mark.slow]) for path in FOR_CPUS],
    ids=lambda path: path.name,
)
def test_two_tiny_trials_of_a_recipe_run_to_their_end(path, outside, starling, small_ray):
    answer = starling(
        *("run", path, "--trials", "2", "--max-iterations", "1", "--max-concurrent", "1"),
        *("--name", "tiny", "--json"),
    )
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["status"] == {"completed": 2}
    for trial in Results("results/tiny").trials:
        assert (trial.iterations, math.isfinite(trial.value)) == (1, True)
        assert Path(trial.checkpoint).is_dir()


def test_the_cifar10_recipe_without_data_says_how_to_get_them(outside, starling, monkeypatch):
    monkeypatch.delenv("STARLING_DATA")
    answer = starling("run", FOLDER / "cifar10.py")
    assert answer.code == 2
    assert "starling data cifar10 --from cifar-10-python.tar.gz" in answer.err
    assert not list(outside.iterdir())


def test_the_yaml_quickstart_is_the_python_quickstart():
    python, yaml = (plan.describe(sweep_file.load(FOLDER / f"quickstart.{kind}")) for kind in ("py", "yaml"))
    assert yaml == python
