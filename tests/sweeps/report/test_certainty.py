import math

import numpy as np
import pytest

from sweeps.report.certainty import certainty, scatter_of
from sweeps.report.material import Material


def judged(sweep):
    return certainty(Material(sweep.results()))


def test_scatter_is_that_around_a_line():
    # Last five values, line of least squares through 1, 3, 2, 4, 5 at 0..4: 1.2 + 0.9 k, residuals
    # -0.2, 0.9, -1, 0.1, 0.2, squares sum to 1.9, three degrees of freedom.
    assert scatter_of(np.array([99.0, 1, 3, 2, 4, 5])) == pytest.approx(math.sqrt(1.9 / 3))
    assert scatter_of(np.array([1.0, 2, 3, 4])) == pytest.approx(0, abs=1e-12)
    assert scatter_of(np.array([1.0, 2, 3])) is None


def test_seeds_are_compared_by_their_means_and_pooled_scatter(stored):
    sweep = stored(mode="max", parameters={"lr": "double"})
    # Means 5 and 4; squares 2 + 2 over 2 + 2 degrees of freedom: s = 1. One lucky seed of the third: 6.
    for lr, values in ((0.1, (4.0, 5.0, 6.0)), (0.2, (3.0, 4.0, 5.0)), (0.3, (4.5,))):
        for seed, value in enumerate(values):
            sweep.trial({"lr": lr, "seed": seed}, [value])
    sure = judged(sweep)
    assert (sure.kind, sure.repeats, sure.value, sure.scatter) == ("seeds", 3, 5.0, 1.0)
    assert (sure.trial, sure.runner_up, sure.rivals) == ("00002", "00006", 2)
    assert sure.gap == 0.5
    # 0.5 behind by less than 2 sqrt(1/3 + 1), 1 behind by less than 2 sqrt(2/3)
    assert sure.alike == 2
    assert sure.ratio == pytest.approx(0.5 / math.sqrt(2 / 3))
    assert sure.verdict == "open"


@pytest.mark.parametrize(("gap", "verdict"), [(0.5, "open"), (1.5, "likely"), (3.0, "clear")])
def test_the_lead_is_told_in_deviations_of_a_difference(stored, gap, verdict):
    sweep = stored()
    wave = [1.0, -1.0, -1.0, 1.0, 0.0]  # no slope; squares sum to 4, three degrees of freedom
    scatter = math.sqrt(4 / 3)
    difference = gap * scatter * math.sqrt(2)
    sweep.trial({"lr": 0.1}, [10 + w for w in wave])
    sweep.trial({"lr": 0.2}, [10 + difference + w for w in wave])
    sure = judged(sweep)
    assert (sure.kind, sure.trial, sure.runner_up, sure.verdict) == ("reports", "00000", "00001", verdict)
    assert sure.scatter == pytest.approx(scatter)
    assert sure.ratio == pytest.approx(gap)
    assert sure.alike == (gap <= 2)


def test_trials_that_were_stopped_are_no_rivals_of_completed_ones(stored):
    sweep = stored().trial({"lr": 0.1}, [2.0]).trial({"lr": 0.2}, [1.0], "stopped")
    sure = judged(sweep)
    assert (sure.trial, sure.rivals, sure.verdict) == ("00000", 0, "alone")


def test_without_a_curve_nothing_is_said_of_the_scatter(stored):
    sweep = stored().trial({"lr": 0.1}, [2.0]).trial({"lr": 0.2}, [1.0])
    sure = judged(sweep)
    assert (sure.verdict, sure.scatter, sure.gap) == ("unknown", None, 1.0)


def test_a_sweep_without_values_has_no_best(stored):
    assert judged(stored().trial({"lr": 0.1}, [], "failed", "no")) is None
