"""The learning-rate range test: it leaves no trace, and finds the edge of what a training bears."""

import copy

import numpy as np
import pytest
import torch

from trainables.classify import Classify
from trainables.engine import Task
from trainables.engine.lr_range import Curve, curve, walk

STEEP = 8.0
"""Curvature of the bowl: plain gradient descent diverges with learning rates above 2 / 8."""


class Bowl(Task):
    """loss = 4 w^2 in 16 dimensions, whatever the sample."""

    metrics = ("train_loss",)
    metric = ("train_loss", "min")

    def setup(self):
        self.train = torch.utils.data.TensorDataset(torch.zeros(64, 1))

    def build(self):
        model = torch.nn.Linear(16, 1, bias=False)
        torch.nn.init.ones_(model.weight)
        return model

    def loss(self, model, batch):
        return STEEP / 2 * model.weight.square().sum()

    def evaluate(self, model, ranks):
        return {}


def everything(engine):
    return copy.deepcopy(engine.state_dict())


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize(
    "config",
    [
        {"optimizer": "adamw", "ema_decay": 0.9, "dropout": 0.2},
        {"optimizer": "momentum", "norm": "batch", "clip": 1.0, "accumulate": 2, "schedule": "cosine"},
    ],
)
def test_a_training_goes_on_as_if_there_had_been_no_range_test(one_rank, config):
    config |= {"model": "mlp" if "dropout" in config else "resnet", "width": 8, "report_every": 4, "lr": 0.01}
    tested, untested = one_rank(Classify, **config), one_rank(Classify, **config)
    assert len(list(walk(tested, steps=10))) > 5  # before the first step, where moments are empty
    for engine in (tested, untested):
        engine.advance()
    before = everything(tested)
    found = walk(tested, high=1.0, steps=12)
    for _ in range(6):
        next(found)
    assert not same(everything(tested), before)
    found.close()  # interrupted in the middle
    assert same(everything(tested), before)
    assert tested.task.config == untested.task.config
    assert tested.advance()["train_loss"] == untested.advance()["train_loss"]
    assert same(everything(tested), everything(untested))


def test_the_largest_learning_rate_proposed_is_just_below_where_gradient_descent_diverges(one_rank):
    """On a bowl that is known to be 2 / curvature; the loss must first grow from where it had fallen to."""
    engine = one_rank(Bowl, optimizer="sgd", epochs=1000, batch_size=8)
    low, high = curve(list(walk(engine, steps=200))).proposed
    assert 0.5 * 2 / STEEP < high < 1.5 * 2 / STEEP
    assert low == high / 100


def test_a_blown_up_loss_ends_the_test_and_learning_rates_are_evenly_spaced(one_rank):
    engine = one_rank(Bowl, optimizer="sgd", epochs=1000, batch_size=8)
    lrs = [lr for lr, _ in walk(engine, low=1e-4, high=1e4, steps=81)]
    assert lrs[:3] == pytest.approx([1e-4, 10**-3.9, 10**-3.8])
    assert 2 / STEEP < lrs[-1] < 100


def test_where_the_loss_never_falls_nothing_is_proposed():
    rising = Curve(lrs=tuple(np.geomspace(1e-3, 1, 20)), losses=tuple(np.linspace(1, 2, 20)))
    assert rising.best is None
    assert rising.proposed is None


def test_wrong_ranges_are_named(one_rank):
    engine = one_rank(Bowl, batch_size=8)
    with pytest.raises(ValueError, match=r"from 1 to 0\.1; give 0 < low < high"):
        next(walk(engine, low=1, high=0.1))
    with pytest.raises(ValueError, match="5 steps are too few"):
        next(walk(engine, steps=5))
