"""The registry: a file is an algorithm; names and settings are checked; the public API is pinned."""

import pytest

import search_algs
from search_algs import AskTell, build, load, names, parameters


def test_the_files_are_the_names():
    assert set(names()) == {
        "random",
        "grid",
        "sobol",
        "optuna",
        "tpe",
        "gp",
        "cmaes",
        "nsga2",
        "pso",
        "bayesian",
        "bohb",
        "gradient",
    }
    assert load("random").__name__ == load("random_search").__name__ == "RandomSearch"
    assert all(issubclass(load(name), AskTell) for name in names())


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError,
        match=r"no search algorithm 'cmae'; did you mean 'cmaes'\? Known: 'bayesian', 'bohb', 'cmaes'",
    ):
        load("cmae")


def test_what_is_no_algorithm_is_not_loaded():
    with pytest.raises(ValueError, match="no search algorithm 'ask_tell'"):
        load("ask_tell")


def test_parameters_have_defaults_and_docs():
    found = parameters("tpe")
    assert (found["n_startup_trials"].default, found["n_startup_trials"].type) == (10, "int")
    assert found["constant_liar"].doc.startswith("count running trials as bad")
    assert parameters("random") == {}


def test_an_unknown_setting_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"'tpe' has no parameter 'n_startup'; did you mean 'n_startup_trials'"
    ):
        build("tpe", n_startup=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed is -1; it must be a non-negative integer"),
        ({"seed": True}, "seed is True"),
        ({"max_t": 0}, "max_t is 0"),
        ({"mode": "maximum"}, "mode is 'maximum'; did you mean 'max'"),
        ({"metric": ["a", "b"], "mode": ["min"]}, "2 metrics and 1 modes"),
    ],
)
def test_wrong_values_are_refused_at_birth(settings, message):
    with pytest.raises(ValueError, match=message):
        build("random", **settings)


def test_the_public_names_are_these():
    assert sorted(search_algs.__all__) == [
        "AskTell", "Constraint", "Exhausted", "Parameter", "Shared", "Space", "SpaceError", "build", "load",
        "names", "parameters", "when",
    ]  # fmt: skip
    assert all(hasattr(search_algs, name) for name in search_algs.__all__)
