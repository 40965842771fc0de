import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from ray import tune

from trainables import wandb_command
from trainables.program import plain, scalars, script
from trainables.script_process import ScriptProcess

TRAIN = """
import argparse, os, sys, time
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.0)
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--pause", type=float, default=0.0)
parser.add_argument("--exit", type=int, default=0)
flags = parser.parse_args()
open("pids.txt", "a").write(f"{os.getpid()}\\n")
run = wandb.init(project="p", config=vars(flags), settings=wandb.Settings(x_disable_stats=True))
print("training", flush=True)
for step in range(flags.steps):
    wandb.log({"loss": flags.lr / (step + 1), "val": {"acc": step}, "epoch": step, "done": True})
    time.sleep(flags.pause)
if flags.exit:
    print("disk full", file=sys.stderr)
    sys.exit(flags.exit)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


def processes() -> dict[int, str]:
    """pid -> command line of every process that is no zombie."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if line:
            found[int(path.parent.name)] = line
    return found


def wait_until(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


PARAMETERS = {"lr": 1e-05, "flag": True, "off": False, "none": None, "net": {"width": 8}, "name": "a b"}


class TestCommand:
    @pytest.mark.parametrize(
        "command",
        [
            list(wandb_command.DEFAULT),
            ["python", "x.py", "${args_no_hyphens}", "fixed", 3],
            ["${env}", "A=${envvar:HOME}/${envvar:NOT_SET_HERE}", "${program}", "${args_no_boolean_flags}"],
            ["${program}", "--json", "${args_json}", "${unknown}", "--x=${args}"],
            ["${args_no_equals}", "${args_append_hydra}", "${args_override_hydra}", "${args_json_file}"],
        ],
    )
    def test_every_macro_gives_what_the_agent_of_wandb_gives(self, command, tmp_path):
        """The oracle is the installed agent's own code, driven as its `_command_run` does."""
        from wandb.sdk.launch.sweeps import utils

        parts = utils.create_sweep_command(list(command))
        values = utils.create_sweep_command_args(
            {"args": {name: {"value": value} for name, value in PARAMETERS.items()}}
        )
        values |= {
            "env": ["/usr/bin/env"], "program": ["train.py"], "interpreter": [sys.executable],
            "args_json_file": [str(tmp_path / "parameters.json")],
        }  # fmt: skip
        expected: list[str] = []
        for part in map(str, parts):
            expected += values.get(part[2:-1], []) if part[:2] == "${" and part[-1] == "}" else [part]
        got = wandb_command.expand(command, PARAMETERS, program="train.py", folder=tmp_path)
        assert got == expected
        if "${args_json_file}" in command:
            assert json.loads((tmp_path / "parameters.json").read_text()) == PARAMETERS

    def test_the_default_command_spelled_out(self, tmp_path):
        got = wandb_command.expand(wandb_command.DEFAULT, {"lr": 0.1}, program="train.py", folder=tmp_path)
        assert got == ["/usr/bin/env", sys.executable, "train.py", "--lr=0.1"]

    def test_numpy_values_are_spelled_as_pythons(self, tmp_path):
        config = plain({"lr": np.float64(0.1), "n": np.int64(3), "net": {"on": np.bool_(True)}})
        got = wandb_command.expand(["${args}", "${args_json}"], config, program=None, folder=tmp_path)
        assert got == ["--lr=0.1", "--n=3", "--net={'on': True}", '{"lr": 0.1, "n": 3, "net": {"on": true}}']


class TestCheck:
    def test_a_good_script_has_no_problems(self, folder):
        assert script("train.py", folder=folder).obstacles({"lr": 0.1}) == []
        assert script("pkg.train", ["python3", "-m", "${program}", "${args}"], folder).obstacles({}) == []

    def test_a_missing_program_is_named_with_the_nearest_file(self, folder):
        (problem,) = script("trian.py", folder=folder).obstacles({})
        assert problem == f"the program 'trian.py' was not found in {str(folder)!r}. Did you mean 'train.py'?"

    def test_every_problem_of_a_command_is_told_at_once(self, folder):
        told = script(None, ["no-such-program", "${program}", "${arg}"], folder).obstacles({})
        assert "no `program`" in told[0]
        assert told[1].endswith("unknown macro ${arg}. Did you mean ${args}?")
        assert "'no-such-program'" in told[2]

    def test_a_missing_folder_is_named(self, tmp_path):
        (problem,) = script("train.py", folder=tmp_path / "absent").obstacles({})
        assert "absent' does not exist" in problem

    def test_nothing_to_run_is_refused(self):
        with pytest.raises(ValueError, match=r"needs `program: train\.py`, or a `command:`"):
            script()


def test_a_row_becomes_scalars_under_names_that_are_not_rays():
    row = {
        "loss": 1, "val": {"acc": 0.5, "deep": {"x": True}}, "image": {"_type": "image-file"}, "list": [1],
        "note": "hi", "none": None, "_step": 3, "_timestamp": 1.5, "training_iteration": 9, "done": True,
    }  # fmt: skip
    assert scalars(row) == {
        "loss": 1.0, "val.acc": 0.5, "val.deep.x": True, "note": "hi", "_step": 3.0,
        "script_training_iteration": 9.0, "script_done": True,
    }  # fmt: skip


def start(folder: Path, code: str, grace_s: float = 5.0) -> ScriptProcess:
    return ScriptProcess(
        [sys.executable, "-c", textwrap.dedent(code)],
        environment=dict(os.environ),
        working_directory=folder,
        folder=folder / "trial",
        grace_s=grace_s,
    )


FAMILY = """
    import os, signal, subprocess, sys, time
    if {deaf}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open("family.txt.new", "w").write(f"{{os.getpid()}} {{child.pid}}")
    os.rename("family.txt.new", "family.txt")
    time.sleep(600)
"""


def family(folder: Path) -> set[int]:
    wait_until((folder / "family.txt").exists)
    return {int(pid) for pid in (folder / "family.txt").read_text().split()}


class TestProcess:
    @pytest.mark.parametrize(("deaf", "seconds"), [(False, 0.5), (True, 1.5)])
    def test_the_end_takes_the_whole_family_at_once_or_after_the_grace(self, tmp_path, deaf, seconds):
        process = start(tmp_path, FAMILY.format(deaf=deaf), grace_s=1.0)
        pids = family(tmp_path)
        assert pids <= processes().keys()
        began = time.monotonic()
        process.end()
        assert time.monotonic() - began < seconds
        assert process.exit_code == (-signal.SIGKILL if deaf else -signal.SIGTERM)
        wait_until(lambda: not pids & processes().keys(), 1)
        process.end()  # twice is harmless

    @pytest.mark.parametrize("deaf", [False, True])
    def test_the_family_dies_with_its_starter_even_by_kill_9(self, tmp_path, deaf):
        code = f"""
        import os, sys
        from pathlib import Path
        from trainables.script_process import ScriptProcess
        here = Path({str(tmp_path)!r})
        family = {textwrap.dedent(FAMILY.format(deaf=deaf))!r}
        ScriptProcess([sys.executable, "-c", family], environment=os.environ, working_directory=here,
                      folder=here / "trial", grace_s=0.5).next_row()
        """
        starter = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
        pids = family(tmp_path)
        assert pids <= processes().keys()
        starter.kill()
        starter.wait()
        wait_until(lambda: not pids & processes().keys(), 3)

    def test_an_ended_script_leaves_no_guard_behind(self, tmp_path):
        process = start(tmp_path, "print('hi')")
        assert process.next_row() is None
        assert process.exit_code == 0
        process.end()
        mine = f"guard {process.grace_s}"
        wait_until(lambda: not [line for line in processes().values() if mine in line], 2)
        assert (tmp_path / "trial" / "stdout.txt").read_text() == "hi\n"

    def test_the_last_lines_are_this_attempts_own_without_the_clients_chatter(self, tmp_path):
        for attempt, chatter in (("first", "wandb: "), ("second", "\\x1b[1;34mwandb\\x1b[0m: ")):
            process = start(tmp_path, f"import sys; print('{chatter}bye\\n{attempt}', file=sys.stderr)")
            process.next_row()
            process.end()
        assert process.last_lines() == "second"
        assert (tmp_path / "trial" / "stderr.txt").read_text().count("first") == 1


def run_alone(program, config: dict) -> list[dict]:
    """All results of one trial, without a cluster: what `Trainable.train` returns until it says done."""
    trial = program.trainable(1, 1, 0)(config)
    results = []
    try:
        while not results or not results[-1].get("__duplicate__"):
            results.append(trial.train())
    finally:
        trial.stop()
    assert results.pop() == {"__duplicate__": True, "done": True}
    return results


@pytest.fixture
def _no_ray_home(tmp_path, monkeypatch):
    """A trainable outside Tune puts its files under Ray's default folder: not the user's, in a test."""
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray_results"))


@pytest.mark.usefixtures("_no_ray_home")
class TestTrial:
    def test_every_row_is_one_result_in_order_and_the_last_is_not_doubled(self, folder):
        results = run_alone(script("train.py", folder=folder), {"lr": 6.0, "steps": 200})
        assert [result["training_iteration"] for result in results] == list(range(1, 201))
        assert [result["loss"] for result in results] == [6.0 / (step + 1) for step in range(200)]
        assert [result["val.acc"] for result in results] == list(range(200))
        assert all(result["script_done"] is True and result["done"] is False for result in results)

    def test_a_failure_tells_the_code_and_the_last_lines_after_all_rows(self, folder):
        trial = script("train.py", folder=folder).trainable(1, 1, 0)({"steps": 2, "exit": 7})
        assert [trial.train()["epoch"] for _ in range(2)] == [0, 1]
        with pytest.raises(RuntimeError, match=r"(?s)train exited with code 7; .* last lines:\ndisk full$"):
            trial.train()
        trial.stop()

    def test_a_script_that_reads_wandb_config_gets_the_parameters_nested_ones_too(self, folder):
        (folder / "config.py").write_text(
            "import wandb\n"
            "run = wandb.init(config={'lr': 5.0, 'net': {'width': 1}, 'own': 2},"
            " settings=wandb.Settings(x_disable_stats=True))\n"
            "c = wandb.config\n"
            "wandb.log({'lr': c.lr, 'width': c.net['width'], 'own': c.own})\n"
        )
        program = script("config.py", ["${interpreter}", "${program}"], folder)
        (result,) = run_alone(program, {"lr": np.float64(1e-5), "net": {"width": 8}})
        assert (result["lr"], result["width"], result["own"]) == (1e-5, 8, 2)

    def test_rows_with_different_names_are_results_of_their_own_and_media_are_none(self, folder):
        (folder / "sparse.py").write_text(
            "import wandb\n"
            "wandb.init(settings=wandb.Settings(x_disable_stats=True))\n"
            "for batch in range(2): wandb.log({'loss': batch})\n"
            "wandb.log({'histogram': wandb.Histogram([1, 2])})\n"
            "wandb.log({'acc': 0.5})\n"
        )
        program = script("sparse.py", folder=folder)
        results = run_alone(program, {})
        got = [(result.get("loss"), result.get("acc")) for result in results]
        assert got == [(0, None), (1, None), (None, 0.5)]
        assert [result["_step"] for result in results] == [0, 1, 3]
        assert program.sparse

    def test_a_script_without_rows_is_an_error(self, folder):
        (folder / "silent.py").write_text("import sys; print('nothing to do', file=sys.stderr)")
        with pytest.raises(RuntimeError, match=r"(?s)silent ended without a row of wandb.*nothing to do"):
            run_alone(script("silent.py", folder=folder), {})

    def test_a_command_that_does_not_exist_is_an_error_of_the_trial(self, folder):
        program = script(None, ["no-such-program"], folder)
        with pytest.raises(RuntimeError, match=r"'no-such-program' could not be started in .*every node"):
            run_alone(program, {})

    def test_the_api_key_reaches_the_script_and_no_file(self, folder, monkeypatch):
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
        (folder / "key.py").write_text(
            "import os, wandb\n"
            "wandb.init(settings=wandb.Settings(x_disable_stats=True))\n"
            "wandb.log({'length': len(os.environ['WANDB_API_KEY'])})\n"
        )
        (result,) = run_alone(script("key.py", folder=folder), {"lr": 1})
        assert result["length"] == 40
        files = [path for path in (folder / "ray_results").rglob("*") if path.is_file()]
        assert any(path.name == "parameters.yaml" for path in files)
        assert [path for path in files if b"k" * 40 in path.read_bytes()] == []

    def test_going_on_from_a_checkpoint_is_refused_with_the_schedulers_that_need_none(self, folder):
        trial = script("train.py", folder=folder).trainable(1, 1, 0)({})
        saved = trial.save()
        with pytest.raises(NotImplementedError, match="Use the scheduler asha, median or fifo"):
            trial.restore(saved)
        trial.stop()

    def test_resources_are_one_bundle_because_the_script_is_one_process(self, folder):
        made = script("train.py", folder=folder).trainable(2, 3, 0.5).default_resource_request({})
        assert made.bundles == [{"CPU": 6, "GPU": 1}]


@pytest.fixture(scope="module")
def _ray():
    import ray

    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    root = Path(__file__).parents[2]
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
             runtime_env={"py_modules": [str(root / "trainables")]})  # fmt: skip
    yield
    ray.shutdown()


