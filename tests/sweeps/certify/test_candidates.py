import pytest
from ray import tune

from sweeps import Sweep
from sweeps.certify.candidates import choose, without_seed
from sweeps.journal import Journal
from sweeps.results import Results
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import open_folder
from sweeps.store.tables import Tables


def stored(path, trials):
    """A finished sweep that minimises a loss; trials: (state, loss, configuration)."""
    folder = open_folder(path)
    manifest = write_manifest(folder, Manifest(metric="loss", mode="min", parameters={}), "/")
    with (
        Journal.open(folder) as journal,
        Tables(folder, manifest, journal.events(), distributions={}) as tables,
    ):
        for i, (state, loss, config) in enumerate(trials):
            trial = f"{i:05d}"
            tables.fold(journal.append("suggested", trial=trial, config=config, memo=None))
            report = {"copies": 0, "iteration": 1, "metrics": {"loss": loss}, "decision": "CONTINUE"}
            tables.fold(journal.append("reported", trial=trial, **report))
            tables.fold(journal.append("ended", trial=trial, state=state, reason=None))
        journal.append("closed", why="finished")
    return Results(path)


def train(config):
    """Never run here."""


def of_function(**more):
    fields = {
        "trainable": train,
        "space": {"x": tune.uniform(0, 1)},
        "metric": "loss",
        "mode": "min",
        "trials": 1,
    }
    return Sweep(**fields | more)


def of_task(**more):
    fields = {
        "trainable": "classify", "space": {"lr": tune.loguniform(1e-3, 1), "width": tune.choice([8, 16])},
        "fixed": {"dataset": "digits", "seed": 5}, "metric": "val_loss", "mode": "min", "trials": 1,
    }  # fmt: skip
    return Sweep(**fields | more)


def names(field):
    return [one.name for one in field.candidates]


def test_the_best_distinct_configurations_take_part_and_failed_trials_do_not(tmp_path):
    results = stored(
        tmp_path,
        [
            ("completed", 0.5, {"x": 0.1}),
            ("failed", 0.0, {"x": 0.2}),
            ("completed", 0.2, {"x": 0.3, "_aside": 1}),
            ("completed", 0.3, {"x": 0.3}),
            ("stopped", 0.1, {"x": 0.4}),
        ],
    )
    assert names(choose(results, of_function(), top=5)) == ["00002", "00000", "00004"]
    assert names(choose(results, of_function(), top=1)) == ["00002"]
    assert choose(results, of_function(), top=1).candidates[0].config == {"x": 0.3}


def test_a_searched_seed_makes_no_configuration_of_its_own(tmp_path):
    results = stored(tmp_path, [("completed", i / 10, {"x": 0.3, "seed": 1000 + i}) for i in range(3)])
    sweep = of_function(space={"x": tune.uniform(0, 1), "seed": tune.randint(0, 9999)})
    field = choose(results, sweep, top=5)
    assert (names(field), field.seed_key, field.used) == (["00000"], "seed", {1000, 1001, 1002})
    assert "seed" not in field.default.config


def test_the_default_of_a_task_is_what_it_declares_with_the_sweeps_fixed_values(tmp_path):
    results = stored(tmp_path, [("completed", 0.1, {"lr": 0.5, "width": 8, "dataset": "digits", "seed": 5})])
    field = choose(results, of_task(), top=5)
    declared = of_task().program().hyperparameters
    assert field.default.config == {
        "dataset": "digits", "lr": declared["lr"].default, "width": declared["width"].default,
    }  # fmt: skip
    assert "declared defaults of classify" in field.default_is
    assert field.seed_key == "seed"
    assert field.used == {5}


def test_the_default_of_a_function_is_the_middle_of_the_space_or_what_is_given(tmp_path):
    results = stored(tmp_path, [("completed", 0.1, {"x": 0.3})])
    assert choose(results, of_function(), top=1).default.config == {"x": 0.5}
    field = choose(results, of_function(), top=1, default={"x": 0.9})
    assert field.default.config == {"x": 0.9}
    assert "with x=0.9" in field.default_is


def test_a_candidate_that_is_the_default_takes_part_as_that(tmp_path):
    results = stored(tmp_path, [("completed", 0.1, {"x": 0.5}), ("completed", 0.2, {"x": 0.3})])
    field = choose(results, of_function(), top=1)
    assert names(field) == ["00001"]
    assert "trial 00000 of the sweep had it" in field.default_is


def test_a_default_that_cannot_be_run_is_left_out_with_its_reason(tmp_path):
    results = stored(tmp_path, [("completed", 0.1, {"x": 0.3})])
    field = choose(results, of_function(constraints=["x < 0.4"]), top=1)
    assert field.default is None
    assert "breaks the constraint x < 0.4" in field.default_is
    with pytest.raises(ValueError, match=r"--default: .* breaks the constraint x < 0.4"):
        choose(results, of_function(constraints=["x < 0.4"]), top=1, default={"x": 0.7})
    with pytest.raises(ValueError, match="unknown hyperparameter `learning_rate`"):
        choose(results, of_task(), top=1, default={"learning_rate": 0.1})


def test_where_no_seed_is_known_it_can_be_named(tmp_path):
    results = stored(tmp_path, [("completed", 0.1, {"x": 0.3})])
    assert choose(results, of_function(), top=1).seed_key is None
    assert choose(results, of_function(), top=1, seed_key="s").seed_key == "s"
    with pytest.raises(ValueError, match="classify has no hyperparameter 's'"):
        choose(results, of_task(), top=1, seed_key="s")


def test_a_nested_seed_is_taken_out_of_a_copy():
    config = {"model": {"seed": 3, "width": 8}, "x": 1}
    assert without_seed(config, "model.seed") == {"model": {"width": 8}, "x": 1}
    assert config["model"]["seed"] == 3
