"""The gradient benchmark: exact derivatives, what a trial costs, and tables that do not flatter."""

import math

import numpy as np
import pytest

from benchmarks.gradient import clock, tables
from benchmarks.gradient.games import Game, path, play, read
from benchmarks.gradient.problem import Slopes
from benchmarks.gradient.ridge import Ridge
from search_algs.space import Space


def test_the_ridges_derivatives_are_those_of_its_loss():
    ridge = Ridge(4, 0)
    space = Space(ridge.space)
    config = space.decode(space.sample(np.random.default_rng(0)))
    for i, slope in enumerate(ridge.slopes(config).values.values()):
        value, losses = config["penalty"][str(i)], []
        for by in (1 + 1e-4, 1 - 1e-4):
            losses.append(ridge.loss({"penalty": config["penalty"] | {str(i): value * by}}))
        assert (losses[0] - losses[1]) / (2e-4 * value) == pytest.approx(slope, rel=1e-5, abs=1e-12)


class Fixed:
    """A problem whose losses are given."""

    def loss(self, config, seed):
        return config["x"]

    def slopes(self, config, seed):
        return Slopes({"x": 1.0}, 0.0)


@pytest.mark.parametrize(
    ("loss", "asides", "back"),
    [
        (1.0, {}, False),
        (1.0, {"_hypergrad_of": "val_loss", "_hypergrad_if_below": None}, True),
        (1.0, {"_hypergrad_of": "val_loss", "_hypergrad_if_below": 1.0}, False),
        (1.0, {"_hypergrad_of": "val_loss", "_hypergrad_if_below": 1.1}, True),
        (1.0, {"_hypergrad_of": "another", "_hypergrad_if_below": None}, False),
        (math.nan, {"_hypergrad_of": "val_loss", "_hypergrad_if_below": None}, False),
    ],
)
def test_a_trial_goes_the_way_back_only_where_it_was_asked_and_beats_its_threshold(loss, asides, back):
    report, went = clock.trial(Fixed(), {"x": loss}, 0, asides)
    assert went == back == ("hypergrad/x" in report)


@pytest.mark.parametrize(
    "searcher", ["random", "gradient", pytest.param("trust region", marks=pytest.mark.slow)]
)
def test_a_game_is_kept_with_its_cost_and_read_again(tmp_path, searcher):
    game = Game("ridge-20", 0, searcher)
    play(game, tmp_path, 2.0, {"day": "today"})
    columns = read(tmp_path, 1)[game]
    steps = np.diff(columns["cost"], prepend=0.0)
    assert {*steps.tolist()} == ({1.0, 3.0} if searcher == "gradient" else {1.0})
    assert columns["notes"]["price"] == "2.00"
    assert columns["incumbent"][-1] <= columns["incumbent"][0]
    assert path(tmp_path, game).is_file()
    assert "played on today" in tables.tables(tmp_path, 1)


def test_who_dips_below_its_rival_once_is_not_there_yet():
    falling = np.linspace(2, 1, len(tables.GRID))
    dips = falling + 0.5
    dips[10] = 0.0
    assert tables._times(falling, falling) == 1
    assert tables._times(dips, falling) < 1  # at the end it is above
    dips[-1] = 0.9
    assert tables._times(dips, falling) == 1  # only its last point stays below
