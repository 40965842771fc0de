"""A stranger's plain `tune.Tuner`: real Ray, no other part of Starling; a sweep that breaks off in its middle
and is restored."""

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
        patch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0")  # Ray saves its state at every turn
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
        yield
        ray.shutdown()


def loss(config):
    return {"loss": config["lr"], "deep": {"acc": -config["lr"]}}


def train(config):
    """Fails if anything of the space itself reaches it."""
    expected = {"opt", "lr", "net", "fixed"} | ({"mom"} if config["opt"] == "sgd" else set())
    assert set(config) == expected
    assert all(isinstance(value, str | float | dict) for value in config.values())
    tune.report(loss(config))


class BreaksOnce(tune.Callback):
    """Ends the driver's loop after the second trial, the first time."""

    def __init__(self, mark):
        self.mark = mark

    def on_step_begin(self, iteration, trials, **_):
        if sum(trial.status == "TERMINATED" for trial in trials) == 2 and not self.mark.exists():
            self.mark.touch()
            raise KeyError("the driver is gone")


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
def test_a_sweep_that_breaks_off_and_is_restored_is_the_one_that_did_not(cluster, tmp_path, name, own, rays):
    def searcher():
        return load(name)(seed=1, constraints=["lr < 0.5"], **own)

    tuner = tune.Tuner(
        train,
        param_space=SPACE,
        tune_config=tune.TuneConfig(
            search_alg=searcher(), num_samples=4, max_concurrent_trials=1, reuse_actors=True, **rays
        ),
        run_config=tune.RunConfig(
            name="sweep", storage_path=str(tmp_path), verbose=0, callbacks=[BreaksOnce(tmp_path / "broke")]
        ),
    )
    with pytest.raises(KeyError, match="the driver is gone"):
        tuner.fit()
    results = tune.Tuner.restore(str(tmp_path / "sweep"), trainable=train).fit()  # no space is handed over
    assert "mom" in SPACE  # the user's own dict is as it was
    unbroken, configs = searcher(), []
    unbroken.set_search_properties(rays.get("metric"), rays.get("mode"), dict(SPACE))
    for number in range(4):
        configs.append(unbroken.suggest(str(number)))
        unbroken.on_trial_complete(str(number), loss(configs[-1]))
    found = [result.config for result in results]
    assert sorted(found, key=lambda one: one["lr"]) == sorted(configs, key=lambda one: one["lr"])
    assert all(config["lr"] < 0.5 for config in found)
