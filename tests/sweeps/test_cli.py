"""The commands and options of `starling`, their exit codes and what they print."""

import contextlib
import json
import re
import shutil
import subprocess
import sys

import optuna
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import ray
import torch

from sweeps import cli, journal
from sweeps.loop import session
from sweeps.results import Results

GOAL = "method: random\nmetric: {name: loss, goal: smaller}\nparameters: {lr: {min: 0.1, max: 0.001}}\n"
TREES = "{trainable: adaboost, space: {max_depth: {values: [1, 2]}}, trials: 1}\n"
ENDS = "method: random\nparameters: {lr: {min: 0.1, max: 0.001}}\n"


def never(*_, **__):
    raise AssertionError("something was started")


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run", "RECIPE", "--search", "psoo"], ["'psoo'", "sobol"]),
        (["run", "RECIPE", "--scheduler", "ashaa"], ["'ashaa'", "'asha'"]),
        (["run", "RECIPE", "--trials", "-3"], ["trials: is -3", "1 or more"]),
        (["run", "RECIPE", "--ranks", "4096"], ["ranks", "4096 CPUs"]),
        (["run", "RECIPE", "--gpus-per-rank", "8"], ["gpus_per_rank", "16 GPUs"]),
        (["run", "nosuch.py"], ["nosuch.py: does not exist"]),
        (["run", "recipes/quickstart.py"], ["does not exist. Did you mean", "sweeps/recipes/quickstart.py?"]),
        (["run", "noise.yaml"], ["noise.yaml: is no text"]),
        (["run", "RECIPE", "--storage", "/proc/nosuch"], ["storage '/proc/nosuch' cannot be written"]),
        (["run", "RECIPE", "--set", "lrr=0.1"], ["'lrr'; did you mean 'lr'?"]),
        (["resume", "nothere"], ["'nothere' holds no sweep"]),
        (["best", "nothere"], ["nothere' holds no sweep"]),
        (["check", "goal.yaml"], ["goal: is 'smaller'", "'minimize'", "lr: min 0.1"]),
        (["check", "ends.yaml"], ["lr: min 0.1 is not less than max 0.001"]),
        (["status", "nothere"], ["nothere' holds no sweep"]),
        (["export", "nothere", "--to", "csv"], ["nothere' holds no sweep"]),
        (["export", "nothere", "--to", "xls"], ["--to", "xls", "csv", "parquet", "optuna"]),
        (["resume", "nothere", "--extend", "-1"], ["--extend is -1"]),
        (["best", "nothere", "-n", "0"], ["-n is 0"]),
        (["run", "RECIPE", "--trails", "3"], ["--trails is unknown; did you mean --trials?"]),
        (["check", "RECIPE", "--seed", "x"], ["--seed", "'x'"]),
        (["run", "RECIPE", "--scheduler", "asha:grace=1"], ["'grace'; did you mean 'grace_period'?"]),
        (["run", "RECIPE", "--search", "tpe:startup=3"], ["'startup'", "n_startup_trials"]),
        (["run", "RECIPE", "--trainable", "clasify"], ["'clasify'; did you mean 'classify'?"]),
        (["run", "RECIPE", "--set", "lr"], ["'lr'", "lr=0.1"]),
        (["run", "RECIPE", "--set", "optimizer=adamm"], ["optimizer", "'adamm'; did you mean 'adam'?"]),
        (["data", "cifar10", "--from", "nosuch.tar.gz"], ["nosuch.tar.gz"]),
        (["lr-range", "nosuch.py"], ["nosuch.py: does not exist"]),
        (["lr-range", "RECIPE", "--from", "1", "--to", "0.1"], ["from 1 to 0.1", "0 < low < high"]),
        (["lr-range", "RECIPE", "--steps", "3"], ["3 steps are too few"]),
        (["lr-range", "RECIPE", "--set", "lrr=1"], ["'lrr'; did you mean 'lr'?"]),
        (["lr-range", "RECIPE", "--gpus-per-rank", "1"], ["finds no CUDA device", "--gpus-per-rank 0"]),
        (["lr-range", "trees.yaml"], ["adaboost has no learning rate that could be tried"]),
        ([], ["COMMAND"]),
        (["chek"], ["chek", "check"]),
    ],
    ids=lambda value: "-".join(value)[:40],
)
def test_a_wrong_input_is_answered_with_exit_code_2_its_name_and_what_is_allowed(
    starling, recipe, outside, monkeypatch, words, named
):
    (outside / "goal.yaml").write_text(GOAL)
    (outside / "trees.yaml").write_text(TREES)
    (outside / "ends.yaml").write_text(ENDS)
    (outside / "noise.yaml").write_bytes(bytes(range(128, 256)))
    before = sorted(outside.rglob("*"))
    monkeypatch.setattr(ray, "init", never)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    answer = starling(*[recipe if word == "RECIPE" else word for word in words])
    assert answer.code == 2
    for word in named:
        assert word in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert sorted(outside.rglob("*")) == before


