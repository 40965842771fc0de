import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray import tune

from cluster import cluster_file
from cluster.planning import Assumptions, Simulation
from sweeps import Sweep, journal
from sweeps.planning import virtual
from sweeps.planning.curves import NEIGHBOURS, Curve, Earlier, Model
from sweeps.planning.plan import QUANTITIES, plan
from sweeps.planning.virtual import Frugal, VirtualSweep
from sweeps.results import Results
from sweeps.spec import SpecError

ROOT = Path(__file__).parents[2]
REPORTS = 9
ASHA = f"asha:max_t={REPORTS},grace_period=1,reduction_factor=3"


def loss(x, i):
    return (x - 0.3) ** 2 + 0.2 * np.cos(7 * x) / i


def train(config):
    for i in range(1, REPORTS + 1):
        tune.report({"loss": float(loss(config["x"], i))})


def sweep(**changes):
    fields = {
        "trainable": train,
        "space": {"x": tune.uniform(0.0, 1.0)},
        "metric": "loss",
        "mode": "min",
        "search": "random",
        "scheduler": ASHA,
        "trials": 12,
        "max_iterations": REPORTS,
        "quiet": True,
        "seed": 3,
    }
    return Sweep(**(fields | changes))


class Known:
    """What `train` reports."""

    words, length = "known", REPORTS

    def trial(self, config, *words):
        line = np.array([loss(config["x"], i) for i in range(1, REPORTS + 1)])
        return Curve({"loss": line}, np.full(REPORTS, 60.0))


@pytest.fixture
def aws():
    return cluster_file.load(ROOT / "cluster" / "aws.yaml")


class Kept(virtual.Unkept):
    def __init__(self):
        self.kept = []

    def append(self, event, /, **fields):
        written = super().append(event, **fields)
        self.kept.append(written)
        return written


def simulate(cluster, one, curves=None, fits=100, **more):
    work = VirtualSweep(one, curves or Known(), fits=fits, seed=one.seed, suggestions=500)
    work.conductor.journal = journal_of = Kept()
    simulation = Simulation(
        cluster,
        work,
        bundle={"CPU": 1.0},
        ranks=one.ranks,
        assumptions=Assumptions(**({"refused": 0, "preemptions_per_h": 0} | more)),
        seed=one.seed,
    )
    work.simulation = simulation
    return work, simulation.run(), journal_of.kept


@pytest.fixture(scope="module")
def real(small_ray, tmp_path_factory):
    """A sweep that Ray ran, one trial at a time, so that its order is certain."""
    folder = tmp_path_factory.mktemp("real")
    return sweep(storage=str(folder), name="s", max_concurrent=1).run()


def decisions(events):
    told = []
    for event in events:
        if event["event"] == "suggested":
            told.append(("suggested", event["trial"], event["config"]["x"]))
        elif event["event"] == "reported":
            told.append(("reported", event["trial"], event["iteration"], event["decision"]))
        elif event["event"] == "ended":
            told.append(("ended", event["trial"], event["state"]))
    return told


def test_the_virtual_sweep_decides_as_the_one_that_ray_ran(real, aws):
    _, _, events = simulate(aws, sweep(max_concurrent=1))
    assert decisions(events) == decisions(journal.read(real.path))


@pytest.mark.parametrize(
    "scheduler",
    [
        "fifo",
        ASHA,
        "median",
        f"hyperband:max_t={REPORTS}",
        f"bohb:max_t={REPORTS}",
        "pbt",
        pytest.param("pb2", marks=pytest.mark.slow),  # fits a Gaussian process at every copy
    ],
)
def test_every_scheduler_comes_to_an_end_in_virtual_time(aws, scheduler):
    small = replace(aws, max_workers=2)
    work, outcome, _ = simulate(small, sweep(scheduler=scheduler, trials=20), preemptions_per_h=2.0)
    assert outcome.unplaced == 0
    assert sum(work.conductor.history.states.values()) == 20
    assert work.finished


def test_pbt_copies_in_virtual_time(aws):
    work, _, _ = simulate(aws, sweep(scheduler="pbt", trials=8))
    assert any(record.copies for record in work.conductor.history.trials.values())


def test_a_time_budget_ends_the_virtual_sweep(aws):
    work, outcome, _ = simulate(aws, sweep(time_budget="10m"))
    assert work.conductor.stopping == "time_budget"
    assert 600 <= outcome.makespan_s < 700


def test_a_preempted_trial_reports_nothing_twice(aws):
    spot = replace(aws, max_workers=1)
    _, outcome, events = simulate(spot, sweep(scheduler="fifo"), preemptions_per_h=6.0)
    assert outcome.preemptions > 0
    told = [(e["trial"], e["iteration"]) for e in events if e["event"] == "reported"]
    assert len(told) == len(set(told)) == 12 * REPORTS


def test_a_plan_is_the_same_again_and_its_quantiles_are_in_order(aws):
    first, again = (
        plan(sweep(search="tpe"), aws, seeds=4, processes=processes, suggestions=5) for processes in (1, 2)
    )
    assert [one.numbers for one in first.seeds] == [one.numbers for one in again.seeds]
    for key in QUANTITIES:
        low, middle, high = first.quantiles(key)
        assert low <= middle <= high
    low, expected, high = (first.quantiles(key)[1] for key in ("dollars_low", "dollars", "dollars_high"))
    assert low <= expected < high
    assert len({one.numbers["makespan_h"] for one in first.seeds}) == 4
    assert any("tpe was asked for 5 configurations" in note for note in first.notes)


def test_the_parts_of_the_expected_dollars_add_up(aws):
    for one in plan(sweep(), aws, seeds=2, processes=1).seeds:
        trials = one.numbers["trial_dollars"] * sum(one.states.values())
        parts = one.numbers["boot_dollars"] + one.numbers["idle_dollars"] + trials
        assert parts == pytest.approx(one.numbers["dollars"])


