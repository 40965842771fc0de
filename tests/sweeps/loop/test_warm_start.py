"""Warm start: what of an earlier sweep fits and counts, and that a resume needs the earlier sweep no more."""

import shutil

import pytest
from ray import tune

from search_algs.space import Space, when
from sweeps import SpecError, Sweep, journal
from sweeps.loop.warm_start import fitted
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


def train(config):
    for step in range(config["steps"]):
        tune.report({"loss": (config["x"] - 0.3) ** 2 + 1 / (step + 1)})


def sweep(name, **changes):
    fields = {"space": {"x": tune.uniform(0, 1)}, "fixed": {"steps": 3}, "search": "bayesian", "trials": 10}
    fields |= {"trainable": f"{__file__}:train", "metric": "loss", "mode": "min", "storage": "results"}
    return Sweep(**(fields | changes), name=name, quiet=True)


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
