"""A stranger's plain `tune.Tuner`: real Ray, no other part of Starling; a sweep that is interrupted and
restored."""

import pytest
import ray
from ray import tune

from search_algs import load, when

SPACE = {
    "opt": tune.choice(["sgd", "adam"]),
    "lr": tune.loguniform(1e-5, 1),
    "mom": when("opt", "sgd", tune.uniform(0, 0.99)),
    "net": tune.choice([{"kind": "mlp", "width": tune.randint(8, 64)}, {"kind": "linear"}]),
    "fixed": "x",
}


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


def train(config):
    """Fails if anything of the space itself reaches it."""
    expected = {"opt", "lr", "net", "fixed"} | ({"mom"} if config["opt"] == "sgd" else set())
    assert set(config) == expected
    assert all(isinstance(value, str | float | dict) for value in config.values())
    tune.report({"loss": config["lr"], "deep": {"acc": -config["lr"]}})


@pytest.mark.filterwarnings("ignore")  # Ray's own, in its threads; what is tested here is the sweep
@pytest.mark.parametrize(
    ("name", "own", "rays"),
    [
        ("tpe", {}, {"metric": "loss", "mode": "min"}),
        pytest.param(
            "nsga2",
            {"metric": ["loss", "deep/acc"], "mode": ["min", "max"]},
            {},
            marks=pytest.mark.slow,
            id="two objectives",
        ),
    ],
)
def test_a_plain_tuner_runs_it_and_restores_it(cluster, tmp_path, name, own, rays):
    searcher = load(name)(seed=1, constraints=["lr < 0.5"], **own)
    tuner = tune.Tuner(
        train,
        param_space=SPACE,
        tune_config=tune.TuneConfig(search_alg=searcher, num_samples=3, max_concurrent_trials=2, **rays),
        run_config=tune.RunConfig(name="sweep", storage_path=str(tmp_path), verbose=0),
    )
    results = tuner.fit()
    assert (len(results), results.num_errors) == (3, 0)
    assert all(result.config["lr"] < 0.5 for result in results)
    assert "mom" in SPACE  # the user's own dict is as it was
    assert len(tune.Tuner.restore(str(tmp_path / "sweep"), trainable=train).fit()) == 3
