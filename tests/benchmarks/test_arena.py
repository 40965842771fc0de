"""The arena: its clock worked by hand and against Ray itself, what counts as found, its ratios against SciPy,
and that every competitor that is installed can play."""

import gc
import importlib.util
import math
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from scipy import stats

from benchmarks.arena import lcbench, synthetic, tables
from benchmarks.arena.clock import Run, incumbents, run
from benchmarks.arena.peers import PEERS, Rules
from benchmarks.arena.problem import Outcome, Problem
from benchmarks.arena.suites import SUITES, Game, Suite


def problem(max_t=1, noise=0.0):
    """Loss `x` after the last iteration, one more for each before it; `x` seconds an iteration."""

    def train(configs):
        return [Outcome(c["x"] + np.arange(max_t - 1, -1, -1.0), c["x"]) for c in configs]

    return Problem(
        name="plain", space={"x": tune.uniform(0, 10)}, train=train, optimum=0.0, middle=2.0, max_t=max_t,
        noise=noise,
    )  # fmt: skip


class Scripted(Searcher):
    """Suggests given values of `x`, None where they say so, and writes down what it is called."""

    def __init__(self, values):
        super().__init__(metric="loss", mode="min")
        self.values, self.calls, self.x = list(values), [], {}

    def set_search_properties(self, metric, mode, config, **spec):
        return True

    def suggest(self, trial_id):
        x = self.values[0]
        if callable(x):
            x = x(self)
        if x is None:
            return None
        self.values.pop(0)
        self.x[trial_id] = x
        self.calls.append(("suggest", x))
        return {"x": x}

    def on_trial_result(self, trial_id, result):
        self.calls.append(("result", self.x[trial_id], result["training_iteration"]))

    def on_trial_complete(self, trial_id, result=None, error=False):
        self.calls.append(("complete", self.x[trial_id], result["training_iteration"]))

    def save(self, checkpoint_path):
        """Never asked for."""

    restore = save


class Stops(FIFOScheduler):
    """Stops trials with `x` above 2 after their second iteration."""

    def on_trial_result(self, tune_controller, trial, result):
        late = trial.config["x"] > 2 and result["training_iteration"] >= 2
        return TrialScheduler.STOP if late else TrialScheduler.CONTINUE


def test_two_workers_take_the_next_trial_when_they_are_free():
    """By hand: 1 runs 0 to 1, 3 runs 0 to 3, then 1 to 6 the 5, then 3 to 5 the 2."""
    found = run(problem(), Scripted([1.0, 3.0, 5.0, 2.0]), workers=2, trials=4)
    assert found.ended_s == [1, 3, 5, 6]
    assert found.loss == [1, 3, 2, 5]
    assert found.truth == [0.5, 1.5, 1, 2.5]
    assert found.idle_s == 0


def test_who_waits_for_a_generation_is_idle():
    """By hand: the worker that ends at 1 waits until 4, then both begin anew: 3 idle seconds."""

    def when_both_are_back(one):
        return 2.0 if sum(call[0] == "complete" for call in one.calls) == 2 else None

    found = run(problem(), Scripted([1.0, 4.0, when_both_are_back, 2.0]), workers=2, trials=4)
    assert found.ended_s == [1, 4, 6, 6]
    assert found.idle_s == 3


def test_a_stopped_trial_frees_its_worker_and_is_scored_by_its_full_training():
    found = run(problem(max_t=4), Scripted([3.0, 1.0]), workers=1, trials=2, scheduler=Stops())
    assert found.iterations == [2, 4]
    assert found.ended_s == [6, 10]
    assert found.loss == [3 + 2, 1]
    assert found.truth == [1.5, 0.5]


def test_a_budget_counts_iterations_and_lets_running_trials_end():
    """By hand: 2 trainings of 4 iterations are used up when the second full trial ends."""
    found = run(problem(max_t=4), Scripted([1.0] * 9), workers=1, trainings=2, scheduler=Stops())
    assert found.iterations == [4, 4]


