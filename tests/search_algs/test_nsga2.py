"""NSGA-II: what belongs to a generation, and several objectives."""

import pytest
from ray import tune

from search_algs import build
from search_algs.optuna_sampler import OptunaSampler

SPACE = {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1), "n": tune.randint(0, 1000)}
TWO = {"metric": ["a", "b"], "mode": ["min", "max"]}


def search(**settings):
    return build("nsga2", space=SPACE, population_size=4, mutation_prob=0.0, **(TWO | settings))


def genes(config):
    return {(name, round(value, 9)) for name, value in config.items()}


def test_earlier_results_are_the_first_generation_and_its_elite_has_the_children():
    """Of eight earlier results four are on the front; without mutation a child's values are its parents'."""
    searcher = search()
    front = [({"x": k / 10, "y": k / 11, "n": k}, {"a": k, "b": k}) for k in range(1, 5)]
    worse = [({"x": k / 10, "y": k / 11, "n": k}, {"a": k + 4, "b": -k}) for k in range(5, 9)]
    for config, result in worse + front:
        searcher.learn(config, result)
    pool = set().union(*(genes(config) for config, _ in front))
    for number in range(20):
        config = searcher.suggest(str(number))
        assert genes(config) <= pool
        searcher.on_trial_complete(str(number), {"a": 100.0, "b": -100.0})  # none of the children is any good


def test_fewer_earlier_results_than_a_generation_are_filled_up_at_random():
    searcher = search()
    known = [({"x": k / 10, "y": k / 11, "n": k}, {"a": k, "b": k}) for k in range(1, 4)]
    for config, result in known:
        searcher.learn(config, result)
    fourth = searcher.suggest("0")
    pool = set().union(*(genes(config) for config, _ in known))
    assert not genes(fourth) & pool
    searcher.on_trial_complete("0", {"a": 0.0, "b": 0.0})
    assert genes(searcher.suggest("1")) <= pool | genes(fourth)


def test_a_configuration_that_is_tried_again_belongs_to_the_first_generation():
    searcher = search()
    again = [{"x": k / 10, "y": k / 11, "n": k} for k in range(1, 5)]
    for config in again:
        searcher.learn(config)
    for number, config in enumerate(again):
        assert searcher.suggest(str(number)) == pytest.approx(config)
        searcher.on_trial_complete(str(number), {"a": float(number), "b": float(number)})
    assert genes(searcher.suggest("4")) <= set().union(*map(genes, again))


def test_the_third_version_learns_as_well():
    searcher = OptunaSampler(
        sampler="NSGAIIISampler", settings={"population_size": 4, "mutation_prob": 0.0}, space=SPACE, **TWO
    )
    known = [{"x": k / 10, "y": k / 11, "n": k} for k in range(1, 5)]
    for k, config in enumerate(known):
        searcher.learn(config, {"a": k, "b": k})
    assert genes(searcher.suggest("0")) <= set().union(*map(genes, known))


def test_two_objectives_need_a_mode_each():
    with pytest.raises(ValueError, match="2 metrics and 1 modes"):
        search(mode="min")
