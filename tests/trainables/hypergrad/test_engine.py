"""The training loop's report of derivatives: against finite differences of whole trainings, over ranks, after
a resume, and when there are none."""

import math
from dataclasses import dataclass

import pytest
import torch

import trainables
from trainables.engine import Task, Training, checkpoint, hyper
from trainables.engine.ddp import Ranks
from trainables.engine.loop import Loop
from trainables.engine.parts import Parts, spread

T, D = 12, 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings(Training):
    noise: float = hyper(0.1, "Of the inputs.")
    weight: Parts = hyper(1.0, "Of the samples.")


class Curve(Task):
    """A small network in double precision on noisy inputs, its samples weighted by groups."""

    Config = Settings
    differentiable = ("noise", "weight")

    def setup(self):
        g = torch.Generator().manual_seed(1)
        x = torch.randn(60, D, generator=g, dtype=torch.float64)
        y = torch.sin(x[:, 0]) + x[:, 1] * x[:, 2]
        self.train, self.val = (x[:40], y[:40], torch.arange(40)), (x[40:], y[40:], torch.arange(20))

    def build(self):
        return torch.nn.Sequential(torch.nn.Linear(D, 6), torch.nn.Tanh(), torch.nn.Linear(6, 1)).double()

    def loss(self, model, batch):
        x, y, number = batch
        found = model(x + self.config.noise * torch.randn_like(x))[:, 0]
        return (spread(self.config.weight, 40).to(x)[number] * (found - y).square()).mean()

    def held_out(self, model, batch):
        x, y, _ = batch
        return (model(x)[:, 0] - y).square().mean()


BASE = {"batch_size": 10, "epochs": 3, "noise": 0.1, "weight": {"0": 1.0, "1": 0.5}, "weight_decay": 0.01}
BASE |= {"seed": 3}
CASES = {
    "sgd, schedule": {"optimizer": "sgd", "lr": 0.1, "schedule": "cosine", "warmup_steps": 2},
    "momentum, parts": {
        "optimizer": "momentum",
        "lr": {"0": 0.05, "1": 0.03, "2": 0.02},
        "momentum": {"0": 0.5, "1": 0.8},
        "weight_decay": {"0": 0.01, "1": 0.03},
    },
    "adam, clipped": {"optimizer": "adam", "lr": 0.02, "clip": 0.5},
    "adamw, accumulated": {"optimizer": "adamw", "lr": 0.02, "beta1": 0.7, "beta2": 0.95, "accumulate": 2},
    "langevin": {"optimizer": "langevin", "lr": 0.05, "temperature": 0.1},
}


def finish(engine):
    report = {}
    while not report.get("done"):
        report = engine.advance() | engine.evaluate()
    return report


def slopes(report):
    named = {k.removeprefix("hypergrad/"): v for k, v in report.items() if k.startswith("hypergrad/")}
    return {k: v for k, v in named.items() if k[0] != "_"}


def moved(config, name, by):
    key, _, part = name.partition(".")
    if not part:
        value = config.get(key, {"beta1": 0.9, "beta2": 0.999}.get(key, 0.9))
        return config | {key: value + by}
    return config | {key: config[key] | {part: config[key][part] + by}}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_derivative_is_that_of_finite_differences_of_whole_trainings(case, one_rank):
    config = BASE | case
    found = slopes(finish(one_rank(Curve, **config, hypergrad=1)))
    assert {"noise", "weight.0", "weight.1"} < found.keys()
    for name, slope in found.items():
        h = 1e-5
        ends = [finish(one_rank(Curve, **moved(config, name, sign * h)))["val_loss"] for sign in (1, -1)]
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-7, abs=1e-7), name


def test_which_derivatives_there_are_follows_from_the_optimiser(one_rank):
    reports = {name: finish(one_rank(Curve, **BASE | case, hypergrad=1)) for name, case in CASES.items()}
    got = {name: set(slopes(report)) for name, report in reports.items()}
    own = {"noise", "weight.0", "weight.1"}
    assert got["sgd, schedule"] == own | {"lr", "weight_decay"}
    assert got["momentum, parts"] == own | {
        *("lr.0", "lr.1", "lr.2"), *("momentum.0", "momentum.1"), *("weight_decay.0", "weight_decay.1")
    }  # fmt: skip
    assert got["adam, clipped"] == own | {"lr", "weight_decay", "clip", "beta1", "beta2"}
    assert got["langevin"] == own | {"lr", "weight_decay", "temperature"}


def test_training_itself_is_the_loops(one_rank):
    plain, derived = (one_rank(Curve, **BASE, hypergrad=n) for n in (0, 1))
    a, b = finish(plain), finish(derived)
    assert {k: b[k] for k in a if k not in ("seconds", "images_per_s")} == {
        k: v for k, v in a.items() if k not in ("seconds", "images_per_s")
    }
    assert b["hypergrad/_horizon"] == T
    assert b["hypergrad/_norm"] == pytest.approx(math.hypot(*slopes(b).values()))


