"""Descent by hypergradients: what a chain does step by step, and that it beats its model where they help."""

import math

import numpy as np
import pytest
from ray import tune

from search_algs import build, load
from search_algs.gradient import PROBES, Gradient

K = 20
SPACE = {f"x{i}": tune.loguniform(1e-3, 1) for i in range(K)} | {"kind": tune.choice("ab")}


def valley(config):
    """A bowl in log x with a third of its axes five times as steep; its slopes with respect to x."""
    u = np.array([math.log10(config[f"x{i}"]) / 3 + 1 for i in range(K)])
    best, weight = np.linspace(0.2, 0.8, K), np.where(np.arange(K) % 3, 1.0, 5.0)
    slopes = 2 * weight * (u - best) / (3 * math.log(10))
    loss = float((weight * (u - best) ** 2).sum()) + (config["kind"] == "b")
    return loss, {f"hypergrad/x{i}": slopes[i] / config[f"x{i}"] for i in range(K)}


def search(searcher, trials, workers=4, gradients=True):
    """The best loss after each result, and how many trials were asked to beat a threshold and did not."""
    running, best, found, spared = [], math.inf, [], 0
    for number in range(trials):
        config = searcher.suggest(f"{number}")
        loss, slopes = valley(config)
        below = config.get("_hypergrad_if_below")
        beaten = below is None or loss < below
        spared += not beaten
        running.append((f"{number}", {"loss": loss} | (slopes if gradients and beaten else {})))
        if len(running) == workers:
            trial, result = running.pop(0)
            searcher.on_trial_complete(trial, result)
            best = min(best, result["loss"])
            found.append(best)
    return found, spared


def make(name="gradient", **settings):
    return build(name, space=SPACE, metric="loss", mode="min", **settings)


def test_with_twenty_smooth_parameters_it_gets_far_below_its_model_in_the_same_number_of_trials():
    """On each of 4 seeds at most a fifth of the loss after 100 trials (measured: below 0.001 of it), of its
    model's and of TPE's."""
    for seed in range(4):
        ours, spared = search(make(seed=seed), 100)
        for rival in ("bayesian", "tpe"):
            model, _ = search(make(rival, seed=seed), 100)
            assert ours[-1] < model[-1] / 5
        assert spared > 20  # backward sweeps that nobody paid for


def test_without_gradients_it_is_its_model_but_for_one_trial_run_again_and_says_so_once(caplog):
    one, model = make(seed=1), make("bayesian", seed=1, n_startup_trials=20)
    best, ours = (math.inf, {}), []
    for i in range(40):
        config = one.suggest(f"{i}")
        plain = {name: value for name, value in config.items() if not name.startswith("_")}
        loss, _ = valley(config)
        ours.append(plain)
        if "_hypergrad_of" in config:
            assert i == 24
            assert plain == best[1]
            assert config["_hypergrad_if_below"] is None
            model.recall(f"{i}", plain)
        else:
            assert plain == model.suggest(f"{i}")
        best = min(best, (loss, plain), key=lambda pair: pair[0])
        one.conclude(f"{i}", {"loss": loss})
        model.conclude(f"{i}", {"loss": loss})
    assert len(ours) == 40
    assert ours.count(ours[24]) == 2
    assert [r.message for r in caplog.records] == [
        "search gradient: the best trial, run again for its gradient, gave no `hypergrad/<name>` that can be "
        "trusted; until one does, the model (bayesian) searches alone"
    ]


def test_a_descent_begins_by_running_the_best_trial_again_and_counts_from_what_that_gives():
    one = Gradient(space={"x": tune.uniform(0, 1)}, seed=2, **ONE | {"model_trials": 3})
    before = [one.suggest(f"{i}") for i in range(3)]
    assert all("_hypergrad_of" not in config for config in before)
    for i, loss in enumerate((0.4, 0.2, 0.3)):
        one.conclude(f"{i}", {"loss": loss})
    again = one.suggest("again")
    assert again["x"] == before[1]["x"]
    assert again["_seed"] != before[1]["_seed"]
    assert again["_hypergrad_of"] == "loss"
    assert again["_hypergrad_if_below"] is None
    assert "_hypergrad_of" not in one.suggest("beside")  # the model's: what it must beat is not known yet
    one.conclude("again", {"loss": 0.25, "hypergrad/x": 1.0})  # its luck of before is gone
    probe = one.suggest("probe")
    assert probe["x"] == pytest.approx(max(0.0, again["x"] - 0.1), abs=1e-9)
    assert probe["_hypergrad_if_below"] == 0.25


