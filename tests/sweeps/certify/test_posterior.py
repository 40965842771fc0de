import math

import numpy as np
import pytest
from scipy import stats

from sweeps.certify.arm import Arm, noise
from sweeps.certify.posterior import GRID, posterior


def arms(*losses):
    return [Arm(str(i), list(one)) for i, one in enumerate(losses)]


def test_the_noise_is_pooled_over_repeats_by_hand():
    """(1 + 1) + (0) + (4 + 4) over 1 + 0 + 1 degrees of freedom: variances 2 and 8, pooled 5."""
    assert noise(arms([1.0, 3.0], [7.0], [0.0, 4.0])) == (5.0, 2)
    assert noise(arms([1.0], [2.0])) == (0.0, 0)
    assert noise(arms([0.1] * 3)) == (0.0, 2)  # a mean of three 0.1 is not 0.1


def test_means_that_nothing_is_uncertain_of_are_left_alone():
    rng = np.random.default_rng(0)
    given = arms(*(mu + 0.01 * rng.standard_normal(50) for mu in (0.0, 1.0, 3.0)))
    found = posterior(given)
    assert found.means == pytest.approx([arm.mean for arm in given], abs=1e-4)
    assert found.best.tolist() == [1.0, 0.0, 0.0]


def test_equally_good_means_are_equally_probably_the_best_and_each_other():
    found = posterior(arms([0.0, 1.0], [1.0, 0.0], [0.5 - 0.5, 1.0]))
    assert found.means == pytest.approx([0.5] * 3)
    assert found.best == pytest.approx([1 / 3] * 3, abs=0.03)


def test_a_single_candidate_is_not_shrunken_and_a_default_shrinks_nobody():
    alone = posterior(arms([1.0, 2.0, 4.5]))
    assert alone.means == pytest.approx([2.5])
    assert alone.best.tolist() == [1.0]
    pair = arms([1.0, 2.0], [1.5, 2.2])
    far = posterior(pair, Arm("default", [1e6, 1e6]))
    near = posterior(pair, Arm("default", [1.5, 1.5]))
    assert far.means == pytest.approx(near.means)
    assert far.best[2] == 0.0
    assert near.best[2] > 0.1


def test_units_do_not_matter():
    given = [[0.1, 0.4], [0.3, 0.2, 0.9], [0.5, 0.1]]
    plain = posterior(arms(*given))
    other = posterior(arms(*([7 + 1e-4 * x for x in one] for one in given)))
    assert other.means == pytest.approx(7 + 1e-4 * plain.means)
    assert other.best == pytest.approx(plain.best)


def test_without_any_spread_what_is_seen_is_believed_and_ties_are_shared():
    found = posterior(arms([0.2] * 2, [0.1] * 2, [0.1] * 2))
    assert found.means.tolist() == [0.2, 0.1, 0.1]
    assert found.best.tolist() == [0.0, 0.5, 0.5]
    unrepeated = posterior(arms([0.2], [0.1]))
    assert unrepeated.best.tolist() == [0.5, 0.5]  # nothing tells how much of it is noise


def test_the_shrunken_means_are_those_of_a_brute_force_sum_over_the_model():
    """Centre, spread and noise on a grid, the likelihood of every single trial: none of the closed forms."""
    given = [[0.0, 1.0], [1.5, 2.0, 1.0], [0.2, 0.9]]
    s = np.exp(np.linspace(-3.5, 2.5, 90))[:, None]
    m = np.linspace(-12, 14, 521)[None, :]
    total, sums = 0.0, np.zeros(3)
    for g in GRID:
        log, means = -np.log(s) + np.log(s), []  # p(s) ~ 1/s, on a grid of log s
        for one in given:
            y, n, tau = np.array(one), len(one), g * s
            spread = s**2 * np.eye(n)[:, :, None, None] + (tau**2)[None, None]
            covariance = np.moveaxis(spread[..., 0], 2, 0)  # one matrix for each s
            inverse, sign = np.linalg.inv(covariance), np.linalg.slogdet(covariance)[1]
            rest = y[None, None, :] - np.broadcast_to(m, (len(s), m.shape[1]))[:, :, None]
            log = log - 0.5 * (np.einsum("smi,sij,smj->sm", rest, inverse, rest) + sign[:, None])
            means.append(m + tau**2 * np.einsum("sij,smj->sm", inverse, rest))
        weight = np.exp(log)
        total += weight.sum()
        sums += [(weight * mean).sum() for mean in means]
    assert posterior(arms(*given)).means == pytest.approx(sums / total, abs=2e-3)


def test_with_much_data_the_probability_is_that_of_two_normal_means():
    """Noise known to 1 %, spread far above it: P = Phi(difference / its standard error), to 4 sigma of the
    4,096 draws and what shrinkage is left."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal(5000), rng.standard_normal(5000)
    a, b = a - a.mean(), b - b.mean() + 1.2 * math.sqrt(2 / 5000)
    found = posterior(arms(a, b, np.full(2, 1e3)), None)
    assert found.best[0] == pytest.approx(stats.norm.cdf(1.2), abs=0.03)


def test_beliefs_hold_on_average_where_the_model_does():
    """400 races of five, two trials each, true losses and noise drawn as the model says.

    How often the winner is the best is what was believed, and its expected loss is right on average, while
    its mean is too low: each to 4 standard errors, so that this fails by chance once in 8,000 times.
    """
    rng = np.random.default_rng(5)
    surprise, error, luck = [], [], []
    for _ in range(400):
        g = abs(math.tan(math.pi / 2 * rng.random()))
        mu = min(g, 30.0) * rng.standard_normal(5)
        given = arms(*(one + rng.standard_normal(2) for one in mu))
        found = posterior(given)
        chosen = int(found.means.argmin())
        surprise.append(found.best[chosen] - (chosen == mu.argmin()))
        error.append(found.means[chosen] - mu[chosen])
        luck.append(given[chosen].mean - mu[chosen])
    for values in (surprise, error):
        assert abs(np.mean(values)) < 4 * np.std(values) / 20
    assert np.mean(luck) < -4 * np.std(luck) / 20
