"""Flows of digits: dequantisation, the gates beside them, what is drawn; and that they learn."""

import numpy as np
import pytest
import torch

from trainables.engine import hparams
from trainables.engine.ddp import Ranks
from trainables.flow import Nice, RealNvp, Spline, moments
from trainables.quality import trivial

ADAM = {"optimizer": "adam", "lr": 2e-3, "seed": 0, "ema_decay": 0.99}


def test_moments_are_those_of_dequantised_images():
    """Against 20 draws of the noise for each of 1,297 images, which move one of 64 means by 5 standard errors
    in 4 of 100,000 seeds, and a deviation by less than 3 %."""
    task = Nice(hparams.make(Nice.Config, {}))
    task.setup()
    mean, deviation = moments(task._real, 1 / 8)
    x = task._real.batch(np.arange(1297), None, torch.device("cpu"))[0]
    noise = torch.rand(20, *x.shape, generator=torch.Generator().manual_seed(0)) / 8
    drawn = (x[None] + noise).flatten(0, 1)
    assert float((drawn.mean(0) - mean).abs().max()) < 5 * 0.125 / 12**0.5 / 25940**0.5
    torch.testing.assert_close(drawn.std(0), deviation, rtol=0.03, atol=0)


def test_training_images_are_dequantised_within_their_grey_level():
    task = Nice(hparams.make(Nice.Config, {}))
    task.setup()
    bits = np.arange(64, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    rows = np.arange(64)
    noisy = task.train.batch(rows, bits, torch.device("cpu"))[0]
    clean = task._real.batch(rows, None, torch.device("cpu"))[0]
    assert (noisy >= clean).all()
    assert (noisy < clean + 1 / 8).all()
    assert float((noisy - clean).mean()) == pytest.approx(1 / 16, abs=0.002)


@pytest.mark.parametrize(
    ("task", "bar"),
    [
        pytest.param(Nice, 2.95, marks=pytest.mark.slow),
        (RealNvp, 2.75),
        pytest.param(Spline, 2.75, marks=pytest.mark.slow),
    ],
)
def test_six_epochs_take_a_flow_past_independent_pixels_towards_the_gates(task, bar, one_rank):
    """Independent pixels, where all begin, cost 3.36 to 3.49 bits; seed 0."""
    engine = one_rank(task, epochs=6, batch_size=32, layers=4, width=64, samples=0, **ADAM)
    for _ in range(6):
        engine.advance()
    report = engine.evaluate()
    assert report["done"]
    assert report["val_bits_per_dim"] < bar
    assert report["test_bits_per_dim"] == pytest.approx(report["val_bits_per_dim"], abs=0.1)
    for name, bits in trivial.bits_per_dim("digits").items():
        assert report[f"{name}_bits_per_dim"] == bits


def test_images_drawn_are_grey_levels_and_the_same_for_any_number_of_ranks(one_rank):
    engine = one_rank(RealNvp, layers=2, width=16, report_every=1, **ADAM)
    task, model = engine.task, engine.model.eval()
    engine.advance()

    class Second(Ranks):
        """The second of two, whose sum is its own part."""

        def sum(self, tensor):
            return tensor

    with torch.no_grad():
        whole = task.draw(model, Ranks(0, 1, torch.device("cpu")), 300)
        parts = [task.draw(model, Second(rank, 2, torch.device("cpu")), 300) for rank in range(2)]
    levels = (whole + 1) * 8
    assert torch.equal(levels, levels.round())
    assert float(whole.abs().max()) <= 1
    assert torch.equal(parts[0][:128], whole[:128])
    assert torch.equal(parts[1][128:256], whole[128:256])
    assert torch.equal(parts[0][256:], whole[256:])


def test_images_of_an_untrained_flow_lie_around_the_mean_image_on_both_sides(one_rank):
    """Its noise is symmetric: of 1,000 draws of each of the 30 pixels that vary most a half lies above the
    mean, within ten standard errors (measured: 0.501)."""
    engine = one_rank(RealNvp, layers=2, width=16, **ADAM)
    task = engine.task
    with torch.no_grad():
        drawn = task.draw(engine.model.eval(), Ranks(0, 1, torch.device("cpu")), 1000)
    mean, deviation = (each.flatten() for each in moments(task._real, 1 / 8))
    varied = deviation.topk(30).indices
    above = (drawn.flatten(1) > mean - 1 / 16)[:, varied].double().mean()
    assert float(above) == pytest.approx(0.5, abs=0.03)


def test_impossible_values_are_named():
    with pytest.raises(ValueError, match=r"`layers` is 0; .* `samples` is 5; it must be 0, or at least 100"):
        Nice.Config(layers=0, samples=5)
