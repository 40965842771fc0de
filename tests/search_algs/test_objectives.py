"""Metrics and modes: what a result holds, however it is nested, and what of it is a loss."""

import math

import numpy as np
import pytest

from search_algs.objectives import Objectives, number


def test_a_metric_is_found_flat_or_nested_and_turned_into_a_loss():
    accuracy = Objectives("eval/acc", "max")
    for result in ({"eval/acc": 0.5}, {"eval": {"acc": 0.5}}, {"eval/acc": np.float32(0.5)}):
        assert accuracy.losses(result) == (-0.5,)
    assert Objectives(["loss", "eval/acc"], ["min", "max"]).losses({"loss": 2, "eval": {"acc": 1}}) == (2, -1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "text", [1.0, 2.0]])
def test_what_is_no_finite_number_is_no_loss(value):
    assert Objectives(["a", "b"], ["min", "min"]).losses({"a": 1.0, "b": value}) is None
    assert Objectives("b", "min").losses({"a": 1.0}) is None


def test_an_objective_is_known_when_both_its_halves_are():
    assert Objectives("a", "min").known
    assert not Objectives("a", None).known
    assert not Objectives(None, "min").known


def test_a_truth_value_is_a_number_and_a_text_is_none():
    assert (number(True), number("x"), number(None)) == (1.0, None, None)
