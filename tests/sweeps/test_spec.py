import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import pytest
from ray import tune

from search_algs import load
from search_algs.space import when
from sweeps import SpecError, Sweep
from trainables import Program
from trainables.engine.settings import OPTIMIZERS


def train(config: dict[str, Any]) -> None:
    tune.report({"loss": config["lr"]})


def sweep(**fields: Any) -> Sweep:
    known = {
        "trainable": train,
        "space": {"lr": tune.uniform(0, 1)},
        "metric": "loss",
        "mode": "min",
        "trials": 4,
    }
    return Sweep(**(known | fields))


def problems(**fields: Any) -> list[str]:
    with pytest.raises(SpecError, match="cannot be run as written") as error:
        sweep(**fields)
    assert all(problem in str(error.value) for problem in error.value.problems)
    return error.value.problems


def test_every_field_is_documented() -> None:
    import inspect

    source = inspect.getsource(Sweep)
    for field in dataclasses.fields(Sweep):
        if field.init:
            assert re.search(rf'^    {field.name}: .*\n    """', source, re.MULTILINE), field.name


def test_a_sweep_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        sweep().trials = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"trials": -3}, "trials: is -3; it must be a whole number, 1 or more."),
        ({"trials": True}, "trials: is True"),
        ({"trials": None}, "trials: is missing"),
        ({"ranks": 0}, "ranks: is 0"),
        ({"cpus_per_rank": 0}, "cpus_per_rank: is 0; it must be a number above 0."),
        ({"gpus_per_rank": 0.5, "ranks": 2}, "gpus_per_rank: is 0.5 with 2 ranks"),
        ({"gpus_per_rank": 1.5}, "gpus_per_rank: is 1.5"),
        ({"max_concurrent": 0}, "max_concurrent: is 0"),
        ({"max_failures": -1}, "max_failures: is -1"),
        ({"retries": 0.5}, "retries: is 0.5"),
        ({"time_budget": "soon"}, "time_budget: 'soon' is no length of time"),
        ({"name": "a/b"}, "name: is 'a/b'; it must be letters, digits"),
        ({"storage": ""}, "storage: is ''"),
        ({"seed": -1}, "seed: is -1"),
        ({"quiet": "yes"}, "quiet: is 'yes'; it must be true or false."),
        ({"target": "low"}, "target: is 'low'"),
        ({"mode": "maximize"}, "mode: 'maximize' is unknown; did you mean 'max'?"),
        ({"mode": "mx"}, "mode: 'mx' is unknown; did you mean 'max'?"),
        ({"mode": None}, "mode: is missing; say whether 'loss' is better at its 'min' or its 'max'."),
        ({"mode": ["min", "max"]}, "mode: there are 2 for 1 metrics"),
        ({"metric": 3}, "metric: is 3; it must be a name or a list of names."),
        ({"metric": ["loss", "loss"], "mode": ["min", "min"]}, "metric: ['loss', 'loss'] names one twice."),
        ({"search": "tpee"}, "search: 'tpee' is unknown; did you mean 'tpe'?"),
        (
            {"search": "tpe:n_startup=3"},
            "search: tpe has no parameter 'n_startup'; did you mean 'n_startup_trials'?",
        ),
        ({"search": 3}, "search: is 3; it must be one of"),
        ({"search": {"n": 3}}, "search: {'n': 3} lacks its `name`"),
        (
            {"search": "cmaes", "metric": ["a", "b"], "mode": ["min", "min"]},
            "search: cmaes improves one metric",
        ),
        ({"search": "grid"}, "search: grid: lr: it has endlessly many values"),
        ({"scheduler": "ashaa"}, "scheduler 'ashaa' is unknown; did you mean 'asha'?"),
        ({"scheduler": "asha:grace=1", "max_iterations": 9}, "scheduler asha has no parameter 'grace'"),
        ({"scheduler": "asha"}, "scheduler: asha must know how long a full training is"),
        (
            {"scheduler": "median", "metric": ["a", "b"], "mode": ["min", "max"]},
            "scheduler: median judges by one metric",
        ),
        (
            {"trainable": {"program": "train.py"}, "scheduler": "pbt"},
            "scheduler: pbt pauses or copies trials, and train has no checkpoints",
        ),
        ({"scheduler": "pbt", "max_concurrent": 2}, "max_concurrent: has no effect with pbt"),
        ({"space": 3}, "space: is 3; it must map"),
        ({"space": {"lr": tune.uniform(1, 0)}}, "space: lr: the lower bound 1 is above the upper bound 0"),
        ({"space": {"m": when("opt", "sgd", 1)}}, "space: m: when('opt', ...): there is no parameter 'opt'"),
        ({"constraints": "lr < 1"}, "constraints: is 'lr < 1'; it must be a list of texts"),
        ({"constraints": 5}, "constraints: is 5; it must be a list of texts"),
        ({"warm_start": 5}, "warm_start: is 5; it must be a list of sweeps' folders."),
        ({"fixed": {1: 2}}, "fixed: is {1: 2}; it must map parameters' names to values."),
        ({"trainable": {1: 2}}, "trainable: a script has no key 1; Known: program, command, folder."),
        (
            {"constraints": ["lrr < 1"]},
            "space: constraint 'lrr < 1': there is no parameter 'lrr'; did you mean 'lr'?",
        ),
        ({"trainable": "classfy"}, "trainable: unknown trainable 'classfy'; did you mean 'classify'?"),
        ({"trainable": "nofile:Task"}, "trainable: no module 'nofile'"),
        (
            {"trainable": {"progam": "x.py"}},
            "trainable: a script has no key 'progam'; did you mean 'program'?",
        ),
        (
            {"trainable": "classify", "metric": "val_acc"},
            "metric: classify never reports 'val_acc'; did you mean",
        ),
        (
            {"trainable": "classify", "metric": None, "space": {"lrr": 1}, "mode": None},
            "classify has no hyperparameter 'lrr'",
        ),
        (
            {"trainable": "classify", "metric": "val_loss", "space": {"lrr": tune.uniform(0, 1)}},
            "no hyperparameter 'lrr'",
        ),
        (
            {"trainable": "classify", "metric": "val_loss", "fixed": {"optimizer": "sgdd"}},
            "cannot be 'sgdd'; did you mean 'sgd'",
        ),
        (
            {
                "trainable": "classify",
                "metric": "val_loss",
                "space": {"optimizer": tune.choice(["sgd", "rms"])},
            },
            "space: optimizer of classify cannot be 'rms'",
        ),
    ],
)
def test_each_mistake_is_named_with_what_is_allowed(fields: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in problems(**fields)), problems(**fields)