@pytest.fixture
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0")
        patch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # which leave files open
        ray.init(
            address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
        yield
        ray.shutdown()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's own processes, which end in their time
            gc.collect()


class Trains(tune.Trainable):
    """`problem(max_t=4)` as Ray trains it."""

    def setup(self, config):
        self.x = config["x"]

    def step(self):
        return {"loss": self.x + 3 - self.iteration, "done": self.iteration == 3}

    def save_checkpoint(self, checkpoint_dir):
        """Ray saves a trial at its end."""

    def load_checkpoint(self, checkpoint):
        """Never asked for."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own, in its threads
def test_searchers_are_called_as_ray_tune_calls_them(cluster, tmp_path):
    values = [1.0, 3.0, 2.0]
    simulated, real = Scripted(values), Scripted([*values, None])
    run(problem(max_t=4), simulated, workers=1, trials=3, scheduler=Stops())
    tune.Tuner(
        Trains,
        param_space={"x": tune.uniform(0, 10)},
        tune_config=tune.TuneConfig(
            search_alg=real, scheduler=Stops(), num_samples=3, metric="loss", mode="min"
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    ).fit()
    assert simulated.calls[:5] == [
        ("suggest", 1.0), ("result", 1.0, 1), ("result", 1.0, 2), ("result", 1.0, 3), ("complete", 1.0, 4)
    ]  # fmt: skip
    # Ray asks for the next trial ahead of time: what it says of each trial is compared.
    for x in values:
        assert [c for c in real.calls if c[1] == x] == [c for c in simulated.calls if c[1] == x]


def test_reports_are_noisy_and_the_truth_is_not():
    """Standard deviation .1 of the scale 2, from 400 draws: outside .18 to .22 with chance .005."""
    found = run(problem(noise=0.1), Scripted([1.0] * 400), workers=1, trials=400)
    assert set(found.truth) == {0.5}
    assert 0.18 < np.std(found.loss) < 0.22


def test_the_incumbent_is_who_reported_least_and_is_scored_by_its_truth():
    one = Run(loss=[5.0, 3.0, 4.0, 1.0], truth=[0.5, 0.9, 0.1, 0.2], iterations=[9, 9, 9, 4])
    assert incumbents(one, 9).tolist() == [0.5, 0.9, 0.9, 0.2]
    assert incumbents(one, 9, share=0.5).tolist() == [0.5, 0.9, 0.9, 0.9]


def test_before_its_first_result_a_search_is_worth_a_random_configuration():
    columns = {"ended_s": np.array([2.0, 5.0]), "incumbent": np.array([0.7, 0.3])}
    assert [tables.at(columns, second) for second in (1.9, 2.0, 4.9, 5.0, 9.0)] == [1.0, 0.7, 0.7, 0.3, 0.3]


def test_the_ratio_of_means_has_scipys_bootstrap_interval():
    rng = np.random.default_rng(5)
    ours, theirs = rng.gamma(2, 0.1, 60), rng.gamma(2, 0.2, 60)
    middle, low, high = tables.ratio(ours, theirs)
    oracle = stats.bootstrap(
        (ours, theirs), lambda a, b, axis: a.mean(axis) / b.mean(axis), paired=True, method="percentile",
        n_resamples=20_000, rng=1,
    ).confidence_interval  # fmt: skip
    assert middle == ours.mean() / theirs.mean()
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=0.02)
    assert tables.ratio(ours, ours) == (1, 1, 1)
    assert tables.ratio(ours, 2 * ours) == pytest.approx((0.5, 0.5, 0.5))


def test_the_table_compares_the_same_pairs_and_equal_times(tmp_path):
    """By hand: `pso` is at .2 in the end and at .8 when `random` (.4) ends; the seed without `random` is left
    out."""
    suite = Suite(about="two", problems={"p": lambda seed: problem()}, searchers=("random", "pso"), seeds=2)
    for searcher, seed, ends, regrets in (
        ("random", 0, [1.0, 2.0], [0.9, 0.4]),
        ("pso", 0, [1.5, 6.0], [0.8, 0.2]),
        ("pso", 1, [1.0, 2.0], [9.0, 9.0]),
    ):
        one = Run(regrets, regrets, [1, 1], ends, idle_s=1.2)
        tables.write(tmp_path, Game("p", seed, 8, searcher), problem(), one, {"day": "today", "commit": "c"})
    text = tables.markdown(tmp_path, suite)
    assert "played on today at c" in text
    row = next(line for line in text.splitlines() if line.startswith("| pso |"))
    assert row == "| pso | 1 | 0.200 | 0.50 [0.50, 0.50] |  | 2.00 [2.00, 2.00] | 3.00 | 2.5% | 2 |"
    duel = next(line for line in text.splitlines() if line.startswith("| random | 1 | 0.50"))
    assert duel == "| random | 1 | 0.50 [0.50, 0.50] | 2.00 [2.00, 2.00] | 0 |  |  |"
    tables.export(tmp_path, suite, tmp_path / "all.arrow")
    import pyarrow as pa

    with pa.ipc.open_file(tmp_path / "all.arrow") as file:
        assert file.read_all().num_rows == 6


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.filterwarnings("ignore")  # theirs
def test_every_competitor_plays_a_small_game(name):
    library = PEERS[name].library
    if library is not None and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed; `make bench-search` installs it")
    small = synthetic.synthetic("sphere-5", 0)
    rules = Rules(seed=1, workers=4, max_t=1, trials=24, stops=False)
    found = run(small, PEERS[name].build(rules), workers=4, trials=24, seed=1)
    assert len(found.loss) == 24
    assert all(math.isfinite(loss) for loss in found.loss)
    assert len(set(found.loss)) > 12


def test_every_suite_names_competitors_that_exist():
    for suite in SUITES.values():
        assert {*suite.searchers, *suite.seeds_of} <= {*PEERS}
        assert "random" in suite.searchers


@pytest.mark.parametrize("name", synthetic.NAMES)
def test_a_functions_regret_is_never_negative_and_half_of_random_points_are_below_one(name):
    """Of 400 random points the share below 1 is outside .4 to .6 with chance .0001."""
    from search_algs.space import Space

    one = synthetic.synthetic(name, 3)
    space, rng = Space(one.space), np.random.default_rng(2)
    points = [space.decode(space.sample(rng)) for _ in range(400)]
    regrets = np.array([one.regret(float(outcome.losses[-1])) for outcome in one.train(points)])
    assert regrets.min() >= 0
    assert 0.4 < (regrets < 1).mean() < 0.6


def test_functions_are_zero_at_their_optimum():
    for function, d, _ in synthetic.FUNCTIONS.values():
        assert function(np.zeros(d)) == 0
        assert function(np.full(d, 0.1)) > 0


def test_a_widened_range_folds_back_into_the_real_one():
    """By hand for momentum in [.1, .99]: .05 is as far below as .15 is above the lower end."""
    inside = np.array([0.1, 0.5, 0.99])
    assert lcbench._folded("momentum", inside) == pytest.approx(inside)
    assert lcbench._folded("momentum", np.array([0.05, 1.0])) == pytest.approx([0.15, 0.98])
    low, high = lcbench.RANGES["learning_rate"]
    assert lcbench._folded("learning_rate", np.array([low / 2, high * 2])) == pytest.approx(
        [low * 2, high / 2]
    )


def test_lcbench_is_on_the_scale_of_regret():
    """Random configurations: half below 1, none below 0 by more than the search for the optimum missed."""
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("onnxruntime is not installed; `make bench-search` installs it")
    if not (Path(os.environ.get("STARLING_TEST_DATA", "")) / "yahpo" / "lcbench").exists():
        pytest.skip("STARLING_TEST_DATA has no yahpo/lcbench")
    from search_algs.space import Space

    one = lcbench.lcbench("3945")
    space, rng = Space(one.space), np.random.default_rng(0)
    outcomes = one.train([space.decode(space.sample(rng)) for _ in range(400)])
    regrets = np.array([one.regret(outcome.losses[-1]) for outcome in outcomes])
    assert len(outcomes[0].losses) == one.max_t == 52
    assert 0.4 < (regrets < 1).mean() < 0.6
    assert regrets.min() > -1e-6
