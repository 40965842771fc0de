import json
import math
import os
from pathlib import Path

import pytest
from ray import tune

from search_algs import space as domains
from search_algs.space import Space
from search_algs.space.from_ray import read as as_domain
from sweeps.files import options, sweep_file, wandb_yaml
from sweeps.files.distribution_shapes import DEPRECATED, WANDB
from sweeps.files.shapes import read
from sweeps.files.space_yaml import distribution
from sweeps.spec import SpecError

DATA = os.environ.get("STARLING_TEST_DATA")
FILE = Path(DATA) / "wandb_sweep_configs.json" if DATA else None
needs_configs = pytest.mark.skipif(
    FILE is None or not FILE.is_file(),
    reason="STARLING_TEST_DATA names no folder with wandb_sweep_configs.json",
)
ORACLE = json.loads(FILE.read_text()) if FILE and FILE.is_file() else {"configs": [], "params": []}

# W&B lists these three under violations, but only warns and runs them: so do we.
HONEST_EXCEPTIONS = set(DEPRECATED)


def load(config: object) -> sweep_file.Sweep:
    return sweep_file.loads(json.dumps(config), Path("/somewhere"))


def valid(**keys: object) -> dict[str, object]:
    return {"method": "random", "parameters": {"a": {"min": 0.0, "max": 1.0}}} | keys


@needs_configs
@pytest.mark.parametrize("case", ORACLE["configs"], ids=lambda case: case["test"].rsplit("::")[-1])
def test_every_config_of_wandbs_own_tests_is_accepted_or_refused_as_there(case: dict) -> None:
    config = case["config"]
    refused = bool(case["violations"] or case["error"])
    inside = config.get("parameters", {}) if isinstance(config, dict) else {}
    if {p.get("distribution") for p in inside.values()} & HONEST_EXCEPTIONS:
        assert any("exponents" in warning for warning in load(config).warnings)
    elif not refused:
        load(config)
    else:
        with pytest.raises(SpecError, match=r"\w+") as error:
            load(config)
        keys = {*wandb_yaml.Config.model_fields, *inside, "the file holds"}
        assert all(any(p.startswith(key) for key in keys) for p in error.value.problems), error.value.problems


@needs_configs
@pytest.mark.parametrize("case", ORACLE["params"])
def test_type_inference_and_filled_defaults_are_wandbs(case: dict) -> None:
    if case["error"] == "ParamValidationError":  # W&B's way to say: a nested group, not a parameter
        assert set(case["config"]) == {"parameters"}
        return
    problems: list[str] = []
    which = distribution("p", case["config"], problems)
    shape = which and read(WANDB[which].shape, {"distribution": which} | case["config"], "p", problems)
    if not case["filled"]:
        assert problems
    elif not shape:  # the oracle fills before it looks whether probabilities add up
        assert "probabilities" in problems[0]
    else:
        filled, expected = shape.model_dump(), case["filled"]
        assert (
            json.dumps(filled, sort_keys=True) == json.dumps(expected, sort_keys=True) or filled == expected
        )
        for key, value in expected.items():
            if key in ("q", "min", "max"):  # whether q is an int decides the type of what is drawn
                assert type(filled[key]) is type(value)