def test_results_of_an_earlier_search_are_points_to_descend_from():
    one = Gradient(space={"x": tune.uniform(0, 1)}, seed=2, **ONE | {"model_trials": 2})
    for x, loss in ((0.7, 0.1), (0.3, 0.2)):
        one.learn({"x": x}, {"loss": loss})
    first = one.suggest("first")
    assert first["x"] == pytest.approx(0.7)
    assert first["_hypergrad_of"] == "loss"


def test_a_model_that_has_seen_fewer_results_than_there_are_dimensions_gets_no_turn():
    space = {f"x{i}": tune.uniform(0, 1) for i in range(30)}
    one = Gradient(space=space, seed=1, **ONE | {"model_turn": 10})
    one.suggest("start")
    one.conclude("start", {"loss": 1.0} | {f"hypergrad/{name}": 1.0 for name in space})
    for i in range(len(PROBES)):
        one.suggest(f"{i}")
    for i in range(len(PROBES)):
        one.conclude(f"{i}", {"loss": 2.0})
    one.suggest("next")
    assert "probe" in one.memo("next")


ONE = {"metric": "loss", "mode": "min", "model_trials": 1, "model_turn": 0, "step": 0.1, "least": 1}
"""Settings of a searcher whose first result begins a chain, without running it again if it has a gradient."""


def line(**settings):
    """A searcher of one parameter whose first chain is about to begin at 0.5 with a slope of 1."""
    one = Gradient(space={"x": tune.uniform(0, 1)}, **ONE | settings)
    one.suggest("start")
    one.conclude("start", {"loss": 1.0, "hypergrad/x": 3.0})
    return one, one.space.dimensions[0].domain.from_unit(one._trials["start"].unit[0])


def test_idle_workers_try_all_steps_of_a_line_search_at_once_and_then_the_model():
    one, x = line(seed=2)
    configs = [one.suggest(f"{i}") for i in range(len(PROBES))]
    assert [c["x"] for c in configs] == pytest.approx([max(0.0, x - 0.1 * a) for a in PROBES], abs=1e-9)
    assert all(c["_hypergrad_if_below"] == 1.0 for c in configs)
    assert len({c["_seed"] for c in configs}) == len(configs)
    assert "probe" not in (one.suggest("more") and one.memo("more"))


def test_a_better_probe_moves_the_chain_and_all_worse_ones_shrink_its_step():
    one, x = line(seed=2)
    for i in range(len(PROBES)):
        one.suggest(f"{i}")
    for i in range(len(PROBES)):
        one.conclude(f"{i}", {"loss": 2.0, "hypergrad/x": 1.0})
    assert one.suggest("short")["x"] == pytest.approx(x - 0.025, abs=1e-9)
    one.conclude("short", {"loss": 0.5, "hypergrad/x": -1.0})
    assert one.suggest("back")["x"] == pytest.approx(x - 0.025 + 0.025 / 2, abs=1e-9)  # the sign has turned
    assert one.suggest("farther")["_hypergrad_if_below"] == 0.5


def test_after_a_round_in_vain_the_model_has_its_turn_and_the_chain_goes_on_from_what_it_finds():
    one, x = line(seed=2, model_turn=3)
    for i in range(len(PROBES)):
        one.suggest(f"{i}")
    for i in range(len(PROBES)):
        one.conclude(f"{i}", {"loss": 2.0})
    turn = [one.suggest(f"model {i}") for i in range(3)]
    assert all("probe" not in one.memo(f"model {i}") for i in range(3))
    assert [c["_hypergrad_if_below"] for c in turn] == [1.0, 1.0, 1.0]
    assert one.suggest("probe")["x"] == pytest.approx(x - 0.025, abs=1e-9)
    one.conclude("model 1", {"loss": 0.5, "hypergrad/x": 1.0})
    moved = max(0.0, turn[1]["x"] - 0.025)
    assert one.suggest("on")["x"] == pytest.approx(moved, abs=1e-9)
    one.conclude("probe", {"loss": 0.6, "hypergrad/x": 1.0})  # of the point before: it is no step from here
    (chain,) = one._chains.values()
    assert chain.loss == 0.5


