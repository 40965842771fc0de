"""The template by toy algorithms: what reaches `tell`, the fallback, numbering, extra keys, and cost that
does not grow."""

import json
import math

import numpy as np
import pytest
from ray import tune

from search_algs import AskTell, Space, SpaceError, build, when
from search_algs.ask_tell import AGAIN
from search_algs.space.choices import key


class Stubborn(AskTell):
    """Always asks for the same point."""

    point = (0.9,)
    reads = ("hypergrad/",)

    def start(self):
        self.log = []

    def ask(self, number, rng):
        self.log.append(("ask", number, float(rng.random())))
        return np.array(self.point)

    def rejected(self, number):
        self.log.append(("rejected", number))

    def issued(self, number, unit, active, memo):
        self.log.append(("issued", number, unit.tolist(), memo))
        return {"n": number} if memo is None else memo

    def tell(self, number, unit, active, losses, extra):
        self.log.append(("tell", number, losses, extra))


def stubborn(constraints=()):
    return Stubborn(Space({"x": tune.uniform(0, 1)}, constraints), "loss", "min", seed=7)


def test_a_point_goes_out_as_its_configuration_encodes_it():
    searcher = stubborn()
    searcher.point = (0.9 + 1e-14,)
    config = searcher.suggest("a")
    assert searcher.log[-1] == ("issued", 0, searcher.space.encode(config)[0].tolist(), None)
    assert searcher.suggest("a") == config  # asked twice: the same answer, no second suggestion
    assert len(searcher.log) == 2


def test_a_stubborn_algorithm_is_overruled_by_an_allowed_point_near_its_own():
    searcher = stubborn(["x < 0.5"])
    config = searcher.suggest("a")
    assert 0.45 < config["x"] < 0.5  # it asks for 0.9
    assert [event[:2] for event in searcher.log] == [("ask", 0), ("rejected", 0), ("issued", 0)]
    assert searcher.suggest("b") != config  # the overruling point is as random as it is seeded
    assert stubborn(["x < 0.5"]).suggest("a") == config


def test_randomness_belongs_to_the_number_whatever_came_back_before():
    draws = []
    for results in ({}, {"loss": 1.0}):
        searcher = stubborn()
        searcher.suggest("a")
        searcher.on_trial_complete("a", results)
        searcher.suggest("b")
        draws.append([event[2] for event in searcher.log if event[0] == "ask"])
    assert draws[0] == draws[1]
    assert draws[0] == [np.random.default_rng([7, n]).random() for n in (0, 1)]


def test_keys_that_an_algorithm_reads_reach_it_and_survive_a_restore(tmp_path):
    searcher = stubborn()
    searcher.suggest("a")
    searcher.on_trial_complete(
        "a", {"loss": 1, "hypergrad/x": -0.5, "hypergrad/trusted": True, "hypergrad/why": "text", "other": 3}
    )
    expected = ("tell", 0, (1.0,), {"hypergrad/x": -0.5, "hypergrad/trusted": 1.0})
    assert searcher.log[-1] == expected
    searcher.save(str(tmp_path / "state"))
    again = stubborn()
    again.restore(str(tmp_path / "state"))
    assert again.log[-1] == expected
    assert again.memo("a") == {"n": 0}


def test_a_gate_without_the_iteration_in_the_results_is_an_error_with_the_nearest_key():
    searcher = Stubborn({"x": tune.uniform(0, 1)}, "loss", "min", max_t=10, time_attr="epochs")
    searcher.suggest("a")
    with pytest.raises(
        ValueError, match="results have no 'epochs', by which max_t is measured; did you mean 'epoch'"
    ):
        searcher.on_trial_complete("a", {"loss": 1.0, "epoch": 3})


def test_what_is_missing_or_doubled_at_birth_is_said():
    with pytest.raises(ValueError, match="Stubborn has no metric and mode"):
        Stubborn({"x": tune.uniform(0, 1)}).suggest("a")
    with pytest.raises(ValueError, match="give them to the Space"):
        Stubborn(Space({"x": tune.uniform(0, 1)}), constraints=["x < 1"])
    with pytest.raises(SpaceError, match="lower bound 2 is above"):
        Stubborn({"x": tune.uniform(2, 1)})


def test_saved_state_of_another_algorithm_is_refused(tmp_path):
    build("random", space={"x": tune.uniform(0, 1)}).save(str(tmp_path / "state"))
    with pytest.raises(ValueError, match="was saved by RandomSearch"):
        stubborn().restore(str(tmp_path / "state"))


def test_state_restored_before_the_space_is_known_is_replayed_when_it_is(tmp_path):
    space = {"x": tune.uniform(0, 1)}
    first = build("random", space=space)
    first.suggest("a")
    first.save(str(tmp_path / "state"))
    late = build("random")
    late.restore(str(tmp_path / "state"))
    late.set_search_properties("loss", "min", dict(space))
    assert late.suggest("b") == first.suggest("b")


