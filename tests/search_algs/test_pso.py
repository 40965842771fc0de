"""The particle swarm: a swarm of three worked out by hand, and against the published update; what makes it
asynchronous."""

import math

import numpy as np
import pytest
from ray import tune

from search_algs import when
from search_algs.pso import Pso

CUBE = {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)}


def swarm(space=None, **settings):
    return Pso(space=space or CUBE, metric="loss", mode="min", **settings)


def bowl(config):
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2


def tell(searcher, trial, loss):
    searcher.on_trial_complete(trial, {"loss": loss, "training_iteration": 1})


class Scripted:
    """A generator whose draws are written down: r1 and r2 of a move, then two that play no part."""

    def __init__(self, r1, r2):
        self.draws = [r1, r2, 1.0, 1.0]

    def random(self, size):
        return np.full(size, self.draws.pop(0))


def test_a_swarm_of_three_moves_as_worked_out_by_hand(monkeypatch):
    """x' = x + v / 2 + r1 (b - x) + 2 r2 (g - x), that is W = 0.5, C1 = 1, C2 = 2, with v = 0 at first.

    Draws r1 = 0.5, r2 = 0.25 in generations 1 and 3: pulls of a half each; 0.4 and 0.5 in generation 2.

        x    0.2               0.6             0.9               b are these, g = 0.6
        x'   0.2 + .2          0.6             0.9 - .15
             = 0.4             = 0.6           = 0.75            b = 0.4, 0.6, 0.75, g = 0.75
        x"   0.4 + .1 + .35    0.6 + .15       0.75 - .075
             = 0.85            = 0.75          = 0.675           b = 0.4, 0.75, 0.75
        x"'  0.85 + .225       0.75 + .075     0.675 - .0375
             - .225 - .05                      + .0375 + .0375
             = 0.8             = 0.825         = 0.7125
    """
    settings = {"inertia": 0.5, "cognitive": 1, "social": 2}
    searcher = swarm({"x": tune.uniform(0, 1)}, generational=True, swarm_size=3, **settings)
    worked_out = [
        ((0.5, 0.25), (0.5, 0.1, 0.3), (0.4, 0.6, 0.75)),
        ((0.4, 0.5), (0.2, 0.4, 0.05), (0.85, 0.75, 0.675)),
        ((0.5, 0.25), (0.3, 0.06, 0.2), (0.8, 0.825, 0.7125)),
    ]
    for i, x in enumerate((0.2, 0.6, 0.9)):
        searcher.recall(f"0 {i}", {"x": x})
    for generation, (draws, losses, positions) in enumerate(worked_out):
        for i in (1, 2, 0):
            tell(searcher, f"{generation} {i}", losses[i])
        monkeypatch.setattr(np.random, "default_rng", lambda _, draws=draws: Scripted(*draws))
        found = [searcher.suggest(f"{generation + 1} {i}")["x"] for i in range(3)]
        monkeypatch.undo()
        assert found == pytest.approx(positions, abs=1e-9)


def test_generations_follow_the_published_update_on_a_swarm_of_three():
    w, c1, c2, seed = 0.7298, 1.49618, 1.49618, 5
    searcher = swarm(generational=True, swarm_size=3, seed=seed, bounds="clip")
    x = np.array([[searcher.suggest(f"0 {i}")[name] for name in "xy"] for i in range(3)])
    assert searcher.suggest("too early") is None
    v, best, value = np.zeros((3, 2)), x.copy(), np.full(3, np.inf)
    for generation in range(1, 6):
        losses = np.array([bowl({"x": a, "y": b}) for a, b in x])
        for i in (2, 0, 1):  # results come in any order
            tell(searcher, f"{generation - 1} {i}", losses[i])
        better = losses < value
        best[better], value[better] = x[better], losses[better]
        leader = best[value.argmin()]
        for i in range(3):  # Shi & Eberhart 1998, eq. 1, with the draws of this suggestion
            rng = np.random.default_rng([seed, 3 * generation + i])
            r1, r2 = rng.random(2), rng.random(2)
            v[i] = w * v[i] + c1 * r1 * (best[i] - x[i]) + c2 * r2 * (leader - x[i])
            old, x[i] = x[i].copy(), np.clip(x[i] + v[i], 0, 1)
            v[i] = x[i] - old
            config = searcher.suggest(f"{generation} {i}")
            assert (config["x"], config["y"]) == pytest.approx(tuple(x[i]), abs=1e-9)