def test_all_mistakes_are_said_at_once() -> None:
    found = problems(
        trials=0, mode="mox", search="tpee", scheduler="ashaa", space={"lr": tune.uniform(1, 0)}, ranks=-1
    )
    assert sorted(p.split(":")[0].split(" ")[0] for p in found) == [
        "mode",
        "ranks",
        "scheduler",
        "search",
        "space",
        "trials",
    ]


def test_metric_and_mode_come_from_the_trainable_when_absent() -> None:
    made = sweep(trainable="classify", metric=None, mode=None)
    assert (made.metrics, made.modes) == (("val_accuracy",), ("max",))


class Counting(Program):
    name = "counting"
    metrics = ("loss",)

    def reports(self, config: Mapping[str, Any]) -> int:
        return int(config["epochs"])

    def trainable(self, ranks: int = 1, cpus_per_rank: float = 1, gpus_per_rank: float = 0) -> Any:
        return train


def test_the_length_of_a_full_training_comes_from_the_trainable_when_a_scheduler_asks() -> None:
    known: dict[str, Any] = {"trainable": Counting(), "fixed": {"epochs": 5}}
    assert sweep(scheduler="asha", **known).max_iterations == 5
    assert sweep(**known).max_iterations is None
    assert sweep(scheduler="asha:max_t=3", **known).max_iterations is None
    searched = sweep(trainable=Counting(), space={"epochs": tune.choice([2, 7])}, scheduler="asha")
    assert searched.max_iterations == 7


def test_trials_of_a_grid_are_its_points_when_absent() -> None:
    space = {"a": tune.choice([1, 2, 3]), "b": when("a", 1, tune.choice([1, 2]))}
    assert sweep(search="grid", space=space, trials=None).trials == 4
    assert sweep(search="grid", space=space, trials=100).trials == 4


def test_fixed_values_are_constants_of_the_space_that_constraints_may_name() -> None:
    made = sweep(fixed={"batch": 8, "net.depth": 2}, constraints=["lr * batch <= 4"])
    space = made.search_space()
    assert space.decode([0.25]) == {"lr": 0.25, "batch": 8, "net": {"depth": 2}}
    assert space.violated({"lr": 0.9, "batch": 8}) == ["lr * batch <= 4"]


def test_setting_a_searched_parameter_takes_it_out_of_the_search() -> None:
    space = {
        "optimizer": tune.choice(["sgd", "adam"]),
        "momentum": when("optimizer", "sgd", tune.uniform(0, 1)),
        "net": {"width": tune.choice([8, 16])},
    }
    made = sweep(space=space)
    assert made.override(set={"optimizer": "adam"}).search_space().names == ("net.width",)
    assert made.override(set={"optimizer": "sgd"}).search_space().names == ("momentum", "net.width")
    half = made.override(set={"momentum": 0.5, "net.width": 32, "epochs": 3})
    assert half.fixed == {"epochs": 3}
    assert half.search_space().decode([0.0]) == {
        "optimizer": "sgd",
        "momentum": 0.5,
        "net": {"width": 32},
        "epochs": 3,
    }
    assert half.search_space().decode([0.9]) == {"optimizer": "adam", "net": {"width": 32}, "epochs": 3}
    assert made.search_space().names == ("optimizer", "momentum", "net.width")