def test_five_parameters_are_left_to_the_model_and_no_way_back_is_asked_for(caplog):
    space = {f"x{i}": tune.uniform(0, 1) for i in range(5)}
    one = Gradient(space=space, metric="loss", mode="min", seed=1)
    model = build("tpe", space=space, metric="loss", mode="min", seed=1)
    for i in range(30):
        config = one.suggest(f"{i}")
        assert config == model.suggest(f"{i}")
        loss = sum(config[name] for name in space)
        one.conclude(f"{i}", {"loss": loss})
        model.conclude(f"{i}", {"loss": loss})
    assert not caplog.records


def test_each_parameter_moves_as_far_as_its_own_signs_allow_whatever_the_size_of_its_slope():
    space = {name: tune.uniform(0, 1) for name in "abc"}
    one = Gradient(space=space, seed=2, **ONE)
    start = one.suggest("start")
    one.conclude("start", {"loss": 1.0, "hypergrad/a": 1e30, "hypergrad/b": -1e-9, "hypergrad/c": 0.0})
    first = one.suggest("first")
    moved = {name: first[name] - start[name] for name in "abc"}
    assert moved == pytest.approx({"a": -0.1, "b": 0.1, "c": 0.0}, abs=1e-9)
    one.conclude("first", {"loss": 0.5, "hypergrad/a": 1.0, "hypergrad/b": 1.0, "hypergrad/c": 1.0})
    (chain,) = one._chains.values()
    assert chain.steps == pytest.approx([0.12, 0.05, 0.1])


def test_a_chain_at_the_edge_of_a_constraint_shrinks_and_ends_and_a_replay_agrees(tmp_path):
    def at_the_edge():
        return Gradient(space={name: tune.uniform(0, 1) for name in "ab"}, constraints=["a <= 0.42"], **ONE)

    one, again = at_the_edge(), at_the_edge()
    one.recall("start", {"a": 0.419, "b": 0.5})
    one.conclude("start", {"loss": 1.0, "hypergrad/a": -1.0, "hypergrad/b": 0.0})
    for i in range(8):
        assert one.suggest(f"{i}")["a"] <= 0.42
        one.conclude(f"{i}", {"loss": 2.0})
    one.save(str(tmp_path / "state"))
    again.restore(str(tmp_path / "state"))
    for i in range(8, 40):
        assert again.suggest(f"{i}") == one.suggest(f"{i}")
        for each in (one, again):
            each.conclude(f"{i}", {"loss": 2.0})
    assert not one._chains


def test_a_gradient_that_is_untrusted_or_not_finite_is_nothing_to_descend_by():
    for values in (
        {"hypergrad/x": 1.0, "hypergrad/_trusted": 0},
        {"hypergrad/x": math.nan},
        {"hypergrad/y": 1.0},
    ):
        one = Gradient(space={"x": tune.uniform(0, 1)}, seed=1, **ONE | {"model_trials": 2, "model_turn": 3})
        configs = []
        for i in range(10):
            configs.append(one.suggest(f"{i}"))
            one.conclude(f"{i}", {"loss": configs[-1]["x"]} | values)
        again = [i for i, config in enumerate(configs) if "_hypergrad_of" in config]
        assert again == [2, 6]  # each followed by a turn of the model


def test_a_lost_probe_has_failed_and_frees_its_chain():
    one, _ = line(seed=2)
    for i in range(len(PROBES)):
        one.suggest(f"{i}")
        one.lose(f"{i}")
    (chain,) = one._chains.values()
    assert chain.steps == pytest.approx(0.025)


def test_a_descent_cut_in_the_middle_and_restored_goes_on_identically(tmp_path):
    one, again = make(seed=3), make(seed=3)
    search(one, 60)
    one.save(str(tmp_path / "state"))
    again.restore(str(tmp_path / "state"))
    for i in range(6):
        assert again.suggest(f"next {i}") == one.suggest(f"next {i}")


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match=r"step is 2; it must lie in \(0, 1\]"):
        load("gradient")(step=2)
    with pytest.raises(ValueError, match="least is 0; it must be at least 1"):
        load("gradient")(least=0)