def test_old_prices_and_idle_gpus_are_named(aws):
    notes = " ".join(plan(sweep(), aws, seeds=1).notes)
    assert "give newer ones with --prices FILE" in notes
    assert "the trials use no GPU" in notes
    assert "a stated model" in notes


def test_a_trial_that_never_fits_is_refused_with_what_it_was_compared_with(aws):
    with pytest.raises(SpecError, match=r"gpu_spot \(g6.2xlarge\): a rank needs 1 CPU and 2 GPU, a node has"):
        plan(sweep(gpus_per_rank=2), aws)


def test_a_sweep_of_unknown_length_asks_for_it(aws):
    with pytest.raises(SpecError, match="--max-iterations N, or --results PATH"):
        plan(sweep(scheduler="fifo", max_iterations=None), aws)


# -- curves ------------------------------------------------------------------------------------------


def model(**changes):
    one = sweep(**changes)
    return Model(one.search_space(), one.metrics, one.modes, length=REPORTS, seconds=60.0, seed=1)


def test_the_model_gives_the_same_trial_again_and_near_ones_to_near_configurations():
    curves = model()
    first, again, near, far = (curves.trial({"x": x}, 0).values["loss"] for x in (0.5, 0.5, 0.501, 0.9))
    assert (first == again).all()
    assert np.abs(first - near).max() < 0.02 < np.abs(first - far).max()


def test_the_model_learns_in_either_direction_and_takes_the_stated_time():
    down, up = model().trial({"x": 0.2}, 0), model(mode="max").trial({"x": 0.2}, 0)
    assert down.values["loss"][0] > down.values["loss"][-1]
    assert up.values["loss"][0] < up.values["loss"][-1]
    curves = model()
    means = [curves.trial({"x": 0.5}, k).seconds.mean() for k in range(300)]
    assert np.mean(means) == pytest.approx(60.0, rel=0.05)


def test_earlier_results_give_their_own_curves_back(real):
    """Where every trial was run to its end, a planned one does as one of its nearest, report by report."""
    results = Results(real.path)
    curves = Earlier(results, sweep().search_space(), ("loss",), length=REPORTS, seed=0)
    known = {trial.config["x"] for trial in results.trials}
    for x in (0.1, 0.5, 0.9):
        curve = curves.trial({"x": x}, 0)
        near = sorted(known, key=lambda one: abs(one - x))[:NEIGHBOURS]
        assert min(abs(curve.values["loss"][0] - loss(one, 1)) for one in near) < 1e-9
        assert len(curve.seconds) == REPORTS
        assert (curve.seconds > 0).all()


def test_a_plan_from_earlier_results_says_so(real, aws):
    found = plan(sweep(max_iterations=None, scheduler="fifo"), aws, seeds=1, results=Results(real.path))
    assert found.notes[0].startswith(f"curves: of 12 trials in {real.path}")
    assert found.seeds[0].states == {"completed": 12}


def test_results_of_another_metric_are_refused(real):
    with pytest.raises(ValueError, match="has no accuracy, but loss"):
        Earlier(Results(real.path), sweep().search_space(), ("accuracy",), length=None, seed=0)


# -- a frugal search ---------------------------------------------------------------------------------


class Counting:
    learns, total = True, None

    def __init__(self):
        self.asked = 0

    def suggest(self, trial_id):
        self.asked += 1
        return {"x": self.asked}


def test_a_search_that_learns_is_asked_so_often_and_its_later_half_repeats():
    inner = Counting()
    search = Frugal(inner, 10, seed=0)
    told = [search.suggest(f"{i:05d}")["x"] for i in range(60)]
    assert told[:10] == list(range(1, 11))
    assert set(told[10:]) == {6, 7, 8, 9, 10}
    assert (inner.asked, search.repeated) == (10, 50)


def test_a_search_that_does_not_learn_is_always_asked():
    inner = Counting()
    inner.learns = False
    search = Frugal(inner, 10, seed=0)
    assert [search.suggest(str(i))["x"] for i in range(20)] == list(range(1, 21))


# -- the command -------------------------------------------------------------------------------------


def test_the_command_prints_quantiles_and_draws_the_cluster(starling, recipe, tmp_path):
    picture = tmp_path / "plan.svg"
    words = ("--sweep", recipe, "--trials", 12, "--search", "random", "--seeds", 2)
    answer = starling("cluster", "plan", ROOT / "cluster" / "aws.yaml", *words, "--plot", picture)
    assert answer.code == 0, answer.err
    assert "makespan, h" in answer.out
    assert "seed 2 of 2" in answer.err
    assert ET.parse(picture).getroot().tag.endswith("svg")


def test_the_command_gives_json(starling, recipe):
    words = ("--sweep", recipe, "--trials", 6, "--search", "random", "--seeds", 1, "--json")
    found = json.loads(starling("cluster", "plan", ROOT / "cluster" / "aws.yaml", *words).out)
    assert set(found["quantiles"]) == set(QUANTITIES)
    assert found["fits"] == 800
    assert sum(found["seeds"][0]["trials"].values()) == 6


def test_an_unknown_price_ends_the_command_and_names_the_file_to_write(starling, recipe, tmp_path):
    text = (ROOT / "cluster" / "aws.yaml").read_text().replace("g6.2xlarge", "g99.huge")
    (tmp_path / "c.yaml").write_text(text)
    answer = starling("cluster", "plan", tmp_path / "c.yaml", "--sweep", recipe)
    assert answer.code == 2
    assert "no price for g99.huge" in answer.err
    assert "--prices FILE" in answer.err