def test_a_searcher_without_space_and_metric_takes_those_of_the_file(tmp_path):
    """`Tuner.restore` hands over neither."""
    given = {"o": tune.choice([math.sqrt, "b"]), "m": when("o", "b", tune.uniform(0, 1))}
    first = build("pso", space=given, metric=["loss"], mode=["max"], constraints=["o == 'b'"])
    first.suggest("a")
    first.save(str(tmp_path / "state"))
    late = build("pso")
    late.restore(str(tmp_path / "state"))
    assert (late.metric, late.mode) == (["loss"], ["max"])
    assert late.suggest("b") == first.suggest("b")
    late.save(str(tmp_path / "again"))
    assert json.loads((tmp_path / "again").read_text())["events"][1][:2] == ["suggest", "b"]


def test_maximising_is_minimising_the_negative():
    sweeps = []
    for mode, sign in (("min", 1), ("max", -1)):
        searcher = build("pso", space={"x": tune.uniform(0, 1)}, metric="m", mode=mode)
        configs = []
        for number in range(30):
            configs.append(searcher.suggest(str(number)))
            searcher.on_trial_complete(str(number), {"m": sign * configs[-1]["x"]})
        sweeps.append(configs)
    assert sweeps[0] == sweeps[1]


class Listener(Stubborn):
    """Knows what it learned; of no use where x is above a half."""

    def learned(self, unit, active, losses):
        self.log.append((unit.tolist(), active.tolist(), losses))
        return unit[0] <= 0.5


def listener():
    return Listener({"x": tune.uniform(0, 1), "o": tune.choice("ab"), "y": tune.uniform(0, 1)}, "loss", "min")


def test_what_was_guessed_of_an_earlier_result_is_drawn_at_random():
    """50 draws of y: a mean of 0.5 within 4.5 standard errors, false alarm 1e-5."""
    searcher = listener()
    for _ in range(50):
        searcher.learn({"x": 0.25, "o": "b", "y": 0.125}, {"loss": 1.0}, unknown=["y"])
    points = [unit for unit, *_ in searcher.log]
    assert all(point[:2] == [0.25, 0.75] for point in points)
    assert all(mask == [True, True, False] for _, mask, _ in searcher.log)
    assert len({point[2] for point in points}) == 50
    assert np.mean([point[2] for point in points]) == pytest.approx(0.5, abs=4.5 / math.sqrt(12 * 50))


def test_what_cannot_be_learned_from_is_tried_again_up_to_a_limit_and_failures_are_not():
    searcher = listener()
    searcher.learn({"x": 0.9, "o": "a", "y": 0.0}, {"loss": math.nan})
    searcher.learn({"x": 0.2, "o": "a", "y": 0.0}, {"loss": 1.0})
    for k in range(AGAIN + 2):
        searcher.learn({"x": 0.6 + k / 100, "o": "a", "y": 0.0}, {"loss": 1.0})
    searcher.learn({"x": 0.3, "o": "a", "y": 0.5})  # asked for: always
    searcher.point = (0.1, 0.1, 0.1)
    tried = [searcher.suggest(str(number))["x"] for number in range(AGAIN + 2)]
    assert tried == pytest.approx([0.6 + k / 100 for k in range(AGAIN)] + [0.3, 0.1])


@pytest.mark.parametrize("name", ["random", "sobol"])
def test_ten_thousand_suggestions_are_remembered_in_little(name):
    """Memory for each suggestion at n = 3,000 is at most 1.5 times that at n = 300: nothing is kept per pair
    of trials."""
    searcher = build(name, space={f"x{i}": tune.uniform(0, 1) for i in range(4)})
    sizes = {}
    for n in range(3000):
        searcher.suggest(str(n))
        searcher.on_trial_complete(str(n), {"loss": 1.0})
        if n + 1 in (300, 3000):
            sizes[n + 1] = len(key(searcher._events)) / (n + 1)
    assert sizes[3000] < 1.5 * sizes[300]


def test_sobol_covers_every_coordinate_evenly():
    """Of 2^6 points exactly one lies in each 64th of every coordinate: a (t, m, s)-net, whatever the
    scrambling."""
    searcher = build("sobol", space={f"x{i}": tune.uniform(0, 1) for i in range(5)}, seed=5)
    points = [searcher.suggest(str(n)) for n in range(64)]
    for name in points[0]:
        assert sorted(math.floor(point[name] * 64) for point in points) == list(range(64))


def test_random_search_draws_from_the_domains():
    """2,000 draws: the mean of a log-uniform's exponent within 4.4 standard errors, false alarm 1e-5."""
    searcher = build("random", space={"lr": tune.loguniform(1e-4, 1)})
    exponents = [math.log10(searcher.suggest(str(n))["lr"]) for n in range(2000)]
    assert np.mean(exponents) == pytest.approx(-2, abs=4.4 * 4 / math.sqrt(12 * 2000))
