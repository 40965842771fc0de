"""Every scheduler with every search algorithm, in real trials."""

import json
from pathlib import Path

import pytest
from ray import tune

import search_algs
from sweeps import Sweep, journal, schedulers

pytestmark = pytest.mark.usefixtures("small_ray")
QUICK = {
    "gp": "gp:n_startup_trials=4", "tpe": "tpe:n_startup_trials=3", "bayesian": "bayesian:n_startup_trials=3",
    "pso": "pso:swarm_size=3", "cmaes": "cmaes:popsize=4", "nsga2": "nsga2:population_size=4",
}  # fmt: skip
"""Models begin early."""
OFTEN = [("pso", "pbt"), ("bayesian", "asha")]
"""In the ordinary suite; the rest take six minutes."""
PAIRS = [(search, scheduler) for search in search_algs.names() for scheduler in schedulers.names()]


def train(config):
    """Six reports with checkpoints, goes on from one."""
    step = 0
    if checkpoint := tune.get_checkpoint():
        with checkpoint.as_directory() as folder:
            step = json.loads(Path(folder, "step").read_text())
    while step < 6:
        step += 1
        Path("here").mkdir(exist_ok=True)
        Path("here", "step").write_text(json.dumps(step))
        loss = (config["x"] - 0.3) ** 2 + config["n"] / (1 + step)
        tune.report({"loss": loss}, checkpoint=tune.Checkpoint.from_directory("here"))


@pytest.mark.parametrize(
    ("search", "scheduler"),
    [pytest.param(*pair, marks=[] if pair in OFTEN else pytest.mark.slow) for pair in PAIRS],
)
def test_they_run_to_the_end_together(outside, search, scheduler):
    x = tune.quniform(0.0, 0.75, 0.25) if search == "grid" else tune.uniform(0, 1)
    settings = ":perturbation_interval=2" if scheduler in ("pbt", "pb2") else ""
    sweep = Sweep(
        trainable=f"{__file__}:train",
        space={"x": x, "n": tune.choice([1, 2])} if scheduler != "pb2" else {"x": x, "n": 1},
        metric="loss",
        mode="min",
        search=QUICK.get(search, search),
        scheduler=scheduler + settings,
        trials=8 if scheduler != "pb2" or search != "grid" else 4,
        max_iterations=6,
        name="pair",
        quiet=True,
    )
    results = sweep.run()
    states = {trial.id: trial.state for trial in results.trials}
    assert len(states) == sweep.trials
    assert set(states.values()) <= {"completed", "stopped"}
    assert "completed" in states.values()
    assert results.best.iterations == 6
    ended = [e["trial"] for e in journal.read(results.folder) if e["event"] == "ended"]
    assert sorted(ended) == sorted(states)


def test_bohb_brings_its_scheduler_along_unless_another_is_named():
    def made(**given):
        return Sweep(
            trainable=f"{__file__}:train", space={"x": tune.uniform(0, 1), "n": 1}, metric="loss", mode="min",
            search="bohb", trials=2, max_iterations=6, **given,
        ).scheduler  # fmt: skip

    assert made() == "bohb"
    assert made(scheduler="asha") == "asha"
