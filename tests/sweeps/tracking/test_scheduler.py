"""Our search algorithms at the head of W&B's own sweeps."""

import optuna
import pytest

import search_algs
from sweeps.files.space_yaml import read_space
from sweeps.tracking.scheduler import study_for

CONFIG = {
    "method": "custom",
    "scheduler": {"engine": "optuna"},
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {
        "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
        "layers": {"distribution": "int_uniform", "min": 1, "max": 8},
        "kind": {"values": ["a", "b"]},
        "epochs": {"value": 3},
    },
}


def objective(config):
    return config["layers"] + config["lr"] + (config["kind"] == "b")


@pytest.fixture(autouse=True)
def _quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.mark.parametrize("name", ["pso", "tpe", "sobol", "random"])
def test_the_study_suggests_exactly_what_the_algorithm_does(name):
    from wandb.sdk.sweeps.scheduler.optuna import search_space_from_sweep_config

    study, done = study_for(CONFIG, name, seed=3, trials=12)
    alone = search_algs.build(name, seed=3)
    alone.set_search_properties("loss", "min", read_space(CONFIG["parameters"], [], ours=False))
    distributions = search_space_from_sweep_config(CONFIG["parameters"])
    for i in range(12):
        assert not done(study)
        trial = study.ask(distributions)
        assert trial.params == alone.suggest(str(i))
        if i % 4 == 3:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            alone.lose(str(i))
        else:
            value = objective(trial.params)
            study.tell(trial, value)
            alone.conclude(str(i), {"loss": value})
    assert done(study)


def test_a_grid_ends_with_its_last_point():
    parameters = {
        "layers": {"distribution": "int_uniform", "min": 1, "max": 3},
        "kind": {"values": ["a", "b"]},
    }
    study, _ = study_for({**CONFIG, "parameters": parameters}, "grid")
    from wandb.sdk.sweeps.scheduler.optuna import search_space_from_sweep_config

    seen = set()
    while not study.sampler.is_exhausted(study):
        trial = study.ask(search_space_from_sweep_config(parameters))
        seen.add((trial.params["layers"], trial.params["kind"]))
        study.tell(trial, 1.0)
    assert len(seen) == len(study.trials) == 6


def test_what_cannot_be_searched_is_refused():
    with pytest.raises(ValueError, match="has no metric"):
        study_for({"parameters": CONFIG["parameters"]}, "tpe")
    with pytest.raises(ValueError, match=r"lr\.distribution: 'unifrm' is unknown"):
        study_for({**CONFIG, "parameters": {"lr": {"distribution": "unifrm", "min": 0, "max": 1}}}, "tpe")


def test_a_path_that_is_none_is_refused(starling):
    answer = starling("wandb-scheduler", "just-an-id", "--search", "pso")
    assert answer.code == 2
    assert "give ENTITY/PROJECT/SWEEP" in answer.err


@pytest.mark.slow  # W&B's scheduler looks at its runs every ten seconds
@pytest.mark.filterwarnings("ignore")  # W&B's client, in this process
def test_a_sweep_of_the_servers_is_driven_to_its_end_and_finished(server, starling):
    import wandb

    server.objective = objective
    sweep_id = wandb.sweep(CONFIG, entity="flock", project="p")
    answer = starling(
        "wandb-scheduler",
        f"flock/p/{sweep_id}",
        "--search",
        "tpe",
        "--trials",
        12,
        "--at-once",
        3,
        "--poll",
        1,
    )
    wandb.teardown()
    assert answer.code == 0, answer.err
    sweep = server.sweeps[sweep_id]
    assert 8 <= len(sweep.queue) <= 8 + 4
    assert sweep.state == "FINISHED"
    for one in sweep.queue:
        assert 1e-4 <= one["config"]["lr"] <= 1.0
        assert one["config"]["layers"] in range(1, 9)
        assert one["config"]["epochs"] == 3
    configs = [str(one["config"]) for one in sweep.queue]
    assert len(set(configs)) == len(configs)
