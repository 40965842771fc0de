"""CMA-ES: what it makes of earlier results, and of parameters that are not always there."""

import math

import numpy as np
import pytest
from ray import tune

from search_algs import build, when

SPACE = {"x": tune.uniform(0, 1), "n": tune.randint(0, 101), "c": tune.choice("ab")}


def search(seed=0, **settings):
    return build("cmaes", **({"space": SPACE, "metric": "loss", "mode": "min", "seed": seed} | settings))


def first_points(searcher, count=200):
    """The numbers of so many suggestions without a result, so that all are of the first distribution."""
    configs = [searcher.suggest(str(n)) for n in range(count)]
    return np.array([[config["x"], config["n"] / 100] for config in configs])


@pytest.mark.parametrize(("results", "best"), [(1, [0]), (9, [0]), (10, [0]), (11, [0, 1]), (30, [0, 1, 2])])
def test_a_warm_start_is_round_the_best_tenth_of_the_earlier_results(results, best):
    """By hand: their mean; their variance and 0.1^2 (Nomura et al. 2021, alpha). 200 draws: mean and standard
    deviation within 4.5 standard errors, false alarm 1e-4 in all."""
    searcher = search()
    points = [(0.5 + 0.1 * (k % 3), 40 + 10 * (k % 2)) for k in range(results)]
    for k, (x, n) in enumerate(points):
        searcher.learn({"x": x, "n": n, "c": "a"}, {"loss": float(k)})
    found = first_points(searcher)
    good = np.array([(points[k][0], points[k][1] / 100) for k in best])
    deviation = np.sqrt(good.var(axis=0) + 0.1**2)
    assert found.mean(axis=0) == pytest.approx(good.mean(axis=0), abs=4.5 * deviation.max() / math.sqrt(200))
    assert found.std(axis=0) == pytest.approx(deviation, rel=4.5 / math.sqrt(400))


def test_nothing_is_learned_of_what_an_earlier_search_did_not_have():
    """200 draws of n: its mean 0.5 within 4.5 standard errors, and a spread at least that of a cold start."""
    searcher = search()
    for k in range(5):
        searcher.learn({"x": 0.3, "n": 90, "c": "a"}, {"loss": float(k)}, unknown=["n"])
    found = first_points(searcher)
    assert found[:, 0].mean() == pytest.approx(0.3, abs=4.5 * 0.1 / math.sqrt(200))
    assert found[:, 1].mean() == pytest.approx(0.5, abs=4.5 * found[:, 1].std() / math.sqrt(200))
    assert found[:, 1].std() > 1 / 6


def test_without_a_warm_start_of_optunas_the_first_few_are_tried_again():
    searcher = search(use_separable_cma=True)
    earlier = [{"x": k / 10, "n": k, "c": "a"} for k in range(9)]
    for k, config in enumerate(earlier):
        searcher.learn(config, {"loss": float(k)})
    tried = [round(searcher.suggest(str(k))["x"], 9) for k in range(9)]
    assert tried[:5] == [config["x"] for config in earlier[:5]]
    assert not set(tried[5:]) & {config["x"] for config in earlier}


@pytest.mark.parametrize("seed", range(4))
def test_conditional_numbers_that_the_first_trials_have_do_not_end_the_search(seed):
    """Random search's last 20 of 60 have a mean loss of 0.25 with standard error 0.04."""
    kinds = list("abcdefghij")
    space = {"o": tune.choice(kinds), "m": when("o", kinds[:-1], tune.uniform(0, 1))}
    searcher, losses = search(seed, space=space | {f"x{i}": tune.uniform(0, 1) for i in range(2)}), []
    for number in range(60):
        config = searcher.suggest(str(number))
        losses.append((config["x0"] - 0.3) ** 2 + (config["x1"] - 0.7) ** 2)
        searcher.on_trial_complete(str(number), {"loss": losses[-1]})
    assert np.mean(losses[-20:]) < 0.05


def test_a_single_number_is_searched():
    searcher, losses = search(space={"x": tune.uniform(0, 1)}), []
    for number in range(40):
        losses.append((searcher.suggest(str(number))["x"] - 0.3) ** 2)
        searcher.on_trial_complete(str(number), {"loss": losses[-1]})
    assert np.mean(losses[-10:]) < 0.01  # of random ones: 0.12, standard error 0.04