@pytest.mark.parametrize(
    ("parameter", "same_as"),
    [
        ({"min": 1, "max": 5}, tune.randint(1, 6)),
        ({"min": 0.0, "max": 5}, tune.uniform(0.0, 5)),
        ({"values": [1, "a", None, [2]]}, tune.choice([1, "a", None, [2]])),
        ({"values": [1, 2], "probabilities": [0.25, 0.75]}, domains.weighted([1, 2], [0.25, 0.75])),
        ({"distribution": "log_uniform_values", "min": 1e-4, "max": 1}, tune.loguniform(1e-4, 1)),
        ({"distribution": "inv_log_uniform_values", "min": 1e-4, "max": 1}, tune.loguniform(1e-4, 1)),
        ({"distribution": "log_uniform", "min": -2, "max": 3}, tune.loguniform(math.exp(-2), math.exp(3))),
        (
            {"distribution": "inv_log_uniform", "min": -2, "max": 3},
            tune.loguniform(math.exp(-3), math.exp(2)),
        ),
        ({"distribution": "q_uniform", "min": 0, "max": 1}, domains.q_uniform(0, 1, 1.0)),
        ({"distribution": "q_log_uniform", "min": 0, "max": 1, "q": 2}, domains.q_log_uniform(0, 1, 2)),
        (
            {"distribution": "q_log_uniform_values", "min": 1, "max": 9},
            domains.q_log_uniform_values(1, 9, 1.0),
        ),
        ({"distribution": "normal"}, domains.normal(0, 1)),
        ({"distribution": "q_normal", "mu": 3, "q": 2}, domains.q_normal(3, 1, 2)),
        ({"distribution": "log_normal", "sigma": 0.5}, domains.log_normal(0, 0.5)),
        ({"distribution": "q_log_normal"}, domains.q_log_normal(0, 1, 1.0)),
        ({"distribution": "beta", "a": 2}, domains.beta(2, 1)),
        ({"distribution": "q_beta", "b": 3, "q": 0.1}, domains.q_beta(1, 3, 0.1)),
    ],
)
def test_each_distribution_has_wandbs_meaning(parameter: dict, same_as: object) -> None:
    assert as_domain(load(valid(parameters={"p": parameter})).space["p"]) == as_domain(same_as)


def test_q_makes_an_int_if_and_only_if_it_is_one() -> None:
    both = load(
        valid(
            parameters={
                "i": {"distribution": "q_uniform", "min": 0, "max": 9, "q": 3},
                "f": {"distribution": "q_uniform", "min": 0, "max": 9, "q": 3.0},
            }
        )
    )
    config = both.search_space().decode([0.5, 0.5])
    assert (type(config["i"]), type(config["f"])) == (int, float)


def test_sigma_zero_is_a_constant() -> None:
    space = load(valid(parameters={"a": {"distribution": "log_normal", "mu": 0, "sigma": 0}})).search_space()
    assert space.decode([]) == {"a": 1.0}


def test_nested_parameters_arrive_as_nested_dicts() -> None:
    nested = {"optimizer": {"parameters": {"name": {"value": "sgd"}, "lr": {"values": [0.1]}}}}
    assert load(valid(parameters=nested)).search_space().decode([0.5]) == {
        "optimizer": {"name": "sgd", "lr": 0.1}
    }


def test_a_grid_has_every_point_once_sorted_by_name_the_last_fastest() -> None:
    sweep = load({"method": "grid", "parameters": {"b": {"values": [1, 2, 1]}, "a": {"values": ["x", "y"]}}})
    assert sweep.trials == 4
    points = [(c["a"], c["b"]) for c in sweep.search_space().grid()]
    assert points == [("x", 1), ("x", 2), ("y", 1), ("y", 2)]


def test_a_grid_steps_through_q_uniform_without_its_upper_end() -> None:
    sweep = load(
        {"method": "grid", "parameters": {"a": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}}}
    )
    assert [c["a"] for c in sweep.search_space().grid()] == [0.0, 0.25, 0.5, 0.75]


def test_a_grid_over_a_continuous_parameter_names_it() -> None:
    with pytest.raises(SpecError, match="lr: it has endlessly many values"):
        load({"method": "grid", "parameters": {"lr": {"min": 0.0, "max": 1.0}}})


def test_run_cap_is_the_number_of_trials_and_its_absence_is_said() -> None:
    assert load(valid(run_cap=7)).trials == 7
    open_ended = load(valid())
    assert open_ended.trials == wandb_yaml.UNCAPPED
    assert any(w.startswith("run_cap") for w in open_ended.warnings)
    grid = {"method": "grid", "parameters": {"a": {"values": [1, 2, 3]}}}
    assert (load(grid | {"run_cap": 2}).trials, load(grid | {"run_cap": 9}).trials) == (2, 3)


def test_the_goal_is_to_minimise_unless_said() -> None:
    assert load(valid(metric={"name": "loss"})).mode == "min"
    sweep = load(valid(metric={"name": "acc", "goal": "maximize", "target": 0.9}))
    assert (sweep.metric, sweep.mode, sweep.target) == ("acc", "max", 0.9)


