import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from search_algs import load as algorithm
from search_algs.space import when
from sweeps import SpecError, Sweep
from sweeps.files import options, sweep_file
from trainables.program import script

OURS = """
trainable: classify
space:
  lr: {distribution: log_uniform_values, min: 1e-4, max: 1.0}
  optimizer: {values: [sgd, adam]}
  momentum: {min: 0.0, max: 0.99, when: {optimizer: sgd}}
constraints: ["lr * 2 <= 1"]
metric: val_accuracy
mode: max
search: {name: tpe, n_startup_trials: 5}
scheduler: asha
max_iterations: 9
trials: 8
fixed: {epochs: 9}
"""


def toplevel(config: dict[str, Any]) -> None:
    tune.report({"loss": 0.0})


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def refused(path: Path, **more: Any) -> list[str]:
    with pytest.raises(SpecError, match=r".") as error:
        sweep_file.load(path, **more)
    return error.value.problems


def test_our_yaml_has_the_keys_of_sweep(tmp_path: Path) -> None:
    sweep = sweep_file.load(write(tmp_path, "a.yaml", OURS))
    assert (sweep.trials, sweep.max_iterations, sweep.fixed) == (8, 9, {"epochs": 9})
    assert sweep.search_choice == ("tpe", {"n_startup_trials": 5})
    assert sweep.search_space().names == ("lr", "optimizer", "momentum")
    assert sweep.search_space().violated({"lr": 0.6}) == ["lr * 2 <= 1"]


def test_every_mistake_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    text = (
        OURS.replace("trials: 8", "trails: 8\ntrials: -1")
        .replace("max: 1.0", "max: 1e-9")
        .replace("tpe", "tpee")
    )
    found = refused(write(tmp_path, "a.yaml", text))
    assert [p.split(":")[0] for p in found] == ["trails", "lr", "trials", "search"]
    assert "did you mean 'trials'?" in found[0]