def test_every_mistake_of_a_command_is_named_at_once(starling, recipe, outside):
    answer = starling(
        *("run", recipe, "--time-budget", "soon", "--retries", "-1", "--max-concurrent", "0"),
        *("--max-failures", "-1", "--cpus-per-rank", "0", "--name", "a/b", "--seed", "-1"),
        *("--search", "tpe:n_startup=3", "--scheduler", "asha:grace=1", "--set", "optimizer=adamm"),
    )
    assert answer.code == 2
    for key in ("time_budget", "retries", "max_concurrent", "max_failures", "cpus_per_rank", "name", "seed"):
        assert f"\n  {key}: " in answer.err
    for word in ("'n_startup'", "'grace'", "'adamm'; did you mean 'adam'?"):
        assert word in answer.err


def test_the_metric_of_a_task_is_known_before_anything_starts(starling, outside, monkeypatch):
    monkeypatch.setattr(ray, "init", never)
    (outside / "s.yaml").write_text(
        "{trainable: classify, space: {lr: {min: 0.1, max: 0.2}}, trials: 2, metric: val_acuracy, mode: max}"
    )
    answer = starling("run", "s.yaml")
    assert answer.code == 2
    assert "never reports 'val_acuracy'; did you mean 'val_accuracy'?" in answer.err
    assert not (outside / "results").exists()


def test_a_file_that_raises_is_answered_with_its_line(starling, outside):
    (outside / "broken.py").write_text("import math\n\nmath.sqroot(2)\n")
    answer = starling("check", "broken.py")
    assert answer.code == 2
    assert "broken.py, line 3: AttributeError: module 'math' has no attribute 'sqroot'" in answer.err


# -- check -----------------------------------------------------------------------------------------


def test_check_prints_the_whole_plan_as_json_with_every_option_in_it(starling, recipe, outside):
    answer = starling(
        *("check", recipe, "--json", "--trials", "7", "--search", "tpe:n_startup_trials=3"),
        *("--scheduler", "median:grace_period=2", "--ranks", "1", "--cpus-per-rank", "2"),
        *("--gpus-per-rank", "0", "--max-concurrent", "3", "--max-iterations", "5", "--time-budget", "90m"),
        *("--max-failures", "4", "--retries", "2", "--storage", "elsewhere", "--name", "n1", "--seed", "11"),
        *("--wandb", "team/project", "--set", "width=8", "--set", "clip=1e-1", "--trainable", "classify"),
    )
    assert (answer.code, answer.err) == (0, "")
    plan = json.loads(answer.out)
    assert {p["name"]: (p["domain"], p["when"]) for p in plan["parameters"]} == {
        "lr": ("0.001 to 1, logarithmic", []),
        "optimizer": ("one of 'sgd', 'adam'", []),
        "momentum": ("0 to 0.99", ["optimizer = 'sgd'"]),
        "weight_decay": ("1e-06 to 0.01, logarithmic", []),
        "batch_size": ("one of 32, 64, 128", []),
    }
    assert plan["constants"] | {"width": 8, "clip": 0.1, "epochs": 9} == plan["constants"]
    assert plan["search"]["name"] == "tpe"
    assert plan["search"]["parameters"]["n_startup_trials"] == 3
    assert plan["scheduler"]["name"] == "median"
    assert plan["scheduler"]["parameters"]["grace_period"] == 2
    resources = plan["resources"]
    assert (resources["ranks"], resources["cpus_per_trial"], resources["max_concurrent"]) == (1, 2, 3)
    for key, value in {
        "trials": 7,
        "max_iterations": 5,
        "time_budget_s": 5400,
        "max_failures": 4,
        "retries": 2,
        "storage": "elsewhere",
        "name": "n1",
        "seed": 11,
        "wandb": "team/project",
        "trainable": "classify",
        "metric": "val_accuracy",
        "mode": "max",
        "obstacles": [],
    }.items():
        assert plan[key] == value, key
    assert not list(outside.iterdir())


