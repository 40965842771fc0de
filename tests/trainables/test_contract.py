"""What every trainable must keep, for all of them. A new one is covered by being there.

Those whose hyperparameters are not `Training`'s, which do not descend on gradients, keep the same except what
speaks of batches and of optimisers; their configs are the ends of the ranges that they declare.

Generative ones take long, so that `make test` tries one of each family, and of its configs two; the others
are tried by `make test-slow`.
"""

import copy

import pytest
import ray
import torch

import trainables
from trainables.engine import Training, checkpoint

DESCENT = {"report_every": 3, "batch_size": 24, "seed": 5}
DESCENTS = {
    "sgd": {"optimizer": "sgd", "lr": 0.1},
    "adamw, accumulated": {"optimizer": "adamw", "lr": 5e-4, "weight_decay": 0.01, "accumulate": 2},
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

FEW = {"samples": 100, "steps": 2}
TINY = {
    "ddpm": FEW, "sde": FEW, "flow_matching": FEW, "latent_diffusion": FEW,
    "vqvae": {"width": 16, "halvings": 1, "codes": 64},
}  # fmt: skip
"""Images drawn at a report; a small network."""
GENERATIVE = {"ddpm", "language", "nice", "vqvae"}
SIBLINGS = {
    "sde", "flow_matching", "noisy_classifier", "autoencoder", "latent_diffusion", "realnvp", "spline_flow",
}  # fmt: skip
"""Made of what one of those is made of."""
PAIRS = {"classify", "ddpm", "xgboost"}
"""Of which two ranks are compared with one at every run: batch statistics, noise by sample, trees."""
ALWAYS = {"adamw, accumulated", "momentum, clipped, averaged, uneven"}


def descends(name):
    return issubclass(trainables.load(name).task.Config, Training)


def small(name):
    """A config whose reports take a moment."""
    return DESCENT | TINY.get(name, {}) if descends(name) else {"report_every": 3, "seed": 5}


def configs(name):
    """By what they are called."""
    if descends(name):
        return DESCENTS
    known = trainables.load(name).hyperparameters
    low = {key: h.low for key, h in known.items() if h.low is not None}
    high = {key: h.high for key, h in known.items() if h.high is not None}
    return {"defaults": {}, "all at their least": low, "all at their greatest": high}


def slow(name, called=None, ranks=1):
    """The mark, where it is one of those that take long."""
    long = name in SIBLINGS or (name in GENERATIVE and called not in (None, *ALWAYS))
    return [pytest.mark.slow] if long or (ranks == 2 and name not in PAIRS) else []


def over(names, called=None, ranks=1):
    marked = [pytest.param(name, marks=slow(name, called, ranks)) for name in names]
    return pytest.mark.parametrize("name", marked)


every, every_pair = over(trainables.names()), over(trainables.names(), ranks=2)
every_descent = over(filter(descends, trainables.names()))
each_config, each_config_of_a_pair = (
    pytest.mark.parametrize(
        ("name", "config"),
        [
            pytest.param(name, config, id=f"{name}-{called}", marks=slow(name, called, ranks))
            for name in trainables.names()
            for called, config in configs(name).items()
        ],
    )
    for ranks in (1, 2)
)


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
    engine = one_rank(program.task, **small(name))
    report = engine.advance() | engine.evaluate()
    assert set(program.metrics) <= set(report)
    assert program.default_metric[0] in report
    assert all(abs(value) < float("inf") for value in report.values())
    assert report["done"] is False


@each_config_of_a_pair
def test_two_ranks_compute_what_one_computes(name, config, one_rank, two_ranks):
    config = small(name) | config
    one, two = one_rank(trainables.load(name).task, **config), two_ranks(name, config)
    for _ in range(2):
        alone, together = one.advance() | one.evaluate(), two.all("advance")[0] | two.all("evaluate")[0]
        for key in set(alone) - {"images_per_s", "seconds"}:
            assert together[key] == pytest.approx(alone[key], abs=2e-5), key
    assert_close(saved(two), one.state_dict())


@each_config
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resuming_is_bit_for_bit_the_same(name, config, precision, one_rank):
    program = trainables.load(name)
    task, settings = program.task, {"precision": precision, "patience": 50, "dropout": 0.3}
    if precision == "bf16" and "precision" not in program.hyperparameters:
        pytest.skip("it has one precision")
    config = small(name) | config | {k: v for k, v in settings.items() if k in program.hyperparameters}
    through = one_rank(task, **config)
    through.advance(), through.evaluate()
    halfway = checkpoint.pack(through.state_dict())
    through.advance(), through.evaluate()
    resumed = one_rank(task, **config)
    resumed.load_state_dict(checkpoint.unpack(halfway))
    resumed.advance(), resumed.evaluate()
    assert_equal(resumed.state_dict(), through.state_dict())


@every_pair
def test_two_ranks_resume_bit_for_bit_and_one_rank_goes_on_from_their_checkpoint(name, one_rank, two_ranks):
    config = small(name) | list(configs(name).values())[1]
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


@every_descent
def test_accumulating_k_passes_equals_one_big_batch(name, one_rank):
    task = trainables.load(name).task
    big = one_rank(task, **DESCENT | {"batch_size": 96, "lr": 0.1})
    small = one_rank(task, **DESCENT | {"batch_size": 24, "accumulate": 4, "lr": 0.1})
    big.advance(), small.advance()
    assert_close(small.state_dict(), big.state_dict())
    assert big.samples == small.samples == 3 * 96


@every
def test_a_copy_under_changed_hyperparameters_is_the_same_in_place_and_built_anew(name, one_rank):
    """Population-based training takes either way; they must not differ."""
    program, config = trainables.load(name), small(name)
    donor = one_rank(program.task, **config)
    donor.advance(), donor.evaluate()
    state = checkpoint.pack(donor.state_dict())
    if descends(name):
        changed = {"lr": 0.007, "weight_decay": 0.002, "batch_size": 40, "momentum": 0.5}
        changed |= {"dropout": 0.25} if "dropout" in program.mutable else {}
    else:
        changed = {k: program.hyperparameters[k].low for k in program.mutable}

    in_place, anew = one_rank(program.task, **config), one_rank(program.task, **config | changed)
    in_place.advance()
    in_place.mutate(config | changed)
    for engine in (in_place, anew):
        engine.load_state_dict(checkpoint.unpack(state))
    reports = [engine.advance() for engine in (in_place, anew)]
    assert_equal(in_place.state_dict(), anew.state_dict())
    if descends(name):
        assert reports[0]["lr"] == pytest.approx(0.007)
        assert in_place.samples == donor.samples + 3 * 40
    else:
        donor.advance()
        with pytest.raises(AssertionError):
            assert_equal(in_place.state_dict(), donor.state_dict())


@every
def test_only_mutable_hyperparameters_change_while_running(name, one_rank):
    program = trainables.load(name)
    engine = one_rank(program.task, **small(name))
    other = "optimizer" if descends(name) else "rounds"
    value = "adam" if descends(name) else program.hyperparameters["rounds"].low
    with pytest.raises(ValueError, match=f"{other}, seed cannot change while a trial runs"):
        engine.mutate(small(name) | {"seed": 6, other: value})


@over(trainables.names(), "every value")
def test_every_declared_hyperparameter_is_accepted_and_what_check_accepts_trains(name, one_rank):
    program = trainables.load(name)
    base = small(name) | {"report_every": 1}
    base |= {"optimizer": "adam", "lr": 1e-4} if descends(name) else {}
    for key, known in program.hyperparameters.items():
        values = (
            known.choices or [v for v in (known.low, known.high, known.default) if v is not None] or [None]
        )
        configs = {v: copy.copy(base) | {key: v} for v in values}
        fine = [v for v, c in configs.items() if not program.check(c) and not program.obstacles(c)]
        assert fine, f"no value of {key} is accepted: {program.check(base | {key: values[0]})}"
        for value in fine:
            config = base | {key: value}
            if key == "temperature":
                config["optimizer"] = "langevin"
            one_rank(program.task, **config).advance()
