"""Carrying stopped trials up: hand-worked rungs, and the order among those that went all the way."""

import numpy as np
import pytest

from search_algs.models.rungs import carried


def test_one_rung_is_taken_as_it_is():
    assert carried({0: {9: 1.0}, 1: {9: 2.0}}) == {0: 1.0, 1: 2.0}


def test_a_stopped_trial_lands_where_the_line_through_the_others_says():
    both = {i: {9: float(x), 27: 10.0 * x} for i, x in enumerate(range(-5, 6))}  # above is ten times below
    stopped = {20 + i: {9: float(x)} for i, x in enumerate((2.0, 4.0, 100.0))}
    values = carried(both | stopped)
    assert all(values[i] == curve[27] for i, curve in both.items())
    # median 0, quartiles -2.5 and 2.5: spread 5 / 1.35 below, ten times that above, slope (S+1)/(S+1) = 1
    assert values[20] == pytest.approx(20.0)
    assert values[21] == pytest.approx(40.0)
    assert values[22] == pytest.approx(4 * 50 / 1.35)  # cut off at four spreads


def test_a_rung_that_tells_nothing_of_the_next_gives_the_middle():
    rng = np.random.default_rng(0)
    both = {i: {9: float(a), 27: float(b)} for i, (a, b) in enumerate(rng.normal(size=(400, 2)))}
    values = carried(both | {1000 + i: {9: 3.0 * i} for i in range(-2, 3)})
    assert all(abs(values[1000 + i]) < 0.4 for i in range(-2, 3))


def test_a_trial_below_the_first_rung_is_left_out():
    curves = {i: {9: float(i), 27: float(i)} for i in range(5)} | {9: {8: 0.0}}
    assert 9 not in carried(curves)


def test_a_trial_climbs_every_rung_between_its_own_and_the_last():
    curves = {i: {8: float(i), 24: float(i), 72: float(i)} for i in range(6)}
    curves |= {10 + i: {8: float(i), 24: float(i)} for i in range(4)} | {
        20 + i: {8: float(i)} for i in range(4)
    }
    values = carried(curves)
    assert values[13] == pytest.approx(3.0)
    assert values[23] == pytest.approx(3.0)


def test_a_trial_that_broke_off_between_two_rungs_counts_from_the_lower():
    curves = {i: {9: float(i), 27: float(i)} for i in range(5)} | {5 + i: {9: float(i)} for i in range(3)}
    values = carried(curves | {8: {9: 2.0, 14: -7.0}})
    assert values[8] == pytest.approx(2.0)
