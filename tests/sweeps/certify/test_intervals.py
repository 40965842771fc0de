import numpy as np
import pytest
from scipy import stats

from sweeps.certify import intervals, race
from sweeps.certify.arm import Arm, noise

WITHIN = 0.05
"""Chance to miss that the intervals of these tests allow themselves."""


def test_of_a_single_candidate_the_interval_is_student_s():
    losses = [1.0, 2.5, 2.0, 4.0]
    found = intervals.of_loss(Arm("a", losses), [Arm("a", losses)], 0.9)
    scale = np.std(losses, ddof=1) / 2
    assert found == pytest.approx(stats.t.interval(0.9, 3, np.mean(losses), scale))


def test_of_a_single_candidate_and_a_default_the_interval_is_welch_s():
    a, b = [1.0, 2.5, 2.0, 4.0], [7.0, 9.5, 5.0]
    oracle = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    found = intervals.of_difference(Arm("a", a), [Arm("a", a)], Arm("default", b), 0.95)
    assert found == pytest.approx((oracle.low, oracle.high))


def test_where_one_side_shows_no_spread_the_noise_is_pooled():
    """Squares 2 + 0 over 2 + 1 degrees of freedom; the error of the difference is sqrt(2/3 (1/3 + 1/2))."""
    a, b = Arm("a", [1.0, 2.0, 3.0]), Arm("default", [5.0, 5.0])
    found = intervals.of_difference(a, [a], b, 0.95)
    assert found == pytest.approx(stats.t.interval(0.95, 3, -3.0, np.sqrt(2 / 3 * (1 / 3 + 1 / 2))))


def test_no_interval_is_stated_while_the_noise_is_unknown():
    one, same = Arm("a", [1.0]), Arm("b", [2.0, 2.0])
    assert intervals.of_loss(one, [one], 0.95) is None
    assert intervals.of_loss(same, [same], 0.95) is None
    assert intervals.of_difference(same, [same], Arm("default", [3.0, 3.0]), 0.95) is None


@pytest.mark.parametrize(("k", "printed"), [(1, 1.72), (2, 2.03), (3, 2.19), (4, 2.30), (5, 2.39)])
def test_critical_values_are_those_of_dunnetts_table(k, printed):
    """One-sided 5 %, 20 degrees of freedom, equally many trials (Dunnett 1955, table 1a)."""
    found = intervals.critical([4] * k, 4, 20, 0.05)
    assert found == pytest.approx(printed, abs=0.006)


@pytest.mark.parametrize("control", [None, 2, 5.5])
def test_critical_values_are_those_of_the_multivariate_t_distribution(control):
    trials, degrees, tail = [2, 2, 3, 5], 7, 0.025
    c = intervals.critical(trials, control, degrees, tail)
    n = np.array(trials, dtype=float)
    shared = 0.0 if control is None else 1 / control
    covariance = np.diag(1 / n) + shared
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    inside = stats.multivariate_t(shape=correlation, df=degrees).cdf(np.full(4, c), random_state=0)
    assert 1 - inside == pytest.approx(tail, abs=5e-4)


def raced(mu, default, budget, rng):
    """A race of normal noise with standard deviation 1."""
    candidates, beside = [Arm(str(i)) for i in range(len(mu))], Arm("default")
    for _ in range(budget):
        chosen = race.next_arm(candidates, beside)
        true = default if chosen is beside else mu[int(chosen.name)]
        chosen.losses.append(true + rng.standard_normal())
    return candidates, beside


def test_what_was_chosen_for_its_luck_is_covered_all_the_same():
    """300 races of eight equally good configurations, 24 trials: the worst case after a choice.

    At least 95 % of the intervals must hold the truth; the bar is the binomial's quantile of 1e-4, so that an
    interval that is right by a hair fails once in 10,000 times. Student's interval, which knows of no choice,
    must fail: it covers about 85 %, and would be taken for right once in 30 times.
    """
    rng = np.random.default_rng(11)
    hits = {"gain": 0, "value": 0, "without a word of the choice": 0}
    for _ in range(300):
        candidates, default = raced(np.zeros(8), 1.0, 24, rng)
        chosen = race.winner(candidates)
        low, high = intervals.of_difference(chosen, candidates, default, 1 - WITHIN)
        hits["gain"] += low <= -1.0 <= high
        low, high = intervals.of_loss(chosen, candidates, 1 - WITHIN)
        hits["value"] += low <= 0.0 <= high
        variance, degrees = noise(candidates)
        half = stats.t.ppf(1 - WITHIN / 2, degrees) * np.sqrt(variance / len(chosen.losses))
        hits["without a word of the choice"] += abs(chosen.mean) <= half
    bar = stats.binom.ppf(1e-4, 300, 1 - WITHIN)
    assert hits["gain"] >= bar, hits
    assert hits["value"] >= bar, hits
    assert hits["without a word of the choice"] < bar, hits
