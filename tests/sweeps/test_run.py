"""Whole sweeps: real Ray, real processes, as a user starts, stops, kills and resumes them."""

import collections
import json
import math
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from ray import tune

from search_algs.space import when
from sweeps import Sweep, journal
from sweeps.results import Results
from sweeps.run import restart, start
from trainables.wandb_log import read

pytestmark = pytest.mark.usefixtures("small_ray")
CLOCKS = ("time_total_s", "seconds", "images_per_s")


def decisions(folder):
    """What a sweep decided and measured, without what differs from run to run by its nature."""
    kept = []
    for event in journal.read(folder):
        if event["event"] == "suggested":
            kept.append((event["trial"], event["config"]))
        elif event["event"] == "reported":
            metrics = {key: value for key, value in event["metrics"].items() if key not in CLOCKS}
            kept.append((event["trial"], event["iteration"], event["decision"], metrics))
        elif event["event"] == "ended":
            kept.append((event["trial"], event["state"]))
    return kept


def rows(folder):
    """(trial, copies, iteration) of every row of the metrics table."""
    table = Results(folder).metrics().select(["trial", "copies", "iteration"])
    return [tuple(row.values()) for row in table.to_pylist()]


def each_once(folder):
    found = rows(folder)
    assert len(set(found)) == len(found)
    reported = [e for e in journal.read(folder) if e["event"] == "reported"]
    assert sorted(found) == sorted((e["trial"], e["copies"], e["iteration"]) for e in reported)


def saving(config):
    """Counts its steps in a checkpoint; at the step `interrupt` Ctrl-C hits its driver, once."""
    step = 0
    if checkpoint := tune.get_checkpoint():
        with checkpoint.as_directory() as folder:
            step = json.loads(Path(folder, "step").read_text())

    while True:
        step += 1
        time.sleep(config.get("sleep", 0.0))
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(json.dumps(step))
            tune.report({"loss": config["x"] + 1 / step}, checkpoint=tune.Checkpoint.from_directory(folder))
        if step == config.get("interrupt") and not (seen := Path(config["seen"])).exists():
            seen.touch()
            os.kill(config["driver"], signal.SIGINT)


# -- one sweep, several ways -----------------------------------------------------------------------


@pytest.mark.slow
def test_the_example_of_the_design_runs_as_written(outside):
    result = Sweep(
        trainable="classify",
        space={"lr": tune.loguniform(1e-4, 1.0), "momentum": tune.uniform(0.0, 0.99)},
        metric="val_accuracy", mode="max",
        search="tpe", scheduler="asha", trials=3, ranks=2, storage="results",
        fixed={"epochs": 2}, name="example", quiet=True,
    ).run()  # fmt: skip
    assert set(result.best.config) >= {"lr", "momentum"}
    assert 0.0 < result.best.value <= 1.0
    assert result.best.value == max(t.value for t in result.trials if t.state == "completed")
    assert sum(result.status().values()) == 3
    assert {trial.iterations for trial in result.trials} <= {1, 2}
    assert Path(result.best.checkpoint).is_dir()
    each_once("results/example")
    assert len(result.to_arrow()) == len(result.to_pandas()) == 3


DIGITS = """
from ray import tune
from sweeps import Sweep

sweep = Sweep(
    trainable="classify",
    space={"lr": tune.loguniform(1e-3, 1.0), "momentum": tune.uniform(0.0, 0.99)},
    metric="val_accuracy",
    mode="max",
    search="tpe:n_startup_trials=1",
    scheduler="asha:grace_period=1,reduction_factor=2",
    trials=3,
    max_iterations=2,
    max_concurrent=1,
    fixed={"epochs": 2, "batch_size": 128},
)

if __name__ == "__main__":
    sweep.main()
"""
DIGITS_YAML = """
trainable: classify
space:
  lr: {distribution: log_uniform_values, min: 1e-3, max: 1.0}
  momentum: {min: 0.0, max: 0.99}
metric: val_accuracy
mode: max
search: {name: tpe, n_startup_trials: 1}
scheduler: {name: asha, grace_period: 1, reduction_factor: 2}
trials: 3
max_iterations: 2
max_concurrent: 1
fixed: {epochs: 2, batch_size: 128}
"""


