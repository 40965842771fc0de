"""The gradient noise scale against a problem where it is known; steps are the same measured or not."""

import numpy as np
import pytest
import torch

from trainables.classify import Classify
from trainables.engine import Task
from trainables.engine.noise_scale import NoiseScale

DIMENSIONS, DEVIATION = 5, 0.7


class Points(Task):
    """loss = |w - x|^2, x normal around 1: a gradient is 2 (w - x), its covariance has the trace 4 d s^2."""

    metrics = ("train_loss",)
    metric = ("train_loss", "min")

    def setup(self):
        rng = np.random.default_rng(1)
        self.points = (1 + DEVIATION * rng.standard_normal((8_000, DIMENSIONS))).astype(np.float32)
        self.train = (self.points,)

    def build(self):
        model = torch.nn.Linear(DIMENSIONS, 1, bias=False)
        torch.nn.init.zeros_(model.weight)
        return model

    def loss(self, model, batch):
        return (model.weight - batch[0]).square().sum(1).mean()

    def evaluate(self, model, ranks):
        return {}


def test_two_equations_by_hand():
    """|G|^2 = 3 and tr(S) = 8: gradients over 2 samples have 3 + 8/2 = 7, over 8 samples 3 + 8/8 = 4."""
    noise = NoiseScale()
    noise.add(parts=7.0, inverse=1 / 2, whole=4.0, samples=8)
    assert noise.report() == {"grad_variance": 8.0, "grad_square": 3.0, "noise_scale": 8.0 / 3.0}
    noise.add(parts=7.0, inverse=1 / 2, whole=4.0, samples=8)
    assert noise.report()["noise_scale"] == pytest.approx(8 / 3)
    assert NoiseScale().report() == {}


def test_without_a_signal_there_is_no_noise_scale():
    noise = NoiseScale()
    noise.add(parts=1.0, inverse=1.0, whole=0.1, samples=4)  # |G|^2 comes out below 0
    assert "noise_scale" not in noise.report()
    assert noise.report()["grad_square"] < 0


@pytest.mark.parametrize(("batch_size", "accumulate"), [(4, 2), (10, 5), (64, 3)])
def test_it_is_that_of_a_known_gradient(one_rank, batch_size, accumulate):
    """Without steps (lr 0) at w = 0. Over 200 steps the estimate's deviation is 5 % or less: 20 % are
    four of them, a false alarm in 16,000."""
    config = {"batch_size": batch_size, "accumulate": accumulate, "report_every": 200, "noise_steps": 200}
    engine = one_rank(Points, optimizer="sgd", lr=0.0, **config)
    report = engine.advance()
    points = engine.task.points
    signal = 4 * float(np.square(points.mean(0)).sum())
    variance = 4 * float(points.var(0).sum())
    assert report["grad_variance"] == pytest.approx(variance, rel=0.2)
    assert report["grad_square"] == pytest.approx(signal, rel=0.2)
    assert report["noise_scale"] == pytest.approx(variance / signal, rel=0.2)


def test_a_measured_step_is_the_step(one_rank):
    """Passes are added in the same order, measured or not: bit for bit equal weights."""
    config = {"model": "conv", "width": 8, "batch_size": 20, "accumulate": 3, "clip": 0.5, "report_every": 4}
    plain, measured = one_rank(Classify, **config), one_rank(Classify, noise_steps=2, **config)
    a, b = plain.advance(), measured.advance()
    assert b.keys() - a.keys() <= {"grad_variance", "grad_square", "noise_scale"}
    assert {"grad_variance", "grad_square"} <= b.keys()
    assert (a["train_loss"], a["grad_norm"]) == (b["train_loss"], b["grad_norm"])
    for ours, theirs in zip(plain.model.parameters(), measured.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("model", ["conv", "mlp"])
def test_accumulated_small_batches_take_the_steps_of_the_large_batch(one_rank, model):
    """No batch normalisation in either: 16 x 8 samples and 128 at once, up to the rounding of sums."""
    config = {"model": model, "width": 8, "lr": 0.05, "report_every": 5, "epochs": 3, "seed": 2}
    large = one_rank(Classify, batch_size=128, **config)
    small = one_rank(Classify, batch_size=16, accumulate=8, **config)
    for _ in range(4):
        a, b = large.advance() | large.evaluate(), small.advance() | small.evaluate()
        assert (a["steps"], a["epoch"], a["done"]) == (b["steps"], b["epoch"], b["done"])
        assert b["train_loss"] == pytest.approx(a["train_loss"], rel=1e-4)
        assert b["val_loss"] == pytest.approx(a["val_loss"], rel=1e-4)
    for ours, theirs in zip(large.model.parameters(), small.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_one_pass_of_one_rank_has_no_noise_scale_and_says_how_to_get_it(one_rank):
    with pytest.raises(ValueError, match=r"noise_steps is 4.*Use accumulate=2 and half the batch_size"):
        one_rank(Points, batch_size=8, noise_steps=4)


def test_two_ranks_measure_what_one_does(new_crew, one_rank):
    """The same passes in other parts: 4 parts of 8 samples a step, not 2 of 16; the step is the same."""
    config = {
        "model": "mlp", "width": 8, "optimizer": "sgd", "lr": 0.05, "batch_size": 16, "accumulate": 2,
        "report_every": 30, "noise_steps": 30, "epochs": 50,
    }  # fmt: skip
    crew = new_crew("classify", ranks=2)
    crew.all("build", config)
    two = crew.all("advance")
    one = one_rank(Classify, **config).advance()
    assert two[0]["train_loss"] == pytest.approx(one["train_loss"], rel=1e-5)
    assert two[0]["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
    assert two[0]["grad_variance"] == two[1]["grad_variance"]
    assert two[0]["grad_variance"] == pytest.approx(one["grad_variance"], rel=0.3)
    crew.all("build", config | {"accumulate": 1, "batch_size": 32})  # two parts a step: the ranks'
    ranks_alone = crew.all("advance")[0]
    assert ranks_alone["train_loss"] == pytest.approx(one["train_loss"], rel=1e-5)
    assert ranks_alone["grad_variance"] == pytest.approx(one["grad_variance"], rel=0.3)
