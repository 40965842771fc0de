"""Flow matching: what it learns is the straight path's speed, and the flow's density is exact.

That Euler's method along the path is DDIM, and that the ODE gives a Gaussian its density, is proved in
denoising/test_samplers.py and denoising/test_likelihood.py, for this path too.
"""

import math

import numpy as np
import pytest
import torch

from trainables.denoising import described
from trainables.denoising.paths import Flow
from trainables.diffusion import Sde
from trainables.engine import checkpoint, data, hparams
from trainables.engine.ddp import Ranks
from trainables.flow_matching import FlowMatching
from trainables.quality import trivial

CPU = torch.device("cpu")


@pytest.fixture
def built():
    """Task and a new network, whose last layer is zero: the speed 0 everywhere."""
    task = FlowMatching(hparams.make(FlowMatching.Config, {"likelihood_steps": 20}))
    task.setup()
    torch.manual_seed(0)
    return task, task.build()


def test_the_loss_is_the_squared_error_of_the_speed_from_image_to_noise(built):
    """Of speed 0, and of speed 1 everywhere, by hand; both equal within rounding."""
    task, model = built
    batch = task.train.batch(np.arange(20), data.bits(0, 0, 20), CPU)
    x, _, _, eps = batch
    for speed in (0.0, 1.0):
        torch.nn.init.constant_(model.net.last[2].bias, speed)
        with torch.no_grad():
            found = float(task.loss(model, batch))
        assert found == pytest.approx(float((speed - (eps - x)).square().mean()), rel=1e-5)


def test_a_flow_that_moves_nothing_has_the_density_of_the_noise(built):
    """Bits of N(0, 1) for 40 images x + u, u in [0, 1/8): the mean of (x + u)^2 is x^2 + x/8 + 1/192.

    The draws of u move the mean over 2,560 pixels by 5 standard errors, 0.003 bits, once in a million times.
    """
    task, model = built
    x, y = task._test.batch(np.arange(40), None, CPU)
    task._test = data.Arrays(x, y)
    report = task.test(model, Ranks(0, 1, CPU))
    squares = float((x.square() + x / 8 + 1 / 192).mean())
    bits = (0.5 * squares + 0.5 * math.log(2 * math.pi)) / math.log(2) + 3
    assert report["test_bits_per_dim"] == pytest.approx(bits, abs=0.006)
    gates = trivial.bits_per_dim("digits")
    assert {f"{name}_bits_per_dim": bits for name, bits in gates.items()}.items() <= report.items()


def test_its_checkpoint_is_drawn_from_as_one_of_an_sde_along_the_straight_path(one_rank, tmp_path):
    engine = one_rank(FlowMatching, report_every=1, optimizer="adam")
    checkpoint.write(tmp_path, checkpoint.pack(engine.state_dict()))
    task, model = described.load(tmp_path, {"sde": Sde})
    assert (task.config.path, task.config.prediction) == ("flow", "flow")
    assert isinstance(model.path, Flow)


@pytest.mark.parametrize(("name", "value"), [("path", "vp"), ("prediction", "eps"), ("sampler", "sde")])
def test_what_belongs_to_other_paths_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        hparams.make(FlowMatching.Config, {name: value})


@pytest.mark.slow
def test_it_learns(one_rank):
    """Forty steps: the loss, for the speed 0 the mean square of eps - x_0, 1.67, falls by a third."""
    engine = one_rank(
        FlowMatching, optimizer="adamw", lr=4e-3, batch_size=64, report_every=40, samples=100, steps=5
    )
    engine.model.eval()
    with torch.no_grad():
        before = engine.ranks.mean(
            engine.task.val, lambda batch: {"loss": engine.task.held_out(engine.model, batch)}
        )["loss"]
    assert before == pytest.approx(1.67, abs=0.05)
    engine.advance()
    assert engine.evaluate()["val_loss"] < before * 2 / 3