@pytest.mark.slow  # the README's commands are these, and run every time
def test_a_recipe_a_python_file_a_yaml_file_and_python_itself_run_the_same_sweep(outside, starling, command):
    (outside / "digits.py").write_text(DIGITS)
    (outside / "digits.yaml").write_text(DIGITS_YAML)
    script = command("--name", "script", program=("digits.py",))
    assert starling("run", "digits.py", "--name", "recipe", "--quiet").code == 0
    assert starling("run", "digits.yaml", "--name", "yaml", "--quiet").code == 0
    Sweep.from_yaml(DIGITS_YAML).override(name="python", quiet=True).run()
    assert script.wait() == 0, script.output
    expected = decisions("results/recipe")
    assert len([d for d in expected if len(d) == 4]) >= 4
    for other in ("script", "yaml", "python"):
        assert decisions(f"results/{other}") == expected, other


MINE = """
import numpy as np
import torch
from torch import nn
from ray import tune
from trainables.engine import Task


class Line(Task):
    metric = ("val_loss", "min")

    def setup(self):
        x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
        self.train, self.val = (x, 3 * x), (x, 3 * x)

    def build(self):
        return nn.Linear(1, 1)

    def loss(self, model, batch):
        x, y = batch
        return nn.functional.mse_loss(model(x), y)


def parabola(config):
    tune.report({"loss": (config["x"] - 1) ** 2})
"""


@pytest.mark.parametrize(
    ("sweep", "metric"),
    [
        pytest.param(
            "{trainable: 'mine:Line', space: {lr: {min: 0.1, max: 0.3}}, fixed: {epochs: 2}, ranks: 2, ",
            "val_loss", marks=pytest.mark.slow,
        ),
        ("{trainable: 'mine.py:parabola', space: {x: {min: 0, max: 1}}, metric: loss, mode: min, ", "loss"),
    ],
    ids=["task", "function"],
)  # fmt: skip
def test_a_users_own_file_runs_from_outside_the_repository(outside, command, sweep, metric):
    (outside / "mine.py").write_text(MINE)
    (outside / "sweep.yaml").write_text(sweep + "trials: 2}")
    ran = command("run", "sweep.yaml", "--name", "own")
    assert ran.wait() == 0, ran.output
    results = Results("results/own")
    assert results.status() == {"completed": 2}
    assert results.metric == metric
    assert math.isfinite(results.best.value)
    for noise in ("Traceback", "WARNING", "Warning", "raylet", "(pid="):
        assert noise not in ran.output
    assert ran.gone() == []


# -- failures --------------------------------------------------------------------------------------


def picky(config):
    if config["x"] > 1:
        raise ArithmeticError(f"x is {'4' if config['x'] == 4 else 'large'}, and no logarithm is taken of it")
    tune.report({"loss": float("nan") if config["x"] < 0 else config["x"]})


def test_an_exception_is_shown_once_with_its_last_lines_and_counted(outside, starling, capsys):
    space = {"x": tune.grid_search([0.5, 2, 3, 4, -1])}
    sweep = Sweep(trainable=picky, space=space, search="grid", metric="loss", mode="min", name="p")
    outcome = start(sweep.override(max_concurrent=1))
    said = capsys.readouterr().out
    assert outcome.exit_code == 0  # one trial succeeded
    assert outcome.results.status() == {"completed": 1, "failed": 4}
    assert said.count("raise ArithmeticError") == 2  # two texts, the first of them twice
    assert "the same, 2 times now: ArithmeticError: x is large, and no logarithm" in said
    assert "site-packages/ray" not in said
    assert "its metric loss is nan" in said
    status = starling("status", "results/p").out
    assert "2 failed: ArithmeticError: x is large" in status


