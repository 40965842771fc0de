"""Warm start: what of an earlier sweep fits and counts, and that a resume needs the earlier sweep no more."""

import shutil
from types import SimpleNamespace

import pytest
from ray import tune

from search_algs.space import Space, when
from sweeps import SpecError, Sweep, journal
from sweeps.loop.warm_start import counts, fitted
from sweeps.run import restart

pytestmark = pytest.mark.usefixtures("small_ray")
SPACE = Space(
    {
        "lr": tune.loguniform(1e-4, 1e-1),
        "opt": tune.choice(["sgd", "adam"]),
        "momentum": when("opt", "sgd", tune.uniform(0, 1)),
        "epochs": 9,
    },
    ["lr <= 0.05"],
)


@pytest.mark.parametrize(
    ("earlier", "found"),
    [
        ({"lr": 0.01, "opt": "adam"}, {"lr": 0.01, "opt": "adam", "epochs": 9}),
        ({"lr": 0.01, "opt": "adam", "epochs": 3, "gone": 1}, {"lr": 0.01, "opt": "adam", "epochs": 9}),
        ({"lr": 0.01, "opt": "sgd"}, {"lr": 0.01, "opt": "sgd", "momentum": 0.9, "epochs": 9}),
        ({"lr": 0.01, "opt": "adam", "momentum": 0.3}, {"lr": 0.01, "opt": "adam", "epochs": 9}),
        ({"lr": 0.5, "opt": "adam"}, None),  # outside today's range
        ({"lr": 0.01, "opt": "lion"}, None),  # no option today
        ({"lr": 0.08, "opt": "adam"}, None),  # against a constraint
    ],
)
def test_a_configuration_is_made_to_fit_or_left_out(earlier, found):
    assert fitted(earlier, SPACE, {"momentum": 0.9, "lr": 0.02}) == found


GROUPS = Space(
    {
        "net": tune.choice([{"kind": "mlp", "width": tune.qrandint(8, 64, 8)}, {"kind": "linear"}]),
        "clip": tune.uniform(0, 1),
        "betas": tune.choice([(0.9, 0.99), None]),
    }
)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {}),
        ({"net": {"kind": "linear"}}, {"net": {"kind": "linear"}}),
        ({"net": {"kind": "mlp", "width": 30}}, {"net": {"kind": "mlp", "width": 32}}),  # the nearest step
        ({"net": {"kind": "mlp", "width": 80}}, None),
        ({"net": {"kind": "cnn", "width": 32}}, None),
        ({"betas": [0.9, 0.99]}, {"betas": (0.9, 0.99)}),  # as a file returns it
        ({"betas": None}, {"betas": None}),
        ({"betas": 0.9}, None),
        ({"clip": None}, None),
    ],
)
def test_groups_steps_and_lists_are_recognised(changes, found):
    whole = {"net": {"kind": "mlp", "width": 16}, "clip": 0.5, "betas": (0.9, 0.99)}
    assert fitted(whole | changes, GROUPS, {"clip": 0.0}) == (None if found is None else whole | found)


@pytest.mark.parametrize(
    ("config", "iterations", "copies", "full_training", "same"),
    [
        ({"x": 0.1, "steps": 3}, 6, 0, 6, True),
        ({"x": 0.1, "steps": 3, "betas": [0.9, 0.99]}, 6, 0, 6, True),  # as a file returns it
        ({"x": 0.1, "steps": 3, "betas": [0.9, 0.9]}, 6, 0, 6, False),
        ({"x": 0.1, "steps": 3, "width": 64}, 6, 0, 6, True),  # the trainable's own
        ({"x": 0.1, "steps": 3, "width": 32}, 6, 0, 6, False),
        ({"x": 0.1}, 6, 0, 6, False),  # nobody knows its steps
        ({"x": 0.1, "steps": 3}, 6, 1, 6, False),  # PBT gave it another's weights
        ({"x": 0.1, "steps": 3}, 6, 0, 13, False),
        ({"x": 0.1, "steps": 3}, 6, 0, 12, True),
        ({"x": 0.1, "steps": 3}, 6, 0, 3, True),
        ({"x": 0.1, "steps": 3}, 7, 0, 3, False),
        ({"x": 0.1, "steps": 3}, 1, 0, None, True),
    ],
)
def test_a_result_counts_if_what_is_not_searched_and_the_length_are_the_same(
    config, iterations, copies, full_training, same
):
    today = {"steps": 3, "betas": (0.9, 0.99), "width": 64}
    trial = SimpleNamespace(config=config, iterations=iterations, row={"copies": copies})
    assert counts(trial, full_training, today, {"width": 64, "betas": (0.9, 0.99), "x": 0.5}) is same


def train(config):
    for step in range(config["steps"]):
        tune.report({"loss": (config["x"] - 0.3) ** 2 + 1 / (step + 1)})


def sweep(name, **changes):
    fields = {"space": {"x": tune.uniform(0, 1)}, "fixed": {"steps": 3}, "search": "bayesian", "trials": 10}
    fields |= {"trainable": f"{__file__}:train", "metric": "loss", "mode": "min", "storage": "results"}
    return Sweep(**(fields | changes), name=name, quiet=True)


@pytest.mark.slow
def test_equal_budgets_count_and_others_are_tried_again_best_first(outside):
    first = sweep("first", search="sobol").run()
    same = sweep("same", space={"x": tune.uniform(0, 0.9)}, trials=2, warm_start=[first.path]).run()
    (learned,) = (e for e in journal.read(same.folder) if e["event"] == "learned")
    inside = [t for t in first.top(10) if t.config["x"] <= 0.9]
    assert [one["config"]["x"] for one in learned["trials"]] == [t.config["x"] for t in inside]
    assert [one["result"] for one in learned["trials"]] == [{"loss": t.value} for t in inside]
    assert abs(same.best.config["x"] - 0.3) < 0.1  # ten results are enough for the model
    longer = sweep("longer", fixed={"steps": 9}, trials=3, warm_start=[first.path]).run()
    assert [t.config["x"] for t in longer.trials] == [t.config["x"] for t in first.top(3)]
    shutil.rmtree(first.path)
    more = restart(same.path, extend=2).results
    assert len(more.trials) == 4


def test_a_warm_start_from_nowhere_or_from_another_metric_is_refused_before_anything_starts(outside):
    first = sweep("first", trials=1, search="random").run()
    with pytest.raises(SpecError, match=r"warm_start: .*nowhere.* holds no sweep"):
        sweep("second", warm_start=["results/nowhere"]).run()
    with pytest.raises(SpecError, match=r"warm_start: .* does not improve loss \(max\), but loss \(min\)"):
        sweep("second", mode="max", warm_start=[first.path]).run()
    with pytest.raises(SpecError, match="warm_start: is 'results/first'; it must be a list"):
        sweep("second", warm_start="results/first")