def test_check_says_what_this_machine_lacks_and_an_address_lifts_that(starling, recipe, outside):
    plan = json.loads(starling("check", recipe, "--json", "--ranks", "4096").out)
    assert any("4096 CPUs" in obstacle for obstacle in plan["obstacles"])
    there = json.loads(starling("check", recipe, "--json", "--ranks", "4096", "--address", "auto").out)
    assert (there["obstacles"], there["resources"]["address"]) == ([], "auto")


def test_python_dash_m_sweeps_is_starling(outside):
    ran = subprocess.run([sys.executable, "-m", "sweeps", "ls"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("starling: there is no storage ")


# -- a finished sweep ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(small_ray, bowl_text, tmp_path_factory):
    """The folder of a sweep of four trials, run once; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "bowl.py").write_text(bowl_text)
    assert cli.main(["run", f"{folder}/bowl.py", "--storage", f"{folder}/s", "--name", "one", "--quiet"]) == 0
    return folder / "s" / "one"


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "s" / "one")


def test_lr_range_prints_the_curve_and_a_range_that_ends_where_the_loss_is_lowest(starling, recipe, outside):
    said = starling("lr-range", recipe, "--steps", "60", "--quiet")
    assert (said.code, said.err) == (0, "")
    *_, last = said.out.splitlines()
    low, high = re.fullmatch(r"search lr from (.+) to (.+): tune\.loguniform\(\1, \2\)", last).groups()
    assert 0.01 < float(high) < 1  # momentum 0.9 on digits: known to learn at 0.1 and to diverge at 1
    assert float(low) == pytest.approx(float(high) / 100)
    (lowest,) = [line for line in said.out.splitlines() if line.endswith("lowest")]
    assert float(lowest.split()[0]) == pytest.approx(float(high), rel=0.06)
    curve = json.loads(starling("lr-range", recipe, "--steps", "60", "--json").out)
    assert curve["best"] == pytest.approx(float(high), rel=0.06)
    assert len(curve["lr"]) == len(curve["loss"]) <= 60
    assert not list(outside.iterdir())


def test_ls_lists_sweeps_as_a_table_and_as_json(starling, finished):
    table = starling("ls", finished.parent)
    assert table.code == 0
    head, row = table.out.splitlines()
    assert head.split()[:4] == ["sweep", "state", "trials", "failed"]
    assert row.split()[:4] == ["one", "finished", "4/4", "loss"]
    (one,) = json.loads(starling("ls", finished.parent, "--json").out)
    assert (one["name"], one["state"], one["done"], one["total"]) == ("one", "finished", 4, 4)
    assert one["path"] == str(finished)


def test_status_tells_the_counts_and_the_best(starling, finished):
    said = starling("status", finished)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[:2] == ["one: finished, 4 of 4 trials ended", "  4 completed"]
    shown = json.loads(starling("status", finished, "--json").out)
    assert (shown["state"], shown["status"], shown["under_way"]) == ("finished", {"completed": 4}, [])


def test_best_shows_as_many_trials_as_asked_best_first(starling, finished):
    two = json.loads(starling("best", finished, "-n", "2", "--json").out)
    everything = sorted(Results(finished).trials, key=lambda trial: trial.value)
    assert [trial["id"] for trial in two] == [trial.id for trial in everything[:2]]
    for trial in two:
        assert trial["loss"] == pytest.approx((trial["config"]["x"] - 0.3) ** 2 + 1 / 3)
        assert (trial["state"], trial["iterations"]) == ("completed", 3)
    head, row = starling("best", finished).out.splitlines()
    assert head.split() == ["trial", "loss", "iterations", "state", "x", "kind"]
    assert row.split()[0] == two[0]["id"]


def test_export_writes_a_table_for_each_kind_of_reader(starling, finished, outside):
    assert starling("export", finished, "--to", "csv").out.strip() == str(outside / "one.csv")
    starling("export", finished, "--to", "parquet", "--out", "p/t.parquet")
    starling("export", finished, "--to", "optuna")
    values = [trial.value for trial in Results(finished).trials]
    assert pyarrow.csv.read_csv("one.csv")["loss"].to_pylist() == values
    assert pq.read_table("p/t.parquet")["loss"].to_pylist() == values
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("one.journal"))
    study = optuna.load_study(study_name=None, storage=storage)
    assert [trial.value for trial in study.trials] == values


def test_resume_of_a_finished_sweep_adds_trials_and_prints_its_outcome_as_json(starling, copied):
    answer = starling("resume", copied, "--extend", "2", "--json")
    assert (answer.code, answer.err) == (0, "")
    outcome = json.loads(answer.out)
    assert (outcome["why"], outcome["status"], outcome["path"]) == ("finished", {"completed": 6}, str(copied))
    assert outcome["best"]["loss"] == min(trial.value for trial in Results(copied).trials)


def test_run_prints_its_outcome_as_json_and_nothing_when_quiet(starling, bowl):
    answer = starling("run", bowl, "--name", "j", "--json", "--trials", "1")
    outcome = json.loads(answer.out)
    assert (outcome["why"], outcome["status"]) == ("finished", {"completed": 1})
    assert outcome["best"]["config"] == Results("results/j").best.config
    answer = starling("resume", "results/j", "--extend", "1", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_a_name_that_is_taken_is_refused_with_the_command_to_continue(starling, finished):
    recipe = finished.parents[1] / "bowl.py"
    before = list(journal.read(finished))
    answer = starling("run", recipe, "--storage", finished.parent, "--name", "one")
    assert answer.code == 2
    assert f"name: 'one' is in {finished.parent} already" in answer.err
    assert f"starling resume {finished}" in answer.err
    assert list(journal.read(finished)) == before


HOLDER = """
import sys
from sweeps.journal import Journal
with Journal.open(sys.argv[1]):
    print(flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("ended", "said"), [(False, "is being run by another driver"), (True, "'one' is in t already")]
)
def test_of_two_sweeps_that_start_at_once_under_one_name_the_later_changes_nothing(
    starling, finished, outside, monkeypatch, ended, said
):
    folder = outside / "t" / "one"

    @contextlib.contextmanager
    def meanwhile(sweep):
        """Another driver begins, or even ends, while this one's Ray starts."""
        folder.mkdir(parents=True)
        (folder / "spec.yaml").write_text("theirs")
        if ended:
            shutil.copytree(finished / "journal", folder / "journal")
        with contextlib.nullcontext() if ended else journal.Journal.open(folder):
            yield

    monkeypatch.setattr(session, "running_ray", meanwhile)
    answer = starling("run", finished.parents[1] / "bowl.py", "--storage", "t", "--name", "one")
    assert answer.code == 2
    assert said in answer.err
    assert (folder / "spec.yaml").read_text() == "theirs"
    assert list(journal.read(folder)) == (list(journal.read(finished)) if ended else [])


def test_a_sweep_that_runs_cannot_be_resumed_beside(starling, copied):
    before = list(journal.read(copied))
    command = [sys.executable, "-c", HOLDER, copied]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "\n"
        answer = starling("resume", copied, "--extend", "1")
        state = json.loads(starling("status", copied, "--json").out)["state"]
        holder.stdin.close()
    assert answer.code == 2
    assert f"{copied} is running just now" in answer.err
    assert state == "running"
    assert list(journal.read(copied)) == before


# -- ends ------------------------------------------------------------------------------------------


def test_a_function_that_never_reports_the_metric_ends_the_sweep_at_its_first_report(starling, bowl):
    bowl.write_text(bowl.read_text().replace('metric="loss"', 'metric="los"'))
    answer = starling("run", bowl, "--name", "m")
    assert answer.code == 1
    assert "00000: its report lacks the metric 'los'; did you mean 'loss'? Known: cost, loss." in answer.out
    assert [e["event"] for e in journal.read("results/m")].count("reported") == 1
    said = starling("status", "results/m").out
    assert "the metric is not reported" in said
    assert "lacks the metric 'los'" in said


def test_a_sweep_whose_trials_all_fail_ends_with_exit_code_1(starling, bowl):
    bowl.write_text(bowl.read_text().replace("trainable=train", "trainable=fragile"))
    (bowl.parent / "flag").touch()
    answer = starling("run", bowl, "--name", "f", "--trials", "2")
    assert answer.code == 1
    assert Results("results/f").status() == {"failed": 2}
