import random
from types import SimpleNamespace

import pytest
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandForBOHB

from search_algs.space import Space, when
from sweeps import schedulers
from sweeps.loop import copying


def build(name, space=None, *, max_iterations=9, mutable=None, **given):
    space = Space(space or {"lr": tune.loguniform(1e-4, 1.0)})
    return schedulers.build(
        name, given, metric="loss", mode="min", max_iterations=max_iterations, space=space, mutable=mutable
    )


@pytest.mark.parametrize("name", schedulers.names())
def test_every_name_builds_with_its_defaults_and_lists_its_parameters(name):
    assert build(name) is not None
    for _, text in schedulers.parameters(name).values():
        assert len(text) > 20


def test_names_are_those_that_the_command_line_documents():
    assert set(schedulers.names()) == {"fifo", "asha", "hyperband", "bohb", "median", "pbt", "pb2"}


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("ashaa", {}, ["ashaa", "did you mean 'asha'"]),
        ("asha", {"grace": 1}, ["'grace'", "grace_period"]),
        ("asha", {"grace_period": 0}, ["grace_period is 0", ">= 1"]),
        ("asha", {"reduction_factor": 1}, ["reduction_factor is 1", "> 1"]),
        ("asha", {"grace_period": 30, "max_t": 27}, ["grace_period is 30", "27"]),
        ("pbt", {"quantile_fraction": 0.7}, ["quantile_fraction is 0.7", "[0, 0.5]"]),
        ("fifo", {"max_t": 3}, ["'max_t'"]),
        ("median", {"min_samples_required": "3"}, ["min_samples_required is '3'"]),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(name, given, words):
    found = schedulers.problems(name, given)
    assert len(found) == 1
    assert all(word in found[0] for word in words), found


def test_max_t_comes_from_the_sweep_unless_it_is_given():
    assert build("asha", max_iterations=9)._max_t == 9
    assert build("asha", max_iterations=9, max_t=27)._max_t == 27
    assert schedulers.full_training("asha", {"max_t": 27}, 9) == 27
    assert schedulers.full_training("median", {}, 9) == 9
    assert schedulers.full_training("median", {}, None) is None
    assert schedulers.full_training("fifo", {}, 9) is None  # it stops nobody
    assert isinstance(build("bohb"), HyperBandForBOHB)
    assert isinstance(build("asha"), AsyncHyperBandScheduler)


def test_a_scheduler_that_needs_the_length_of_a_training_says_so():
    with pytest.raises(ValueError, match="max_iterations"):
        build("asha", max_iterations=None)


CONDITIONAL = {
    "optimizer": tune.choice(["sgd", "adam"]),
    "momentum": when("optimizer", "sgd", tune.uniform(0.0, 0.99)),
    "lr": tune.loguniform(1e-4, 1.0),
    "batch_size": tune.choice([16, 32, 64]),
    "layers": tune.randint(1, 5),
}


def test_pbt_keeps_a_thousand_perturbed_configurations_inside_space_conditions_and_constraints():
    space = Space(CONDITIONAL, ["batch_size * layers <= 128"])
    pbt = schedulers.build("pbt", {}, metric="loss", mode="min", max_iterations=9, space=space, mutable=None)
    random.seed(0)
    seen = set()
    config = {"optimizer": "sgd", "momentum": 0.9, "lr": 0.5, "batch_size": 32, "layers": 4}
    for number in range(1000):
        if number % 50 == 0:
            config = {"optimizer": "adam", "lr": 2e-4, "batch_size": 64, "layers": 1} if number % 100 else {
                "optimizer": "sgd", "momentum": 0.9, "lr": 0.5, "batch_size": 32, "layers": 4
            }  # fmt: skip
        trial = SimpleNamespace(config=config)
        with copying._Only(pbt, config):
            config, _ = pbt._get_new_config(None, trial)
        assert 1e-4 <= config["lr"] <= 1.0
        assert ("momentum" in config) == (config["optimizer"] == "sgd")
        assert 0 <= config.get("momentum", 0) <= 0.99
        assert isinstance(config["layers"], int)
        assert 1 <= config["layers"] <= 4
        assert not space.violated(config)
        seen.add((config["optimizer"], config["batch_size"], config["layers"]))
    assert len(seen) > 8  # it does explore
    assert {optimizer for optimizer, _, _ in seen} == {"sgd", "adam"}


def test_pbt_changes_only_what_the_trainable_can_change():
    pbt = build("pbt", CONDITIONAL, mutable=frozenset({"lr", "batch_size"}))
    assert set(pbt._hyperparam_mutations) == {"lr", "batch_size"}
    with pytest.raises(ValueError, match="nothing to change"):
        build("pbt", CONDITIONAL, mutable=frozenset({"dropout"}))


def test_pb2_moves_numbers_that_are_always_active():
    pb2 = build("pb2", CONDITIONAL)
    assert set(pb2._hyperparam_bounds) == {"lr", "layers"}
    assert pb2._hyperparam_bounds["lr"] == pytest.approx([1e-4, 1.0])
    with pytest.raises(ValueError, match="use pbt"):
        build("pb2", {"batch_size": tune.choice([1, 2])})