def test_too_many_failures_stop_the_sweep_which_resumes_once_their_cause_is_gone(outside, starling, bowl):
    bowl.write_text(bowl.read_text().replace("trainable=train", "trainable=fragile"))
    (outside / "flag").touch()
    answer = starling("run", bowl, "--name", "f", "--max-failures", "1")
    assert answer.code == 1
    assert "too many trials failed" in answer.out
    assert "starling resume" in answer.out
    assert Results("results/f").status()["failed"] == 2
    (outside / "flag").unlink()
    assert starling("resume", "results/f").code == 0
    assert Results("results/f").status() == {"failed": 2, "completed": 2}
    each_once("results/f")


def crashing(config):
    """Its worker dies without a word on the first attempt at every fifth point."""
    import os

    mark = Path(config["marks"]) / str(config["x"])
    if config["x"] % config["every"] == 1 and not mark.exists():
        mark.touch()
        os._exit(1)
    tune.report({"loss": float(config["x"])})


def every_point_once(folder, points, every):
    marks = folder / "marks"
    marks.mkdir()
    sweep = Sweep(
        trainable=crashing,
        space={"x": tune.grid_search(list(range(points))), "marks": str(marks), "every": every},
        search="grid", metric="loss", mode="min", retries=2, name="grid", quiet=True,
    )  # fmt: skip
    results = sweep.run()
    assert results.status() == {"completed": points}
    assert sorted(trial.value for trial in results.trials) == list(range(points))
    each_once("results/grid")
    crashed = {e["trial"] for e in journal.read("results/grid") if e["event"] == "failed"}
    assert len(crashed) == len(range(1, points, every))
    assert results.to_pandas()["failures"].sum() == len(crashed)


def test_a_grid_whose_workers_crash_yields_each_result_once(outside):
    every_point_once(outside, points=40, every=10)


@pytest.mark.slow
def test_a_grid_of_1000_points_whose_workers_crash_yields_1000_results_each_once(outside):
    every_point_once(outside, points=1000, every=20)


def test_a_time_budget_is_the_whole_sweeps_and_a_longer_one_finishes_it(outside, starling, capsys):
    sweep = Sweep(
        trainable=saving, space={"x": tune.uniform(0, 1), "sleep": 0.1}, metric="loss", mode="min", trials=3,
        max_iterations=20, max_concurrent=1, time_budget=6, name="b",
    )  # fmt: skip
    before = time.monotonic()
    outcome = start(sweep)
    assert (outcome.why, time.monotonic() - before < 60) == ("time_budget", True)
    again = f"starling resume {outside}/results/b --time-budget TIME"
    assert f"next: {again}" in capsys.readouterr().out
    events = list(journal.read("results/b"))
    refused = starling("resume", "results/b")
    assert (refused.code, refused.out) == (2, "")
    assert "time_budget: is 6, and the sweep has run for" in refused.err
    assert again in refused.err
    assert list(journal.read("results/b")) == events
    outcome = restart("results/b", time_budget="5m", quiet=True)
    assert (outcome.why, outcome.exit_code) == ("finished", 0)
    assert "time_budget: 5m" in Path("results/b/spec.yaml").read_text()
    assert outcome.results.status() == {"completed": 3}
    assert collections.Counter(t.iterations for t in outcome.results.trials) == {20: 3}
    each_once("results/b")


# -- Ctrl-C and kill -9 ----------------------------------------------------------------------------


