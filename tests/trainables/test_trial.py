"""Trials under Tune itself, on a real Ray of two CPUs."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import ray
import torch
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining
from ray.util import placement_group_table

import trainables
from trainables import registry
from trainables.classify import Classify
from trainables.engine import checkpoint
from trainables.engine.ddp import TrialFailed
from trainables.engine.trial import environment

pytestmark = pytest.mark.usefixtures("small_ray")
SMALL = {"width": 8, "batch_size": 64, "report_every": 4}


class Placed(Classify):
    """Also reports the process of rank 0, to see whether it was reused."""

    def evaluate(self, model, ranks):
        return super().evaluate(model, ranks) | {"pid": float(os.getpid())}


class Failing(Placed):
    """Fails on one rank where the seed is 1."""

    def loss(self, model, batch):
        if torch.distributed.get_rank() == 1 and self.config.seed == 1:
            raise ArithmeticError("rank one cannot add")
        return super().loss(model, batch)


def tuner(task, space, folder, *, samples=1, stop=None, scheduler=None, keep=None, cpus=1):
    return tune.Tuner(
        trainables.load(task).trainable(ranks=2, cpus_per_rank=cpus),
        param_space=SMALL | space,
        tune_config=tune.TuneConfig(
            metric="val_accuracy", mode="max", num_samples=samples, scheduler=scheduler, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder), verbose=0, stop=stop, checkpoint_config=keep or tune.CheckpointConfig()
        ),
    )


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")
    monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    monkeypatch.setenv("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")


def groups_left():
    return [g for g in placement_group_table().values() if g["state"] != "REMOVED"]


def test_a_trial_copies_resets_and_recovers_over_its_ranks(new_crew, tmp_path, monkeypatch):
    """Without Tune, the trial in this process: what population-based training and reuse ask of it."""
    plan = {"ranks": 2, "watchdog_s": 20.0}
    cls = trainables.load(Placed).trainable(**plan)
    monkeypatch.setattr(cls, "_new_crew", lambda self: new_crew(Placed, **plan))
    good = SMALL | {"lr": 0.1, "seed": 3, "_hypergrad_if_below": 0.5}
    changed = SMALL | {"lr": 0.02, "seed": 3, "dropout": 0.1, "_hypergrad_if_below": 0.5}
    trial = cls(good)
    first = trial.step()
    assert first["steps"] == 4
    trial.save_checkpoint(str(tmp_path))

    trial.reset_config(changed)  # a copy: changed in place, and it goes on where the donor was
    trial.load_checkpoint(str(tmp_path))
    copied = trial.step()
    assert (copied["steps"], copied["lr"], copied["pid"]) == (8, 0.02, first["pid"])

    trial.reset_config(good)  # the next trial: begins anew on the same ranks
    again = trial.step()
    assert again | {"seconds": 0, "images_per_s": 0} == first | {"seconds": 0, "images_per_s": 0}

    trial.reset_config(good | {"width": 16})  # another model: built anew, and the donor's weights do not fit
    with pytest.raises(TrialFailed, match="size mismatch"):
        trial.load_checkpoint(str(tmp_path))

    trial.reset_config(good)  # the failure stopped the crew; the next trial has a new one
    trial.load_checkpoint(str(tmp_path))
    recovered = trial.step()
    assert recovered["steps"] == 8
    assert recovered["pid"] != first["pid"]
    trial.cleanup()
    new_crew.release()


def test_trials_reuse_ranks_and_failures_tell_why_and_stay_alone(tmp_path, one_rank):
    """Of four trials one fails; the others share a pair of rank processes, with one rank's numbers."""
    keep = tune.CheckpointConfig(checkpoint_frequency=1)
    space = {"seed": tune.grid_search([1, 2, 3, 4])}
    results = tuner(Failing, space, tmp_path, stop={"training_iteration": 2}, keep=keep).fit()
    seeds = {r.config["seed"]: r for r in results}
    assert "Failing: rank 1 of 2" in str(seeds[1].error)
    assert "raised ArithmeticError: rank one cannot add" in str(seeds[1].error)
    assert [seeds[s].error for s in (2, 3, 4)] == [None] * 3
    assert len({seeds[s].metrics["pid"] for s in (2, 3, 4)}) == 1
    assert {seeds[s].metrics["steps"] for s in (2, 3, 4)} == {8}

    state = checkpoint.unpack(checkpoint.read(seeds[3].checkpoint.path))
    through = one_rank(Classify, **SMALL, seed=3)
    for _ in range(2):
        through.advance(), through.evaluate()
    for key, value in through.state_dict()["model"].items():
        torch.testing.assert_close(state["model"][key], value, atol=2e-6, rtol=0)
    wait_for(lambda: not groups_left())