def test_a_resumed_run_reports_the_same_derivatives(one_rank):
    """It trains with torch's optimiser and recomputes with pure updates: equal but for rounding."""
    config = BASE | CASES["adamw, accumulated"]
    whole = one_rank(Curve, **config, hypergrad=1)
    whole.advance(), whole.evaluate()
    state = checkpoint.pack(whole.state_dict())
    expected = slopes(finish(whole))
    resumed = one_rank(Curve, **config, hypergrad=1)
    resumed.load_state_dict(checkpoint.unpack(state))
    assert slopes(finish(resumed)) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_run_under_two_configurations_reports_none(one_rank):
    engine = one_rank(Curve, **BASE, hypergrad=1)
    engine.advance(), engine.evaluate()
    state = checkpoint.pack(engine.state_dict())
    other = one_rank(Curve, **BASE | {"lr": 0.02}, hypergrad=1)
    other.load_state_dict(checkpoint.unpack(state))
    engine.mutate(BASE | {"lr": 0.02, "hypergrad": 1})
    for one in (engine, other):
        assert not slopes(finish(one))


def test_several_seeds_give_their_mean_and_how_far_they_agree(one_rank):
    seeds = ({"seed": 3}, {"seed": 3 + 1_000_003})
    each = [slopes(finish(one_rank(Curve, **BASE | seed, hypergrad=1))) for seed in seeds]
    report = finish(one_rank(Curve, **BASE, hypergrad=2))
    mean = {name: (each[0][name] + each[1][name]) / 2 for name in each[0]}
    assert slopes(report) == pytest.approx(mean, rel=1e-6, abs=1e-9)
    a, b = (torch.tensor(list(one.values())) for one in each)
    cosine = float(a @ b / a.norm() / b.norm())
    assert report["hypergrad/_agreement"] == pytest.approx(cosine, abs=1e-5)


class Normed(Curve):
    def build(self):
        return torch.nn.Sequential(torch.nn.BatchNorm1d(D), torch.nn.Linear(D, 1)).double()


@pytest.mark.parametrize(
    ("task", "setting", "reason"),
    [
        (Normed, {}, "batch normalisation in the model.*Use another normalisation"),
        (Curve, {"ema_decay": 0.9}, "an average of the weights"),
        (Curve, {"precision": "bf16"}, "arithmetic other than fp32"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_what_has_no_derivative_is_refused_where_it_is_set_and_trains_plainly_where_a_search_asked(
    task, setting, reason, one_rank
):
    config = BASE | setting
    with pytest.raises(ValueError, match=f"hypergrad is set, and there is {reason}"):
        one_rank(task, **config, hypergrad=1)
    made = task(Settings(**config))
    made.asides = {"_hypergrad_of": "val_loss"}
    made.setup()
    assert type(made.engine(Ranks(0, 1, torch.device("cpu")))) is Loop


@pytest.mark.parametrize(
    ("asides", "there"),
    [
        ({}, False),
        ({"_hypergrad_of": "val_loss"}, True),
        ({"_hypergrad_of": "val_loss", "_hypergrad_if_below": None}, True),
        ({"_hypergrad_of": "val_loss", "_hypergrad_if_below": 1e-9}, False),
        ({"_hypergrad_of": "val_accuracy"}, False),
    ],
)
def test_a_search_asks_for_derivatives_of_val_loss_and_may_set_a_threshold(asides, there):
    task = Curve(Settings(**BASE))
    task.asides = asides
    task.setup()
    assert bool(slopes(finish(task.engine(Ranks(0, 1, torch.device("cpu")))))) is there


def test_two_ranks_report_the_derivatives_of_one(one_rank, new_crew):
    config = {
        "epochs": 2, "samples": 100, "batch_size": 25, "mislabelled": 0.2, "label_smoothing": 0.1,
        "shift": 0.3, "contrast": 0.1, "input_noise": 0.2, "dropout": {"0": 0.1, "1": 0.3},
        "hypergrad": 1, "data_weight": {str(i): 1.0 for i in range(4)}, "lr": {"0": 0.1, "1": 0.05},
        "report_every": 8,
    }  # fmt: skip
    alone = slopes(finish(one_rank(trainables.load("unrolled").task, **config)))
    crew = new_crew("unrolled", ranks=2)
    crew.all("build", config)
    crew.all("advance")
    for report in crew.all("evaluate"):
        assert slopes(report) == pytest.approx(alone, rel=1e-5, abs=1e-5)
    for place in ("lr.0", "data_weight.3", "label_smoothing", "shift", "input_noise", "dropout.1"):
        assert abs(alone[place]) > 1e-4  # there is something to agree on


def test_a_search_may_give_a_trial_a_seed_of_its_own(new_crew):
    crew = new_crew("unrolled", ranks=1)
    losses = []
    for seeds in ({"seed": 5}, {"seed": 1, "_seed": 5}, {"seed": 1}):
        crew.all("build", {"samples": 100, "report_every": 2} | seeds)
        losses.append((crew.all("advance")[0] | crew.all("evaluate")[0])["val_loss"])
    assert losses[0] == losses[1] != losses[2]
