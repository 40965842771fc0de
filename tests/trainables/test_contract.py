"""What every trainable must keep, for all of them. A new one is covered by being there."""

import copy

import pytest
import ray
import torch

import trainables
from trainables.engine import checkpoint

SMALL = {"report_every": 3, "batch_size": 24, "seed": 5}
CONFIGS = {
    "sgd": {"optimizer": "sgd", "lr": 0.1},
    "adamw, accumulated": {"optimizer": "adamw", "lr": 2e-3, "weight_decay": 0.01, "accumulate": 2},
    "langevin": {"optimizer": "langevin", "lr": 0.05, "weight_decay": 1e-3},
    "momentum, clipped, averaged, uneven": {
        "momentum": 0.8,
        "clip": 0.5,
        "ema_decay": 0.9,
        "batch_size": 25,
        "schedule": "cosine",
        "warmup_steps": 2,
    },
}
every = pytest.mark.parametrize("name", trainables.names())
each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))


@pytest.fixture(scope="module")
def two_ranks(new_crew):
    """`two_ranks(name, config)`: two real rank processes, kept from test to test, with a new model."""
    crews = {}

    def build(name, config):
        if name not in crews:
            crews.clear()
            crews[name] = new_crew(name, ranks=2)
        crews[name].all("build", config)
        return crews[name]

    return build


def tensors(state, prefix=""):
    """Every tensor and number of a state, by path."""
    if isinstance(state, dict):
        return {k: v for key in state for k, v in tensors(state[key], f"{prefix}/{key}").items()}
    if isinstance(state, list | tuple):
        return {k: v for i, item in enumerate(state) for k, v in tensors(item, f"{prefix}/{i}").items()}
    return {prefix: state}


def assert_equal(a, b):
    a, b = tensors(a), tensors(b)
    assert a.keys() == b.keys()
    for key, value in a.items():
        same = torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key]
        assert same, key


def assert_close(a, b, atol=2e-6):
    a, b = tensors(a["model"]), tensors(b["model"])
    for key, value in a.items():
        torch.testing.assert_close(value, b[key], atol=atol, rtol=0, msg=lambda text, k=key: f"{k}: {text}")


def saved(crew):
    return checkpoint.unpack(crew.all("state_dict")[0])


@every
def test_a_report_has_every_declared_metric_and_all_are_finite(name, one_rank):
    program = trainables.load(name)
    engine = one_rank(program.task, **SMALL)
    report = engine.advance() | engine.evaluate()
    assert set(program.metrics) <= set(report)
    assert program.default_metric[0] in report
    assert all(abs(value) < float("inf") for value in report.values())
    assert report["done"] is False


@every
@each_config
def test_two_ranks_compute_what_one_computes(name, config, one_rank, two_ranks):
    config = SMALL | config
    one, two = one_rank(trainables.load(name).task, **config), two_ranks(name, config)
    for _ in range(2):
        alone, together = one.advance() | one.evaluate(), two.all("advance")[0] | two.all("evaluate")[0]
        for key in set(alone) - {"images_per_s", "seconds"}:
            assert together[key] == pytest.approx(alone[key], abs=2e-5), key
    assert_close(saved(two), one.state_dict())


@every
@each_config
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resuming_is_bit_for_bit_the_same(name, config, precision, one_rank):
    task = trainables.load(name).task
    config = SMALL | config | {"precision": precision, "patience": 50}
    if "dropout" in trainables.load(name).hyperparameters:
        config["dropout"] = 0.3
    through = one_rank(task, **config)
    through.advance(), through.evaluate()
    halfway = checkpoint.pack(through.state_dict())
    through.advance(), through.evaluate()
    resumed = one_rank(task, **config)
    resumed.load_state_dict(checkpoint.unpack(halfway))
    resumed.advance(), resumed.evaluate()
    assert_equal(resumed.state_dict(), through.state_dict())


@every
def test_two_ranks_resume_bit_for_bit_and_one_rank_goes_on_from_their_checkpoint(name, one_rank, two_ranks):
    config = SMALL | CONFIGS["adamw, accumulated"]
    crew = two_ranks(name, config)
    crew.all("advance"), crew.all("evaluate")
    halfway = crew.all("state_dict")[0]
    crew.all("advance"), crew.all("evaluate")
    through = saved(crew)

    crew.all("build", config)
    crew.all("load_state_dict", ray.put(halfway))
    crew.all("advance"), crew.all("evaluate")
    assert_equal(saved(crew), through)

    alone = one_rank(trainables.load(name).task, **config)
    alone.load_state_dict(checkpoint.unpack(halfway))
    alone.advance(), alone.evaluate()
    assert_close(alone.state_dict(), through)


@every
def test_accumulating_k_passes_equals_one_big_batch(name, one_rank):
    task = trainables.load(name).task
    big = one_rank(task, **SMALL | {"batch_size": 96, "lr": 0.1})
    small = one_rank(task, **SMALL | {"batch_size": 24, "accumulate": 4, "lr": 0.1})
    big.advance(), small.advance()
    assert_close(small.state_dict(), big.state_dict())
    assert big.samples == small.samples == 3 * 96


@every
def test_a_copy_under_changed_hyperparameters_is_the_same_in_place_and_built_anew(name, one_rank):
    """Population-based training takes either way; they must not differ."""
    program = trainables.load(name)
    donor = one_rank(program.task, **SMALL)
    donor.advance(), donor.evaluate()
    state = checkpoint.pack(donor.state_dict())
    changed = {"lr": 0.007, "weight_decay": 0.002, "batch_size": 40, "momentum": 0.5}
    changed |= {"dropout": 0.25} if "dropout" in program.mutable else {}

    in_place, anew = one_rank(program.task, **SMALL), one_rank(program.task, **SMALL | changed)
    in_place.advance()
    in_place.mutate(SMALL | changed)
    for engine in (in_place, anew):
        engine.load_state_dict(checkpoint.unpack(state))
    reports = [engine.advance() for engine in (in_place, anew)]
    assert_equal(in_place.state_dict(), anew.state_dict())
    assert reports[0]["lr"] == pytest.approx(0.007)
    assert in_place.samples == donor.samples + 3 * 40


@every
def test_only_mutable_hyperparameters_change_while_running(name, one_rank):
    engine = one_rank(trainables.load(name).task, **SMALL)
    with pytest.raises(ValueError, match="optimizer, seed cannot change while a trial runs"):
        engine.mutate(SMALL | {"seed": 6, "optimizer": "adam"})


@every
def test_every_declared_hyperparameter_is_accepted_and_what_check_accepts_trains(name, one_rank):
    program = trainables.load(name)
    base = SMALL | {"report_every": 1, "optimizer": "adam", "lr": 1e-4}
    for key, known in program.hyperparameters.items():
        values = (
            known.choices or [v for v in (known.low, known.high, known.default) if v is not None] or [None]
        )
        fine = [v for v in values if not program.check(copy.copy(base) | {key: v})]
        assert fine, f"no value of {key} is accepted: {program.check(base | {key: values[0]})}"
        for value in fine:
            config = base | {key: value}
            if key == "temperature":
                config["optimizer"] = "langevin"
            one_rank(program.task, **config).advance()