@pytest.mark.slow
def test_population_based_training_copies_over_ranks(tmp_path):
    """Two trials of two ranks at once; the one that cannot learn (lr 0) takes over the other's weights."""
    scheduler = PopulationBasedTraining(
        perturbation_interval=3,
        hyperparam_mutations={"lr": [0.05, 0.1], "batch_size": [32, 64], "dropout": [0.0, 0.1]},
        quantile_fraction=0.5,
        resample_probability=1.0,
    )
    space = {"lr": tune.grid_search([0.0, 0.1]), "dropout": 0.0, "seed": 7, "epochs": 1000}
    keep = tune.CheckpointConfig(num_to_keep=4)
    stop = {"training_iteration": 60}
    results = tuner(Placed, space, tmp_path, stop=stop, scheduler=scheduler, keep=keep, cpus=0.5).fit()
    assert not results.errors
    assert all(r.metrics["val_accuracy"] > 0.5 for r in results)  # lr 0 alone stays at about 0.1
    wait_for(lambda: not groups_left())


def wait_for(condition, within_s=10.0):
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.1)


OUTSIDE = """
    import os
    os.environ.update(RAY_AIR_NEW_OUTPUT="0", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1")
    import ray, sys
    from ray import tune
    import trainables

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)

    def run(program, space, ranks, metric):
        results = tune.Tuner(
            trainables.load(program).trainable(ranks=ranks),
            param_space=space,
            tune_config=tune.TuneConfig(metric=metric, mode="min", reuse_actors=True),
            run_config=tune.RunConfig(storage_path=sys.argv[1], verbose=0),
        ).fit()
        assert not results.errors, results.errors
        return results.get_best_result().metrics

    space = {"lr": tune.grid_search([0.01, 0.1]), "epochs": 2, "momentum": 0.5}
    end = run("my_file:MyTask", space, 2, "val_loss")
    print("task", end["val_loss"] < 2.0, end["epoch"] >= 2)
    print("function", run("my_file:train", {"x": tune.grid_search([5, 7])}, 1, "score")["score"])
"""


@pytest.mark.slow  # sweeps/test_run.py runs a stranger's task every time
def test_a_strangers_task_and_function_run_from_a_folder_outside_the_repository(tmp_path):
    import runpy

    source = runpy.run_path(str(Path(__file__).with_name("test_registry.py")))["MY_FILE"]
    (tmp_path / "my_file.py").write_text(textwrap.dedent(source))
    (tmp_path / "sweep.py").write_text(textwrap.dedent(OUTSIDE))
    answer = subprocess.run(
        [sys.executable, "sweep.py", str(tmp_path / "results")],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": registry.__file__.rsplit("/", 2)[0],
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "task True True\nfunction 7\n" in answer.stdout, answer.stdout + answer.stderr


def test_folders_named_by_the_environment_reach_a_rank_as_absolute_paths(outside):
    given = {"STARLING_DATA": "data", "STARLING_CACHE": "/cache", "STARLING_WORD": "data", "HOME": "x"}
    assert environment(given) == {
        "STARLING_DATA": str(outside / "data"),
        "STARLING_CACHE": "/cache",
        "STARLING_WORD": "data",
    }


@pytest.mark.slow
def test_a_hundred_stops_at_random_steps_leave_nothing_hanging(tmp_path):
    """As ASHA stops trials: between reports, at a random one of each, then the ranks go to the next trial."""

    class Sometime(tune.Stopper):
        def __call__(self, trial_id, result):
            return result["training_iteration"] >= 1 + hash(trial_id) % 4

        def stop_all(self):
            return False

    space = {"seed": tune.randint(0, 1000), "report_every": tune.randint(1, 4), "width": tune.choice([8, 16])}
    start = time.monotonic()
    results = tuner(Placed, space, tmp_path, samples=100, stop=Sometime()).fit()
    assert not results.errors
    assert len(results) == 100
    assert len({r.metrics["pid"] for r in results}) <= 3
    wait_for(lambda: not groups_left())
    wait_for(lambda: ray.available_resources().get("CPU") == 2)
    assert time.monotonic() - start < 240
