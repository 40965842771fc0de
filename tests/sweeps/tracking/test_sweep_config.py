"""Our space as W&B's: the same distributions wherever W&B has them, everything flat enough for its page."""

import numpy as np
import pytest
from ray import tune

import search_algs.space as ours
from search_algs.space import Space, when
from sweeps.files.space_yaml import read_space, write_space
from sweeps.tracking.sweep_config import sweep_config


def parameters(space):
    return sweep_config("s", write_space(space), {"loss": "min"}, "")["parameters"]


SAME = {
    "uniform": tune.uniform(0, 1),
    "loguniform": tune.loguniform(1e-4, 1.0),
    "randint": tune.randint(1, 9),
    "choice": tune.choice(["a", "b", 3]),
    "weighted": ours.weighted(["a", "b"], [0.25, 0.75]),
    "normal": ours.normal(1.0, 2.0),
    "log_normal": ours.log_normal(0.0, 1.0),
    "beta": ours.beta(2.0, 5.0),
    "q_uniform": ours.q_uniform(0, 10, 2),
    "q_normal": ours.q_normal(0.0, 3.0, 0.5),
}


@pytest.mark.parametrize("name", SAME)
def test_w_and_bs_reading_of_our_parameter_has_the_same_quantiles(name):
    """`read_space` without our own additions is our reading of W&B's notation, tested by itself."""
    problems: list[str] = []
    theirs = read_space(parameters({"x": SAME[name]}), problems, ours=False)
    assert problems == []
    a, b = Space({"x": SAME[name]}), Space(theirs)
    for u in np.linspace(0.0, 1.0, 41):
        assert a.decode([u])["x"] == b.decode([u])["x"]


def test_what_only_ray_has_becomes_the_nearest_of_w_and_bs():
    space = {
        "a": tune.quniform(0, 1, 0.25), "b": tune.lograndint(1, 101), "c": tune.qrandint(2, 8, 2),
        "d": tune.qloguniform(10, 1000, 10),
    }  # fmt: skip
    found = parameters(space)
    assert found["a"] == {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}
    assert found["b"]["distribution"] == "q_log_uniform_values"
    assert found["c"] == {"distribution": "q_uniform", "min": 2, "max": 8, "q": 2}
    assert found["d"]["distribution"] == "q_log_uniform_values"


def test_conditions_and_alternatives_are_flattened():
    space = {
        "opt": tune.choice(["sgd", "adam"]),
        "momentum": when("opt", "sgd", tune.uniform(0.0, 0.9)),
        "model": tune.choice([
            {"name": "mlp", "width": tune.choice([16, 32])}, {"name": "cnn", "depth": tune.randint(1, 4)},
        ]),
        "fixed": 7,
    }  # fmt: skip
    found = parameters(space)
    assert found["momentum"] == {"distribution": "uniform", "min": 0.0, "max": 0.9}
    assert found["model"] == {
        "parameters": {
            "name": {"values": ["mlp", "cnn"]},
            "width": {"values": [16, 32]},
            "depth": {"distribution": "int_uniform", "min": 1, "max": 3},
        }
    }
    assert found["fixed"] == {"value": 7}


def test_one_metric_or_several_and_never_no_parameter():
    config = sweep_config("s", {}, {"loss": "min"}, "about")
    assert config["metric"] == {"name": "loss", "goal": "minimize"}
    assert config["parameters"] == {"seed": {"value": 0}}
    several = sweep_config("s", {}, {"loss": "min", "acc": "max"}, "about")
    assert several["metrics"] == [
        {"name": "loss", "goal": "minimize"}, {"name": "acc", "goal": "maximize"},
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_w_and_bs_own_client_finds_nothing_wrong_with_any_recipes_configuration():
    from pathlib import Path

    from wandb.apis.public.sweeps import _validate_config_and_fill_distribution

    from sweeps import recipes
    from sweeps.files import sweep_file

    files = [path for path in Path(recipes.__file__).parent.glob("*.py") if path.name != "__init__.py"]
    assert len(files) > 20
    for path in files:
        sweep = sweep_file.load(path)
        metrics = dict(zip(sweep.metrics, sweep.modes, strict=True))
        config = sweep_config(path.stem, write_space(sweep.space), metrics, "about")
        assert _validate_config_and_fill_distribution(config)["method"] == "custom", path
