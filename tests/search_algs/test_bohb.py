"""BOHB's model: which of its suggestions are random ones."""

import pytest
from ray import tune

from search_algs import build

SPACE = {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)}


def random_ones(seed, constraints, count=60):
    """The numbers of the suggestions that are not the model's."""
    searcher = build("bohb", space=SPACE, metric="loss", mode="min", seed=seed, constraints=constraints)
    skipped, skip = set(), searcher.skip
    searcher.skip = lambda number: (skipped.add(number), skip(number))
    for number in range(count):
        config = searcher.suggest(str(number))
        searcher.on_trial_complete(str(number), {"loss": -config["x"] - config["y"]})
    return skipped


def test_a_third_is_random_even_where_the_models_points_are_forbidden():
    """Which ones depends on seed and number alone; of 180 suggestions 60 +- 19 (3 standard errors)."""
    free = [random_ones(seed, []) for seed in range(3)]
    assert [random_ones(seed, ["x + y <= 1"]) for seed in range(3)] == free
    assert 41 <= sum(map(len, free)) <= 79


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_a_share(share):
    with pytest.raises(ValueError, match=r"random_fraction is .*; it must lie in \[0, 1\]"):
        build("bohb", random_fraction=share)
