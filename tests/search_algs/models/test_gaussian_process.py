"""The Gaussian process against scikit-learn's, its slopes against differences, improvement against SciPy."""

import math

import numpy as np
import pytest
from ray import tune
from scipy.optimize import approx_fprime
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from search_algs.models import gaussian_process as gp
from search_algs.space import Space

RNG = np.random.default_rng(0)
NUMBERS = gp.Features(Space({name: tune.uniform(0, 1) for name in "abc"}))
MIXED = gp.Features(Space({"a": tune.uniform(0, 1), "c": tune.choice("xyz"), "b": tune.uniform(0, 1)}))
THETA = gp.Theta(np.log([0.3, 0.8, 2.0]), math.log(0.01))
NONE = np.empty((0, 3))


def test_predictions_equal_those_of_scikit_learn():
    points, scores, new = RNG.random((30, 3)), RNG.normal(size=30), RNG.random((50, 3))
    ours = gp.Posterior(NUMBERS, THETA, points, scores, NONE)
    theirs = GaussianProcessRegressor(
        Matern([0.3, 0.8, 2.0], nu=2.5), alpha=0.01 + gp.JITTER, optimizer=None
    ).fit(points, scores)
    mean, sd = theirs.predict(new, return_std=True)
    np.testing.assert_allclose(ours.mean(new), mean, atol=1e-9)
    u = (-0.5 - mean) / sd
    expected = np.log(sd * (norm.pdf(u) + u * norm.cdf(u)))
    np.testing.assert_allclose(ours.log_improvement(new, -0.5), expected, atol=1e-6)


def test_the_improvement_keeps_its_order_where_it_underflows():
    points = np.linspace(0, 1, 20)[:, None].repeat(3, axis=1)
    ours = gp.Posterior(NUMBERS, THETA, points, np.zeros(20), NONE)
    values = np.array(
        [ours.log_improvement(points[:1], best)[0] for best in (-1e-3, -1, -3, -10, -100, 1, 100)]
    )
    assert np.isfinite(values).all()
    assert (np.diff(values[:5]) < 0).all()
    assert values[-1] == pytest.approx(math.log(100), abs=1e-3)


def test_different_options_of_a_choice_are_one_length_apart():
    theta = gp.Theta(np.log([0.3, 0.5, 2.0]), -math.inf)
    points = np.array([[0.2, 1 / 6, 0.5], [0.2, 0.5, 0.5], [0.2, 5 / 6, 0.5]])
    z = MIXED(points) / np.exp(theta.log_lengths)[MIXED.owner]
    s, _ = gp._distances(z, z)
    np.testing.assert_allclose(s[np.triu_indices(3, 1)], math.sqrt(5) / 0.5)


@pytest.mark.parametrize("features", [NUMBERS, MIXED])
def test_the_slope_of_the_posterior_is_that_of_differences(features, monkeypatch):
    points, scores = RNG.random((25, 3)), RNG.normal(size=25)
    caught = {}

    def catch(function, start, **rest):
        caught["function"] = function
        return type("Found", (), {"x": np.array(start)})

    monkeypatch.setattr(gp, "minimize", catch)
    gp.fit(features, points, scores, THETA)
    packed = np.array(THETA.pack())
    _, slope = caught["function"](packed)
    np.testing.assert_allclose(
        slope, approx_fprime(packed, lambda x: caught["function"](x)[0], 1e-6), rtol=1e-3, atol=1e-3
    )


def test_the_fit_finds_the_parameter_that_matters():
    points = RNG.random((60, 3))
    theta = gp.fit(NUMBERS, points, gp.normal_scores(np.sin(6 * points[:, 0])), gp.Theta.prior(3))
    assert theta.log_lengths[0] < theta.log_lengths[1:].min() - 1
    assert gp.Theta.unpack(theta.pack()).pack() == theta.pack()


def test_a_running_trial_lowers_the_improvement_round_it_and_moves_no_mean():
    points, scores, new = (
        RNG.random((20, 3)),
        RNG.normal(size=20),
        np.array([[0.5, 0.5, 0.5], [0.52, 0.5, 0.5]]),
    )
    without = gp.Posterior(NUMBERS, THETA, points, scores, NONE)
    awaited = gp.Posterior(NUMBERS, THETA, points, scores, new[:1])
    np.testing.assert_allclose(awaited.mean(new), without.mean(new), atol=1e-6)
    assert (awaited.log_improvement(new, -2.0) < without.log_improvement(new, -2.0) - 0.1).all()


def test_normal_scores_are_quantiles_of_ranks():
    scores = gp.normal_scores(np.array([1e9, -5.0, 0.0, 0.0, 3.0]))
    assert scores[2] == scores[3]
    assert list(np.argsort(scores, kind="stable")) == [1, 2, 3, 4, 0]
    assert scores[1] == -scores[0] == pytest.approx(norm.ppf(0.625 / 5.25))