SLOW = """
import json, tempfile, time
from pathlib import Path
from ray import tune
from sweeps import Sweep


def train(config):
    step = 0
    if checkpoint := tune.get_checkpoint():
        with checkpoint.as_directory() as folder:
            step = json.loads(Path(folder, "step").read_text())
    while step < 12:
        step += 1
        time.sleep(0.3)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(json.dumps(step))
            tune.report({"loss": config["x"] + 1 / step}, checkpoint=tune.Checkpoint.from_directory(folder))


sweep = Sweep(trainable=train, space={"x": tune.uniform(0, 1)}, metric="loss", mode="min", trials=3,
              max_concurrent=2)
"""


def reported(folder):
    return sum(e["event"] == "reported" for e in journal.read(folder)) if journal.exists(folder) else 0


def test_ctrl_c_ends_within_seconds_says_what_to_type_and_resume_completes(outside, command, starling):
    (outside / "slow.py").write_text(SLOW)
    ran = command("run", "slow.py", "--name", "c")
    ran.until(lambda: reported("results/c") >= 5)
    ran.interrupt()
    before = time.monotonic()
    assert ran.wait(60) == 130
    assert time.monotonic() - before < 20
    assert "what was reported is kept" in ran.output
    assert f"next: starling resume {outside}/results/c" in ran.output
    for noise in ("Traceback", "KeyboardInterrupt", "raylet"):
        assert noise not in ran.output
    assert ran.gone() == []
    shown = json.loads(starling("status", "results/c", "--json").out)
    assert shown["state"] == "interrupted"
    assert starling("resume", "results/c").code == 0
    results = Results("results/c")
    assert [(t.state, t.iterations) for t in results.trials] == [("completed", 12)] * 3
    each_once("results/c")


def test_ctrl_c_while_ray_starts_leaves_no_process_and_no_file(outside, command):
    (outside / "slow.py").write_text(SLOW)
    ran = command("run", "slow.py", "--name", "early")
    ran.until(lambda: "starting Ray" in ran.output)
    time.sleep(0.5)
    ran.interrupt()
    assert ran.wait(120) == 130
    assert "Traceback" not in ran.output
    assert ran.gone() == []
    assert not Path("results").exists()


def test_kill_9_of_the_driver_loses_nothing_and_resume_finishes_every_trial(outside, command, starling):
    (outside / "digits.py").write_text(DIGITS)
    ran = command("run", "digits.py", "--name", "k", "--ranks", "2")
    ran.until(lambda: reported("results/k") >= 3)
    ran.kill()
    assert ran.gone() == []
    kept = {(e["trial"], e["iteration"]) for e in journal.read("results/k") if e["event"] == "reported"}
    ended = {e["trial"]: e["n"] for e in journal.read("results/k") if e["event"] == "ended"}
    assert json.loads(starling("status", "results/k", "--json").out)["state"] == "crashed"
    assert starling("resume", "results/k").code == 0
    results = Results("results/k")
    assert sum(results.status().get(state, 0) for state in ("completed", "stopped")) == 3
    each_once("results/k")
    assert kept <= {(trial, iteration) for trial, _, iteration in rows("results/k")}
    for event in journal.read("results/k"):
        assert event.get("trial") not in ended or event["n"] <= ended[event["trial"]], "it was repeated"


# -- spaces ----------------------------------------------------------------------------------------


def two_goals(config):
    tune.report({"near": config["x"] ** 2 + config["y"] ** 2, "far": (config["x"] - 1) ** 2})


def test_two_objectives_end_in_a_pareto_front(outside, starling):
    results = Sweep(
        trainable=two_goals, space={"x": tune.uniform(-1, 2), "y": tune.uniform(-1, 1)},
        metric=["near", "far"], mode=["min", "min"], search="nsga2:population_size=4", trials=12, name="two",
        quiet=True,
    ).run()  # fmt: skip
    values = [trial.values for trial in results.trials]

    def surpassed(a):
        return any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in values)

    front = results.pareto()
    assert [t.values for t in front] == [v for v in values if not surpassed(v)]
    shown = json.loads(starling("best", "results/two", "-n", "20", "--json").out)
    assert [t["id"] for t in shown] == [t.id for t in front]
    assert set(shown[0]) >= {"near", "far"}