def test_options_count_before_the_file_is_judged(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", OURS.replace("trials: 8", "").replace("trainable: classify", ""))
    sweep = sweep_file.load(
        path, {"trials": 3, "trainable": "classify", "name": None}, {"optimizer": "adam", "width": 8}
    )
    assert (sweep.trials, sweep.trainable) == (3, "classify")
    assert sweep.search_space().names == ("lr",)
    assert sweep.fixed == {"epochs": 9, "width": 8}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("just words", "the file holds 'just words'; it must map keys"),
        ("- a\n- b", "the file holds"),
        ("a: [1", "it is not valid YAML"),
        ("trials: 3\nsearch: tpe", "space: is missing"),
        (OURS + "parameters: {a: 1}", "parameters: cannot stand beside `space`"),
        (OURS + "program: train.py", "program: cannot stand beside `trainable`"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert any(message in p for p in refused(write(tmp_path, "a.yaml", text)))


ODD = [
    *(None, 5, -1, 0.5, True, "x", "", [], [1], ["a"], {}, {"a": 1}, {1: 2}, {"name": 3}, [[1]], [{"a": 1}]),
    *(float("nan"), ":", "tpe:", "asha:=3", "asha:max_t", {"name": "asha", "max_t": "x"}),
]
KEYS = [f.name for f in dataclasses.fields(Sweep) if f.init]
WANDB = ["parameters", "metric", "metrics", "early_terminate", "command", "program", "run_cap", "method"]
ENDS = ["min", "max", "values", "value", "distribution", "probabilities", "q", "when", "options"]


@pytest.mark.parametrize(
    "config",
    [
        *({"trainable": "classify", "space": {"lr": {"value": 1}}, "trials": 2, key: "?"} for key in KEYS),
        *({"method": "random", "parameters": {"lr": {"values": [0.1, 1.0]}}, key: "?"} for key in WANDB),
        *({"trainable": None, "space": {"lr": {"min": 1, "max": 2, key: "?"}}, "trials": 2} for key in ENDS),
        *({"trainable": None, "space": {"lr": {"values": [1], key: "?"}}, "trials": 2} for key in ENDS),
    ],
    ids=lambda config: "-".join(config),
)  # fmt: skip
def test_whatever_a_key_holds_it_is_taken_or_refused_with_a_sentence(tmp_path: Path, config: dict) -> None:
    for odd in ODD:
        with contextlib.suppress(SpecError):  # whatever else is raised is a defect
            sweep_file.loads(options.write_yaml(config).replace("'?'", json.dumps(odd)), tmp_path)


def test_one_mistake_is_one_sentence(tmp_path: Path) -> None:
    text = "{trainable: classify, space: {lr: {min: '0.1', max: 1.0}}, trials: 2}"
    assert refused(write(tmp_path, "s.yaml", text)) == ["lr.min: is '0.1'; it must be a number."]
    text = "{method: custom, parameters: {a: {value: 1}}, metrics: [{name: a, gaol: minimize}, {name: b}]}"
    assert refused(write(tmp_path, "w.yaml", text)) == [
        "metrics.0.gaol: there is no such key; did you mean 'goal'? Known: name, goal, target, impute, "
        "impute_while_running."
    ]


def test_a_missing_file_is_answered_with_a_neighbour(tmp_path: Path) -> None:
    write(tmp_path, "quickstart.py", "")
    assert refused(tmp_path / "quickstar.py") == [
        f"{tmp_path}/quickstar.py: does not exist. Did you mean {tmp_path}/quickstart.py?"
    ]


def test_a_task_beside_the_file_is_found_from_anywhere(tmp_path: Path) -> None:
    write(tmp_path, "beside_it.py", "def train(config): ...\n")
    text = OURS.replace("trainable: classify", "trainable: beside_it:train")
    sweep = sweep_file.load(write(tmp_path, "a.yaml", text))
    assert sweep.trainable == f"{tmp_path}/beside_it.py:train"


RECIPE = """
from ray import tune
from sweeps import Sweep

def train(config):
    tune.report({{"loss": config["lr"]}})

{body}
"""
SWEEP = 'Sweep(trainable=train, space={"lr": tune.uniform(0, 1)}, metric="loss", mode="min", trials=%d)'


@pytest.mark.parametrize(
    "body",
    [
        f"sweep = {SWEEP % 3}\nother = {SWEEP % 4}",
        f"only = {SWEEP % 3}\nif __name__ == '__main__':\n    only.main()",
        f"result = {SWEEP % 3}.run()\nprint(result.best.config)",
        f"{SWEEP % 3}.main()",
    ],
)
def test_a_python_file_gives_its_sweep_without_running_it(tmp_path: Path, body: str) -> None:
    path = write(tmp_path, "recipe_under_test.py", RECIPE.format(body=body))
    assert sweep_file.load(path).trials == 3
    assert sweep_file.load(path, {"trials": 7}, {"lr": 0.5}).search_space().decode([]) == {"lr": 0.5}


def test_a_script_that_runs_its_sweep_where_it_ends_can_be_resumed(tmp_path: Path) -> None:
    path = write(tmp_path, "runs_at_its_end.py", RECIPE.format(body=f"{SWEEP % 3}.run()"))
    written = sweep_file.load(path).to_yaml()
    program = Sweep.from_yaml(written).program()
    assert program is not None
    assert program.name == "train"


def test_a_python_files_own_mistakes_are_told_with_their_line(tmp_path: Path) -> None:
    assert (
        "line 3: ZeroDivisionError: division by zero"
        in refused(write(tmp_path, "a.py", "x = 1\n\n1 / 0\n"))[0]
    )
    assert "line 1: SyntaxError" in refused(write(tmp_path, "b.py", "def (:\n"))[0]
    assert "defines no sweep" in refused(write(tmp_path, "c.py", "x = 1\n"))[0]
    two = RECIPE.format(body=f"a = {SWEEP % 3}\nb = {SWEEP % 4}")
    assert "defines 2 sweeps (a, b)" in refused(write(tmp_path, "d.py", two))[0]
    assert "trials: is -3" in refused(write(tmp_path, "e.py", RECIPE.format(body=f"sweep = {SWEEP % -3}")))[0]


def full(**fields: Any) -> Sweep:
    known: dict[str, Any] = {
        "trainable": toplevel,
        "space": {
            "lr": tune.loguniform(1e-4, 1),
            "k": when("lr2", 1, tune.randn(0, 1)),
            "lr2": tune.choice([1, 2]),
        },
        "constraints": ("lr <= 0.5",),
        "metric": ("loss", "cost"),
        "mode": ("min", "max"),
        "search": "nsga2:population_size=4",
        "trials": 5,
        "time_budget": "2h",
        "retries": 2,
        "storage": "s3://bucket/x",
        "seed": 7,
        "fixed": {"epochs": 3, "net": {"depth": 2}},
    }
    return Sweep(**(known | fields))


def test_a_sweep_written_and_read_is_the_same_sweep() -> None:
    sweep = full()
    back = Sweep.from_yaml(sweep.to_yaml())
    assert back.to_yaml() == sweep.to_yaml()
    for field in (
        "metrics",
        "modes",
        "trials",
        "time_budget_s",
        "retries",
        "storage",
        "seed",
        "fixed",
        "search_choice",
    ):
        assert getattr(back, field) == getattr(sweep, field), field
    assert back.trainable == f"{__file__}:toplevel"
    assert back.search_space().describe() == sweep.search_space().describe()
    assert back.search_space().violated({"lr": 0.9}) == ["lr <= 0.5"]


def test_an_empty_space_survives() -> None:
    assert Sweep.from_yaml(full(space={}, constraints=()).to_yaml()).space == {}


def test_a_script_survives(tmp_path: Path) -> None:
    write(tmp_path, "train.py", "")
    known = {"program": "train.py", "command": ["${interpreter}", "${program}"], "folder": str(tmp_path)}
    for trainable in (known, script(known["program"], known["command"], tmp_path)):
        back = Sweep.from_yaml(
            full(trainable=trainable, metric="loss", mode="min", search="random").to_yaml()
        )
        assert back.trainable == known


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"trainable": lambda config: None},
            "is defined inside a function; move it to the top level of a file",
        ),
        ({"search": algorithm("nsga2")()}, "its search is an object"),
        ({"space": {"f": tune.choice([toplevel, 1])}, "constraints": ()}, "an object that no file can"),
    ],
)
def test_what_no_file_can_hold_can_run_but_not_resume(fields: dict[str, Any], reason: str) -> None:
    written = full(**fields).to_yaml()
    with pytest.raises(SpecError, match="cannot_resume") as error:
        Sweep.from_yaml(written)
    assert any(reason in p for p in error.value.problems)


def test_the_two_quickstarts_are_one_sweep() -> None:
    recipes = Path(sweep_file.__file__).parents[1] / "recipes"
    python, ours = sweep_file.load(recipes / "quickstart.py"), sweep_file.load(recipes / "quickstart.yaml")
    assert python.search_space().describe() == ours.search_space().describe()
    for field in (
        "metrics",
        "modes",
        "trials",
        "ranks",
        "max_iterations",
        "fixed",
        "trainable",
        "scheduler_choice",
    ):
        assert getattr(python, field) == getattr(ours, field), field


def test_every_recipe_loads_and_states_its_cost() -> None:
    recipes = Path(sweep_file.__file__).parents[1] / "recipes"
    files = [p for p in recipes.iterdir() if p.suffix in (".py", ".yaml") and p.name != "__init__.py"]
    assert len(files) >= 3
    for path in files:
        sweep = sweep_file.load(path)
        assert len(sweep.search_space()) > 0
        assert "Cost:" in path.read_text()