def test_several_metrics_are_searched_by_an_algorithm_for_several() -> None:
    metrics = [{"name": "loss"}, {"name": "acc", "goal": "maximize"}]
    sweep = load(valid(method="custom", metrics=metrics))
    assert (sweep.metrics, sweep.modes, sweep.search) == (("loss", "acc"), ("min", "max"), "nsga2")


@pytest.mark.parametrize(
    ("early", "asha"),
    [
        ({"min_iter": 3}, {"grace_period": 3, "reduction_factor": 3, "max_t": wandb_yaml.ENDLESS}),
        ({"min_iter": 2, "eta": 2}, {"grace_period": 2, "reduction_factor": 2, "max_t": wandb_yaml.ENDLESS}),
        # Bands 27/3 = 9 and 27/9 = 3.
        ({"max_iter": 27, "s": 2}, {"grace_period": 3, "reduction_factor": 3, "max_t": 27}),
        # Bands 10/4 = 2 (rounded down); 10/16 is below 1 and no band.
        ({"max_iter": 10, "s": 2, "eta": 4}, {"grace_period": 2, "reduction_factor": 4, "max_t": 10}),
    ],
)
def test_hyperband_becomes_asha_with_wandbs_bands(early: dict, asha: dict) -> None:
    config = wandb_yaml.Hyperband.model_validate({"type": "hyperband"} | early)
    assert config.asha() == {"name": "asha"} | asha


def test_hyperband_without_a_band_is_refused() -> None:
    with pytest.raises(SpecError, match="early_terminate: give `min_iter`"):
        load(valid(metric={"name": "loss"}, early_terminate={"type": "hyperband", "max_iter": 27}))
    with pytest.raises(SpecError, match=r"early_terminate\.typo: there is no such key"):
        load(valid(metric={"name": "loss"}, early_terminate={"type": "hyperband", "min_iter": 1, "typo": 1}))


def test_program_and_command_become_a_script_in_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    (tmp_path / "sweep.yaml").write_text(
        "program: train.py\nmethod: bayes\nmetric: {name: loss}\nparameters: {lr: {min: 0.0, max: 1.0}}\n"
        "command: ['${env}', python, '${program}', '${args}']\n"
        "project: p\nentity: e\nname: My first / sweep\n"
    )
    sweep = sweep_file.load(tmp_path / "sweep.yaml")
    assert sweep.trainable == {
        "program": "train.py",
        "command": ["${env}", "python", "${program}", "${args}"],
        "folder": str(tmp_path),
    }
    assert sweep.wandb == "e/p"
    assert sweep.name is not None
    assert sweep.name.startswith("My-first-sweep-")
    assert sweep.search == wandb_yaml.METHODS["bayes"]


def test_without_a_program_it_can_be_checked_and_says_what_a_run_needs() -> None:
    sweep = load(valid())
    assert sweep.trainable is None
    assert sweep.problems()[0].startswith("trainable: is not named")
    assert any(w.startswith("program") for w in sweep.warnings)


def test_keys_of_ours_are_refused_in_a_wandb_file() -> None:
    with pytest.raises(SpecError, match=r"a\.when: there is no such key"):
        load(valid(parameters={"b": {"values": [1]}, "a": {"min": 0.0, "max": 1.0, "when": {"b": 1}}}))
    with pytest.raises(SpecError, match=r"run_capp: there is no such key; did you mean 'run_cap'\?"):
        load(valid(run_capp=3))


def test_every_problem_is_said_at_once() -> None:
    config = {
        "method": "randm",
        "metric": {"name": "loss", "goal": "smaller"},
        "parameters": {"lr": {"min": 1.0, "max": 0.1}, "x": {"distribution": "unifrm", "min": 0, "max": 1}},
    }
    with pytest.raises(SpecError, match="method") as error:
        load(config)
    assert [p.split(":")[0] for p in error.value.problems] == [
        "method",
        "metric.goal",
        "lr",
        "x.distribution",
    ]


def test_numbers_without_a_point_are_numbers() -> None:
    assert options.read_yaml("a: 1e-3") == {"a": 0.001}
    space = Space(load(valid(parameters={"a": {"min": 1e-05, "max": 1.0}})).space)
    assert space.dimensions[0].domain.low == 1e-5
