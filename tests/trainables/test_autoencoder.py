"""The autoencoder whose latents latent diffusion works in."""

import numpy as np
import pytest
import torch

import trainables
from trainables.autoencoder import Autoencodes, Autoencoding, _divergence
from trainables.denoising import described
from trainables.engine import checkpoint, data, hparams
from trainables.engine.ddp import Ranks
from trainables.quality import trivial

CPU = torch.device("cpu")
FAST = {"optimizer": "adamw", "lr": 4e-3, "batch_size": 32, "report_every": 60}


def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def built():
    """`built(**config)`: task and a new network."""

    def build(**config):
        task = Autoencodes(hparams.make(Autoencoding, config))
        task.setup()
        torch.manual_seed(0)
        return task, task.build().eval()

    return build


def test_it_learns_and_its_checkpoint_alone_gives_the_network_back(one_rank, tmp_path):
    """60 steps of 32 images; the mean image has 11.4 dB."""
    engine = one_rank(Autoencodes, **FAST)
    engine.advance()
    assert engine.evaluate()["psnr"] > trivial.mean_image_psnr("digits") + 2
    checkpoint.write(tmp_path, checkpoint.pack(engine.state_dict()))
    _, model = described.load(tmp_path, {"autoencoder": Autoencodes})
    x, _ = engine.task.val.batch(np.arange(4), None, CPU)
    with torch.no_grad():
        torch.testing.assert_close(model.encode(x), engine.model.eval().encode(x), atol=1e-4, rtol=0)


def test_the_divergence_is_that_of_torchs_normals():
    mean, log_variance = torch.randn(2, 5, 2, 4, 4, generator=rng())
    normal = torch.distributions.Normal
    each = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0))
    torch.testing.assert_close(_divergence(mean, log_variance), each.flatten(1).sum(1).mean())


def test_latents_of_a_training_pass_have_the_distribution_that_the_encoder_says(built):
    """A decoder that shows its latents: over 1,200 images each is mean + deviation eps, normal within 5
    standard errors of the mean and of the deviation."""
    task, model = built(kl=0.0)
    seen = []
    model.decode = lambda z: (seen.append(z), torch.zeros(len(z), 1, 8, 8))[1]
    x, y, u, eps = task.train.batch(np.arange(1200), data.bits(0, 0, 1200), CPU)
    with torch.no_grad():
        loss = task.loss(model, (x, y, u, eps))
        mean, log_variance = model.distribution(x)
    drawn = (seen[0] - mean) / (log_variance / 2).exp()
    n = drawn.numel()
    assert abs(float(drawn.mean())) < 5 / n**0.5
    assert abs(float(drawn.std()) - 1) < 5 / (2 * n) ** 0.5
    assert float(loss) == pytest.approx(float(x.square().mean()), rel=1e-5)  # of answering with 0


def test_pictures_are_rows_of_images_and_below_each_what_comes_back(built):
    task, model = built()
    with torch.no_grad():
        pictures = task.pictures(model, Ranks(0, 1, CPU))["reconstructions"] * 2 - 1
        x, _ = task.val.batch(np.arange(8), None, CPU)
        back = model.decode(model.encode(x))
    assert pictures.shape == (64, 1, 8, 8)
    torch.testing.assert_close(pictures[:8], x)
    torch.testing.assert_close(pictures[8:16], back, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"latent_channels": 8}, "128 latents are more than the 64 numbers of an image"),
        ({"width": 20}, "`width` is 20; it must be a multiple of 8"),
        ({"halvings": 4}, "`halvings` is 4; it must be a number of times that a side of 8 can be halved"),
        ({"kl": -1.0}, "`kl` is -1.0; it must be at least 0"),
    ],
)
def test_values_that_cannot_work_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        hparams.make(Autoencoding, config)


def test_missing_photographs_are_an_obstacle(tmp_path):
    (found,) = trainables.load("autoencoder").obstacles({"dataset": "cifar10", "data": str(tmp_path)})
    assert "starling data cifar10" in found