SPACE = {
    "kind": tune.choice(["sgd", "adam"]),
    "momentum": when("kind", "sgd", tune.uniform(0.5, 0.9)),
    "batch": tune.choice([8, 16, 32, 64]),
    "accumulate": tune.choice([1, 2, 4, 8]),
    "x": tune.loguniform(0.01, 1.0),
}


@pytest.mark.parametrize(
    ("search", "scheduler"),
    [
        ("random", "fifo"),
        pytest.param("sobol", "fifo", marks=pytest.mark.slow),
        ("tpe:n_startup_trials=3", "fifo"),
        pytest.param("random", "pbt", marks=pytest.mark.slow),
    ],
)
def test_every_configuration_obeys_conditions_and_constraints(outside, search, scheduler):
    results = Sweep(
        trainable=saving, space=SPACE, constraints=["batch * accumulate <= 64"], metric="loss", mode="min",
        search=search, scheduler=scheduler, trials=6, max_iterations=4 if scheduler == "pbt" else 1, name="s",
        quiet=True,
    ).run()  # fmt: skip
    assert results.status() == {"completed": 6}
    events = list(journal.read("results/s"))
    configs = [e["config"] for e in events if e["event"] == "suggested"]
    copied = [c["config"] for e in events for c in e.get("copied", ())]
    assert bool(copied) == (scheduler == "pbt")
    for config in configs + copied:
        assert config["batch"] * config["accumulate"] <= 64
        assert ("momentum" in config) == (config["kind"] == "sgd")
        assert 0.5 <= config.get("momentum", 0.5) <= 0.9
        assert 0.01 <= config["x"] <= 1.0
    each_once("results/s")


# -- W&B and stores --------------------------------------------------------------------------------


def test_wandb_runs_are_kept_offline_and_a_resumed_sweep_continues_them(outside, monkeypatch, starling):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(outside))  # nobody is logged in
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    space = {"x": tune.uniform(0, 1), "interrupt": 4, "seen": f"{outside}/seen", "driver": os.getpid()}
    sweep = Sweep(
        trainable=saving, space=space, metric="loss", mode="min", trials=2, max_iterations=8,
        max_concurrent=1, name="w", wandb="project",
    )  # fmt: skip
    assert start(sweep).why == "interrupted"
    assert restart("results/w").why == "finished"
    steps = collections.defaultdict(list)
    logs = sorted(Path("results/w/wandb").glob("offline-run-*/run-*.wandb"))
    for log in logs:
        run, found = read(log)
        steps[run.run_id] += [row["training_iteration"] for row in found]
    assert len(logs) == 3  # the first trial goes on in a further file
    assert sorted(run_id.rsplit("-", 1)[1] for run_id in steps) == ["00000", "00001"]
    for seen in steps.values():
        assert sorted(seen) == list(range(1, 9))


@pytest.mark.slow
def test_a_sweep_in_an_s3_store_is_killed_and_resumes(outside, command, s3):
    def uri(path):
        return f"s3://bucket/{path}?endpoint_override={s3}&scheme=http"

    (outside / "slow.py").write_text(SLOW)
    ran = command("run", "slow.py", "--name", "c", "--storage", uri("sweeps"))
    ran.until(lambda: reported(uri("sweeps/c")) >= 5)
    ran.kill()
    assert ran.gone() == []
    resumed = command("resume", uri("sweeps/c"))
    assert resumed.wait() == 0, resumed.output
    results = Results(uri("sweeps/c"))
    assert [(t.state, t.iterations) for t in results.trials] == [("completed", 12)] * 3
    each_once(uri("sweeps/c"))
    assert results.best.checkpoint.startswith("s3://bucket/sweeps/c/trials/")
    assert "do-not-store-me" not in ran.output + resumed.output