@pytest.mark.usefixtures("_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_ray_tune_runs_stops_and_reuses_scripts(folder):
    """ASHA with one bad trial among good ones, on reused actors: rows exact, the stopped script gone."""
    program = script("train.py", folder=folder)
    results = tune.Tuner(
        program.trainable(1, 1, 0),
        param_space={"lr": tune.grid_search([1.0, 2.0, 50.0, 3.0]), "steps": 4, "pause": 0.3},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", reuse_actors=True, max_concurrent_trials=1,
            scheduler=tune.schedulers.ASHAScheduler(grace_period=1, reduction_factor=2, max_t=100),
        ),
        run_config=tune.RunConfig(name="s", storage_path=str(folder / "storage"), verbose=0),
    ).fit()  # fmt: skip
    assert not results.errors
    rows = {result.config["lr"]: result.metrics_dataframe["loss"].tolist() for result in results}
    assert rows[1.0] == [1.0, 0.5, 1.0 / 3, 0.25]  # none doubled by the end of the script
    assert rows[50.0] == [50.0]  # stopped at its first rung
    assert len({result.metrics["pid"] for result in results}) == 1  # one actor for all
    pids = {int(pid) for pid in (folder / "pids.txt").read_text().split()}
    assert len(pids) == 4
    assert not pids & processes().keys()
    for result in results:  # every script's own output lies in its trial's folder
        assert (Path(result.path) / "stdout.txt").read_text().startswith("training\n")
        assert yaml.safe_load((Path(result.path) / "parameters.yaml").read_text())["steps"] == {"value": 4}


@pytest.mark.slow
@pytest.mark.usefixtures("_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_a_killed_trial_actor_takes_its_script_along_and_the_trial_starts_anew(folder):
    class Killer(tune.Callback):
        killed = 0

        def on_trial_result(self, iteration, trials, trial, result, **info):
            if result["training_iteration"] == 2 and not self.killed:
                os.kill(result["pid"], signal.SIGKILL)
                self.killed = int((folder / "pids.txt").read_text().split()[0])
                wait_until(lambda: self.killed not in processes(), 3)

    killer = Killer()
    (result,) = tune.Tuner(
        script("train.py", folder=folder).trainable(1, 1, 0),
        param_space={"lr": 1.0, "steps": 4, "pause": 0.5},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(
            name="k", storage_path=str(folder / "storage"), verbose=0, callbacks=[killer],
            failure_config=tune.FailureConfig(max_failures=1),
        ),
    ).fit()  # fmt: skip
    assert killer.killed
    assert result.error is None
    assert result.metrics["loss"] == 0.25
    assert result.metrics["training_iteration"] == 4