def test_overriding_leaves_what_is_absent_and_checks_the_rest() -> None:
    made = sweep().override(trials=9, name=None, time_budget="1h")
    assert (made.trials, made.name, made.time_budget_s) == (9, None, 3600)
    with pytest.raises(SpecError, match=r"trails: a sweep has no such field; did you mean 'trials'\?"):
        sweep().override(trails=9)
    with pytest.raises(SpecError, match="trials: is -3"):
        sweep().override(trials=-3)


def test_choices_are_read_as_name_and_parameters() -> None:
    made = sweep(search="tpe:n_startup_trials=3", scheduler={"name": "asha", "max_t": 9})
    assert made.search_choice == ("tpe", {"n_startup_trials": 3})
    assert made.scheduler_choice == ("asha", {"max_t": 9})


def test_a_search_object_of_ones_own_is_taken_as_it_is() -> None:
    made = sweep(search=load("random")())
    assert made.search_choice == ("RandomSearch", {})


def test_what_this_machine_lacks_is_said_before_a_run_not_at_birth(tmp_path: Any) -> None:
    ready = {"storage": str(tmp_path / "results")}
    assert sweep(**ready).problems() == []
    assert any(p.startswith("ranks: one trial takes") for p in sweep(ranks=4096, **ready).problems())
    assert any("8 GPUs" in p for p in sweep(gpus_per_rank=8, **ready).problems())
    assert any("storage" in p for p in sweep(storage="/proc/nosuch").problems())
    assert any("plain function, which runs in one process" in p for p in sweep(ranks=2, **ready).problems())
    assert sweep(trainable=None).problems()[0].startswith("trainable: is not named")
    assert any("metric: is missing" in p for p in sweep(metric=None, mode=None, **ready).problems())


def test_a_cluster_counts_with_its_own_resources(tmp_path: Any) -> None:
    from cluster.standing import standing
    from sweeps.checks.preflight import preflight

    big = sweep(
        trainable="classify",
        metric="val_loss",
        space={},
        ranks=8,
        gpus_per_rank=1,
        address="auto",
        storage=str(tmp_path),
    )
    assert preflight(big) == []
    assert preflight(big, standing([{"CPU": 64, "GPU": 8}])) == []
    assert preflight(big, standing([{"CPU": 4, "GPU": 1}] * 8)) == []
    (why,) = preflight(big, standing([{"CPU": 4, "GPU": 4}]))
    assert why.endswith("a trial is 8 ranks with 1 CPU and 1 GPU each; all 1 workers hold 4.")


def test_names_types_and_ranges_that_the_trainable_refuses_are_all_told_at_birth() -> None:
    space = {"dropout": tune.uniform(0, 2), "width": [8, 16], "momentumm": 0.5, "optimizer": "adamm"}
    with pytest.raises(SpecError, match=r".") as error:
        sweep(trainable="classify", metric="val_loss", space=space, fixed={"epochs": True, "batch_size": "a"})
    assert error.value.problems == [
        "space: classify has no hyperparameter 'momentumm'; " + error.value.problems[0].partition("; ")[2],
        "space: optimizer of classify cannot be 'adamm'; did you mean 'adam'? "
        f"Known: {', '.join(OPTIMIZERS)}.",
        "classify: `width` is [8, 16]; expected int. To search them: {values: [8, 16]}, "
        "or tune.choice([8, 16]).",
        "classify: `epochs` is True; expected float.",
        "classify: `batch_size` is 'a'; expected int.",
        "classify: `dropout` is 1.0; it must be in [0, 1).",
    ]


def test_a_path_among_the_values_is_absolute_wherever_it_is_given(outside: Any) -> None:
    there = str(outside / "images")
    for given in (
        {"fixed": {"dataset": "cifar10", "data": "images"}, "space": {}},
        {"space": {"dataset": "cifar10", "data": "./images"}},
    ):
        made = sweep(trainable="classify", metric="val_loss", **given)
        assert made.param_space["data"] == there
        assert made.override(name="again").param_space["data"] == there
    assert sweep(fixed={"data": "images"}).fixed == {"data": "images"}  # a function does not say what it is


def test_missing_data_is_no_mistake_of_the_sweep_but_stops_a_run(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv("STARLING_DATA", raising=False)
    made = sweep(
        trainable="classify",
        metric="val_loss",
        fixed={"dataset": "cifar10", "data": str(tmp_path)},
        storage=str(tmp_path),
    )
    assert any("starling data cifar10" in p for p in made.problems())
