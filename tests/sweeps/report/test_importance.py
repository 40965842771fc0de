import numpy as np
import pytest

from sweeps.report import importance
from sweeps.report.importance import comparable
from sweeps.report.material import Material


def bowl(stored, n=40, **shape):
    """loss = x^2 + z^2 / 100 + 1 where kind is b; `only` is active with kind b and matters nothing."""
    rng = np.random.default_rng(0)
    sweep = stored(parameters={"x": "double", "z": "double", "kind": "string", "only": "double"})
    for _ in range(n):
        x, z, only = rng.uniform(-1, 1, 3).tolist()
        kind = str(rng.choice(["a", "b"]))
        config = {"x": x, "z": z, "kind": kind} | ({"only": only} if kind == "b" else {})
        sweep.trial(config, [x * x + z * z / 100], **shape)
    return Material(sweep.results())


def test_what_the_value_depends_on_is_important_and_what_is_inactive_is_judged_apart(stored):
    found = bowl(stored).importances
    assert (found.evaluator, found.trials, found.iteration) == ("fANOVA", 40, None)
    assert set(found.shares) == {"x", "z", "kind"}
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["x"] > 0.8
    share, trials = found.conditional["only"]
    assert share < 0.2
    assert 10 < trials < 30


def test_many_trials_are_judged_by_the_fast_evaluator_with_the_same_result(stored, monkeypatch):
    monkeypatch.setattr(importance, "FOREST", 100)
    found = bowl(stored, 200).importances
    assert (found.evaluator, found.conditional) == ("PED-ANOVA", {})
    assert max(found.shares, key=found.shares.get) == "x"
    assert found.shares["x"] > 0.8
    assert sum(found.shares.values()) == pytest.approx(1)


def test_it_is_the_same_twice(stored):
    material = bowl(stored)
    assert importance.importances(material) == importance.importances(material)


def test_with_few_completed_trials_all_are_compared_at_an_iteration_that_they_share(stored):
    sweep = stored()
    for i in range(3):
        sweep.trial({"lr": 0.1 * i}, [10.0 + i, 1.0, 0.5])
    for i in range(3):
        sweep.trial({"lr": 0.5}, [20.0 + i, 5.0], "stopped")
    for i in range(3):
        sweep.trial({"lr": 0.9}, [30.0 + i], "stopped")
    # Ends 3, 3, 3, 2, 2, 2, 1, 1, 1: the sixth of nine came to 2.
    values, iteration = comparable(Material(sweep.results()))
    assert iteration == 2
    assert values == {0: 1.0, 1: 1.0, 2: 1.0, 3: 5.0, 4: 5.0, 5: 5.0}


def test_of_enough_completed_trials_the_others_are_left_out(stored):
    sweep = stored()
    for i in range(importance.COMPLETED):
        sweep.trial({"lr": 0.01 * i}, [float(i)])
    sweep.trial({"lr": 1.0}, [0.0], "stopped")
    values, iteration = comparable(Material(sweep.results()))
    assert (len(values), iteration) == (importance.COMPLETED, None)


@pytest.mark.parametrize("values", [[1.0] * 20, [1.0, 2.0, 3.0]])
def test_too_little_gives_no_importances(stored, values):
    sweep = stored()
    for i, value in enumerate(values):
        sweep.trial({"lr": 0.1 * i}, [value])
    assert Material(sweep.results()).importances is None
