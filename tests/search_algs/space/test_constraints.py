"""Constraints: a table of what they mean, what they refuse, and that nothing in them is ever run."""

import pytest
from ray import tune

from search_algs.space import Constraint, Space, SpaceError, when


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("a * b <= 1024", {"a": 32, "b": 32}, True),
        ("a * b <= 1024", {"a": 32, "b": 33}, False),
        ("1 < a <= 3", {"a": 3}, True),
        ("1 < a <= 3", {"a": 1}, False),
        ("a % 2 == 0 and not b", {"a": 4, "b": False}, True),
        ("a in ['x', 'y'] or b", {"a": "z", "b": True}, True),
        ("a not in (1, 2)", {"a": 2}, False),
        ("max(a, b) // 3 == 2", {"a": 1, "b": 8}, True),
        ("log10(a) + log2(b) <= 5", {"a": 100, "b": 8}, True),
        ("abs(-a) ** 2 == 9", {"a": 3}, True),
        ("optimizer.lr < sqrt(b)", {"optimizer.lr": 0.5, "b": 4}, True),
        ("a / b > 1", {"a": 1, "b": 0}, False),
        ("log(a) < 1", {"a": -1}, False),
        ("9 ** 9 ** 9 ** a > 1", {"a": 9}, False),
        ("a < 3", {}, True),
        ("a", {"a": 0}, False),
    ],
)
def test_constraints_mean_what_python_means(text, values, holds):
    assert Constraint(text).holds(values) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').system('true') == 0", "not allowed"),
        ("open('x') == a", "unknown function 'open'"),
        ("abss(a) < 1", "unknown function 'abss'; did you mean 'abs'"),
        ("(lambda: a)() == 1", "not allowed"),
        ("[x for x in a] == a", "not allowed"),
        ("a[0] == 1", "not allowed"),
        ("f'{a}' == 'x'", "not allowed"),
        ("a = 3", "cannot be read"),
        ("a + 1", "neither true nor false; compare it"),
        ("1 < 2", "names no parameter"),
        ("a & b == 1", "not allowed"),
        ("a == b'x'", "not allowed"),
        (3, "is no text"),
    ],
)
def test_anything_else_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Constraint(text)


def test_a_text_that_would_fill_memory_is_no_number():
    with pytest.raises(ValueError, match="cannot be computed"):
        Constraint("'x' * a == 'y'").holds({"a": 10**12})


def test_the_space_reports_the_broken_ones_and_skips_the_inactive():
    space = Space(
        {"opt": tune.choice(["s", "a"]), "m": when("opt", "s", tune.uniform(0, 1)), "k": 2},
        ["m < 0.5", "k * m < 0.5"],
    )
    assert space.violated({"opt": "s", "m": 0.4, "k": 2}) == ["k * m < 0.5"]
    assert space.violated({"opt": "a", "k": 2}) == []


def test_comparing_a_text_with_a_number_is_found_before_the_search():
    with pytest.raises(SpaceError, match=r"'opt < 3' cannot be computed at \{'opt': '"):
        Space({"opt": tune.choice(["s", "a"])}, ["opt < 3"])


def test_a_constraint_on_a_parameter_that_a_constant_rules_out_holds():
    space = Space(
        {
            "optimizer": "adam",
            "momentum": when("optimizer", "sgd", tune.uniform(0, 1)),
            "lr": tune.uniform(0, 1),
        },
        ["momentum + lr <= 1"],
    )
    assert space.names == ("lr",)
    assert space.violated({"optimizer": "adam", "lr": 1.0}) == []