def test_no_worker_ever_waits_whatever_has_come_back():
    searcher, rng, running = swarm(seed=1), np.random.default_rng(0), []
    for number in range(400):
        config = searcher.suggest(f"{number}")
        assert config is not None
        running.append((f"{number}", bowl(config)))
        while running and rng.random() < 0.5:
            trial, loss = running.pop(int(rng.integers(len(running))))
            if rng.random() < 0.3:
                searcher.on_trial_complete(trial, error=True)
            else:
                tell(searcher, trial, loss)


def test_a_crashed_trial_frees_its_particle_and_changes_nothing_else():
    searcher = swarm(seed=2)
    for i in range(10):
        tell(searcher, f"{i}", bowl(searcher.suggest(f"{i}")))
    searcher.suggest("10")
    who = searcher.memo("10")["particle"]
    particle = searcher._swarm[who]
    before = particle.x.copy(), particle.v.copy(), particle.best
    searcher.on_trial_complete("10", error=True)
    assert np.array_equal(particle.x, before[0])
    assert np.array_equal(particle.v, before[1])
    assert particle.best is before[2]
    assert searcher._resting[-1] == who


def test_the_swarm_grows_to_the_number_of_workers_and_no_further():
    searcher, running = swarm(seed=3), []
    for number in range(300):
        running.append((f"{number}", bowl(searcher.suggest(f"{number}"))))
        if len(running) == 24:
            tell(searcher, *running.pop(0))
    assert len(searcher._swarm) == 24 + 10 - 1  # ten results are awaited before the first moves


def test_who_rested_longest_moves_first():
    searcher = swarm(seed=4)
    for i in range(10):
        searcher.suggest(f"{i}")
    for i in (7, 2, 9, 0, 1, 3, 4, 5, 6, 8):
        tell(searcher, f"{i}", float(i))
    order = []
    for i in range(10, 20):
        searcher.suggest(f"{i}")
        order.append(searcher.memo(f"{i}")["particle"])
    assert order == [7, 2, 9, 0, 1, 3, 4, 5, 6, 8]


def test_a_small_finite_space_is_tried_whole_before_anything_is_tried_twice_or_nearly():
    space = {"a": tune.choice("abc"), "n": tune.randint(0, 5)}
    searcher, seen = swarm(space, seed=6), []
    for i in range(15):
        config = searcher.suggest(f"{i}")
        seen.append((config["a"], config["n"]))
        tell(searcher, f"{i}", config["n"] + (config["a"] != "b"))
    assert len(set(seen)) >= 13


def test_an_inactive_coordinate_pulls_at_nothing():
    space = {"opt": tune.choice(["sgd", "adam"]), "momentum": when("opt", "sgd", tune.uniform(0, 1))}
    searcher = swarm(space, seed=7, mutation=0.0)
    for i in range(60):
        config = searcher.suggest(f"{i}")
        tell(searcher, f"{i}", config.get("momentum", 10.0))  # sgd with little momentum is best
    leader = searcher._leader
    assert leader.active.all()
    assert leader.point[1] < 0.05


@pytest.mark.parametrize("topology", ["global", "ring", "random"])
def test_every_topology_finds_the_bottom_of_a_bowl(topology):
    """Best of 200: 8 of 10 seeds must come below .0002; random search does so with chance .12 each."""
    good = 0
    for seed in range(10):
        searcher, best = swarm(seed=seed, topology=topology), math.inf
        for i in range(200):
            loss = bowl(searcher.suggest(f"{i}"))
            tell(searcher, f"{i}", loss)
            best = min(best, loss)
        good += best < 0.0002
    assert good >= 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"topology": "rings"}, "topology is 'rings'; did you mean 'ring'"),
        ({"bounds": "wrap"}, "bounds is 'wrap'"),
        ({"inertia": 1.5}, r"inertia is 1.5; it must lie in \[0, 1\]"),
        ({"swarm_size": 0}, "swarm_size is 0"),
        ({"mutation": -0.1}, "mutation is -0.1"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        swarm(**settings)
