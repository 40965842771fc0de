import json
from pathlib import Path

from ray import tune

from search_algs.space import when
from sweeps import Sweep
from sweeps.checks import plan
from sweeps.files import sweep_file


def made(**fields: object) -> Sweep:
    known = {
        "trainable": "classify",
        "space": {
            "optimizer": tune.choice(["sgd", "adam"]),
            "momentum": when("optimizer", "sgd", tune.uniform(0, 0.9)),
            "lr": tune.loguniform(1e-4, 1),
        },
        "constraints": ["lr <= 0.5"],
        "search": "tpe:n_startup_trials=3",
        "scheduler": "asha",
        "max_iterations": 9,
        "trials": 8,
        "ranks": 2,
        "fixed": {"epochs": 9},
    }
    return Sweep(**(known | fields))  # type: ignore[arg-type]


def test_the_plan_lists_every_parameter_with_its_domain_and_condition() -> None:
    parameters = {p["name"]: p for p in plan.describe(made())["parameters"]}
    assert list(parameters) == ["optimizer", "momentum", "lr"]
    assert parameters["lr"]["domain"] == "0.0001 to 1, logarithmic"
    assert parameters["momentum"]["when"] == ["optimizer = 'sgd'"]


def test_given_parameters_replace_defaults_in_the_plan() -> None:
    described = plan.describe(made())
    assert described["search"]["name"] == "tpe"
    assert described["search"]["parameters"]["n_startup_trials"] == 3
    assert described["search"]["parameters"]["n_ei_candidates"] == 24
    assert described["scheduler"]["parameters"]["max_t"] == 9
    assert described["resources"]["cpus_per_trial"] == 2
    assert (described["metric"], described["mode"], described["trials"]) == ("val_accuracy", "max", 8)


def test_the_plan_is_json() -> None:
    assert json.loads(json.dumps(plan.describe(made())))["constants"] == {"epochs": 9}


def test_the_text_shows_what_the_plan_holds() -> None:
    text = plan.text(plan.describe(made(ranks=4096)))
    for words in ("classify", "val_accuracy (max)", "n_startup_trials=3", "lr <= 0.5", "4096 ranks of 1 CPU"):
        assert words in text
    assert "cannot run here" in text


def test_the_size_of_a_grid_is_shown() -> None:
    grid = made(
        space={"width": tune.choice([8, 16])}, search="grid", constraints=(), trials=None, scheduler="fifo"
    )
    assert "2 of 2 configurations" in plan.text(plan.describe(grid))


def test_a_wandb_file_without_a_program_has_a_plan_with_its_notes() -> None:
    sweep = sweep_file.loads('{"method": "random", "parameters": {"a": {"values": [1, 2]}}}', Path())
    described = plan.describe(sweep)
    assert described["trainable"] is None
    assert any(note.startswith("run_cap") for note in described["warnings"])
    assert any(note.startswith("trainable") for note in described["obstacles"])
    assert "not named yet" in plan.text(described)
