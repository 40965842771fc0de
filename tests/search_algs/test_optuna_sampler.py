"""Optuna's samplers: the same suggestions as Optuna's own loop, every sampler by name, memos, and no
noise."""

import inspect
import json

import numpy as np
import optuna
import pytest
from ray import tune

from search_algs import build, parameters, when
from search_algs.optuna_sampler import OptunaSampler, quiet
from search_algs.space import q_log_uniform, weighted

SPACE = {
    "x": tune.uniform(-2, 2),
    "n": tune.randint(1, 9),
    "c": tune.choice(["a", "b"]),
    "lr": tune.loguniform(1e-4, 1),
}


def loss(config):
    return (config["x"] - 1) ** 2 + config["n"] * 0.1 + (config["c"] == "a") + config["lr"]


@pytest.mark.parametrize(
    ("name", "sampler"), [("tpe", optuna.samplers.TPESampler), ("cmaes", optuna.samplers.CmaEsSampler)]
)
def test_it_is_optunas_own_loop_with_a_fresh_sampler_a_trial(name, sampler):
    """The oracle: plain Optuna code with the same seeds suggests the same values, trial by trial."""
    searcher = build(name, space=SPACE, metric="loss", mode="min", seed=5, n_startup_trials=4)
    with quiet():
        study = optuna.create_study()
    for number in range(20):
        config = searcher.suggest(str(number))
        searcher.on_trial_complete(str(number), {"loss": loss(config)})
        with quiet():
            seed = int(np.random.default_rng([5, number]).integers(2**31 - 1))
            study.sampler = sampler(seed=seed, n_startup_trials=4)
            trial = study.ask()
            expected = {
                "x": trial.suggest_float("x", -2, 2),
                "n": trial.suggest_int("n", 1, 8),
                "c": ["a", "b"][trial.suggest_categorical("c", [0, 1])],
                "lr": trial.suggest_float("lr", 1e-4, 1, log=True),
            }
            study.tell(trial, loss(expected))
        assert config.pop("c") == expected.pop("c")
        assert config == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "sampler"),
    [("tpe", "TPESampler"), ("cmaes", "CmaEsSampler"), ("gp", "GPSampler"), ("nsga2", "NSGAIISampler")],
)
def test_the_defaults_are_optunas(name, sampler):
    theirs = inspect.signature(getattr(optuna.samplers, sampler)).parameters
    ours = parameters(name)
    assert {key: one.default for key, one in ours.items()} == {key: theirs[key].default for key in ours}


@pytest.mark.parametrize("name", ["tpe", "cmaes"])  # NSGA-II does not, within 60 trials
def test_models_beat_random_search_on_a_bowl(name):
    """Paired, 6 seeds, 60 trials: the median best loss is below random search's; all but impossible by chance
    for a model."""
    space = {f"x{i}": tune.uniform(-5, 5) for i in range(4)}

    def best(algorithm, seed):
        searcher = build(algorithm, space=space, metric="loss", mode="min", seed=seed)
        values = []
        for number in range(60):
            config = searcher.suggest(str(number))
            values.append(sum((config[f"x{i}"] - 2) ** 2 for i in range(4)))
            searcher.on_trial_complete(str(number), {"loss": values[-1]})
        return min(values)

    pairs = sorted(best(name, seed) - best("random", seed) for seed in range(6))
    assert pairs[2] < 0
    assert sum(pairs) < 0


@pytest.mark.parametrize(
    "sampler",
    ["RandomSampler", "TPESampler", "NSGAIISampler", "NSGAIIISampler", "QMCSampler"],
)
def test_every_sampler_of_optuna_works_by_name_and_is_restored(sampler, tmp_path):
    def make():
        return OptunaSampler(
            sampler=sampler, space=SPACE, metric="loss", mode="min", constraints=["n < 7"], seed=2
        )

    first = make()
    for number in range(8):
        config = first.suggest(str(number))
        assert config["n"] < 7
        first.on_trial_complete(str(number), {"loss": loss(config)})
    first.save(str(tmp_path / "state"))
    again = make()
    again.restore(str(tmp_path / "state"))
    assert [again.suggest(f"n{i}") for i in range(3)] == [first.suggest(f"n{i}") for i in range(3)]


def test_a_function_may_make_the_sampler():
    searcher = OptunaSampler(
        sampler=lambda seed: optuna.samplers.TPESampler(seed=seed, n_ei_candidates=8),
        space=SPACE,
        metric="l",
        mode="min",
    )
    known = {"x": 1.0, "n": 4, "c": "b", "lr": 0.01}
    searcher.learn(known, {"l": 1.0})  # it learns as by name
    config = searcher.suggest("0")
    assert set(config) == set(SPACE)
    assert config != known


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "TPESamplr"}, "'TPESamplr' is no sampler of Optuna; did you mean 'TPESampler'"),
        ({"sampler": "GridSampler"}, "GridSampler is not offered; use grid"),
        ({"sampler": optuna.samplers.CmaEsSampler}, "CmaEsSampler is not offered; use cmaes"),
        ({"sampler": "BaseGASampler"}, "'BaseGASampler' is no sampler of Optuna"),
        (
            {"settings": {"n_startup": 3}},
            "TPESampler has no setting 'n_startup'; did you mean 'n_startup_trials'",
        ),
        (
            {
                "sampler": optuna.samplers.RandomSampler(),
            },
            "give the name of a class",
        ),
        ({"sampler": lambda seed: None, "settings": {"a": 1}}, "beside a function"),
    ],
)
def test_wrong_samplers_are_refused_with_the_nearest(settings, message):
    with pytest.raises(ValueError, match=message):
        OptunaSampler(**settings)


def test_distributions_that_optuna_lacks_are_latent():
    space = {
        "z": tune.randn(0, 1),
        "w": weighted(["a", "b"], [0.9, 0.1]),
        "q": q_log_uniform(-3, 3, 0.5),
        "s": tune.qlograndint(16, 512, 16),
    }
    searcher = build("tpe", space=space, metric="loss", mode="min")
    config = searcher.suggest("0")
    params = searcher.memo("0")["params"]
    assert (
        searcher.space.decode([params["z"], params["w"], params["q"], searcher.space.encode(config)[0][3]])
        == config
    )
    assert params["s"] * 16 == config["s"]


def test_memos_are_json_and_only_hold_active_parameters():
    space = {"o": tune.choice(["s", "a"]), "m": when("o", "s", tune.uniform(0, 1))}
    searcher = build("tpe", space=space, metric="loss", mode="min")
    for number in range(8):
        config = searcher.suggest(str(number))
        memo = searcher.memo(str(number))
        assert json.loads(json.dumps(memo)) == memo
        assert ("m" in memo["params"]) == (config["o"] == "s")


def test_lost_trials_are_failures_for_optuna():
    searcher = build("tpe", space=SPACE, metric="loss", mode="min")
    for trial in ("0", "1", "2"):
        searcher.suggest(trial)
    searcher.lose("0")
    searcher.on_trial_complete("1", {"loss": 1.0})
    assert [t.state.name for t in searcher._study.trials] == ["FAIL", "COMPLETE", "RUNNING"]


def test_the_users_own_verbosity_is_left_alone():
    before = optuna.logging.get_verbosity()
    build("tpe", space=SPACE, metric="loss", mode="min").suggest("0")
    assert optuna.logging.get_verbosity() == before
