"""Conditions: what Ray's copy of a space looks like without them."""

from ray import tune

from search_algs.space import when
from search_algs.space.conditions import remove_conditionals


def test_conditionals_are_taken_out_wherever_they_are():
    x = tune.uniform(0, 1)
    config = {"a": x, "b": when("o", 1, x), "deep": {"c": when("o", 1, {"d": x}), "e": 3, "f": {}}}
    remove_conditionals(config)
    assert config == {"a": x, "deep": {"e": 3, "f": {}}}
