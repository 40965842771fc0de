"""Latent diffusion: what holds of it whatever the networks have learnt."""

import numpy as np
import pytest
import torch
from torch import nn

import trainables
import trainables.latent_diffusion as module
from trainables.autoencoder import Autoencodes
from trainables.denoising import captions, drawing
from trainables.denoising.datasets import splits
from trainables.denoising.denoiser import Denoiser
from trainables.denoising.paths import Steps
from trainables.engine import checkpoint, data, hparams
from trainables.engine.ddp import Ranks
from trainables.latent_diffusion import LatentDenoiser, LatentDiffusion
from trainables.nets.autoencoder import Autoencoder, freeze
from trainables.nets.unet import UNet

CPU = torch.device("cpu")
ONE = Ranks(0, 1, CPU)


def rng():
    return torch.Generator().manual_seed(0)


class Unchanged(nn.Module):
    """The autoencoder that does nothing."""

    def encode(self, x):
        return x

    decode = encode


class Principal(nn.Module):
    """The best linear autoencoder: `k` principal directions of images (n, d, 1, 1) with this covariance."""

    def __init__(self, mean, covariance, k):
        super().__init__()
        self.mean, self.directions = mean, torch.linalg.eigh(covariance)[1][:, -k:]

    def encode(self, x):
        return ((x.flatten(1) - self.mean) @ self.directions)[:, :, None, None]

    def decode(self, z):
        return (z.flatten(1) @ self.directions.T + self.mean)[:, :, None, None]


class Exact(nn.Module):
    """Guesses x_0 and eps of latents N(0, 1) exactly: what a perfect network would say."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, x, t, label=None, context=None):
        alpha, sigma = self.path.level(t)
        return alpha * x, sigma * x


@pytest.fixture
def built(monkeypatch, tmp_path):
    """`built(**config)`: task and a network whose silent layers speak; the autoencoder is hardly trained."""
    monkeypatch.setenv("STARLING_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "AUTOENCODER", module.AUTOENCODER | {"epochs": 1})

    def build(**config):
        task = LatentDiffusion(hparams.make(LatentDiffusion.Config, {"width": 16, "steps": 3} | config))
        task.setup()
        torch.manual_seed(0)
        model = task.build().eval()
        for p in model.parameters():
            if not p.any():
                nn.init.normal_(p, std=0.1)
        return task, model

    return build


def test_with_an_autoencoder_that_does_nothing_it_is_diffusion_bit_for_bit():
    torch.manual_seed(0)
    net = UNet(1, 8, 16, (1, 2))
    nn.init.normal_(net.last[2].weight, std=0.1)
    denoiser = Denoiser(net, Steps("cosine"), "v", 1.0)
    latent = LatentDenoiser(Unchanged(), torch.zeros(1), torch.ones(1), denoiser)
    x, eps = torch.randn(2, 20, 1, 8, 8, generator=rng())
    t = denoiser.path.draw(torch.linspace(0.1, 0.9, 20))
    assert torch.equal(latent.loss(x, t, eps, None), denoiser.loss(x, t, eps))
    settings = drawing.Settings(steps=4, eta=0.5, clip=False)
    with torch.no_grad():
        z, plain = (
            drawing.draw(lambda rows, g=guess: g, denoiser.path, ONE, (1, 8, 8), 10, settings)
            for guess in (latent.guess(None, 0.0), drawing.guesses(denoiser, None))
        )
    assert torch.equal(latent.decode(z), plain)


def test_gaussian_images_come_back_as_their_principal_part():
    """Encode, standardise, diffuse, decode, with a linear autoencoder and exact guesses.

    The covariance of 5,000 drawn images is the best of rank 2 (Eckart & Young 1936), each entry within 5
    standard errors and 2 % for the steps of DDIM; false alarm below 1e-4 for the 21 entries.
    """
    mean = torch.linspace(-1, 1, 6)
    mix = torch.randn(6, 6, generator=rng())
    covariance = mix @ mix.T
    autoencoder = Principal(mean, covariance, 2)
    values = torch.linalg.eigh(covariance)[0][-2:]
    path = Steps("cosine")
    latent = LatentDenoiser(autoencoder, torch.zeros(2), values.sqrt(), Exact(path))
    settings = drawing.Settings(steps=200, clip=False)
    n = 5_000
    with torch.no_grad():
        z = drawing.draw(lambda rows: latent.guess(None, 0.0), path, ONE, (2, 1, 1), n, settings)
        x = latent.decode(z).flatten(1)
    directions = autoencoder.directions
    wanted = directions @ values.diag() @ directions.T
    spread = (wanted.diag()[:, None] * wanted.diag() + wanted**2).sqrt()
    assert ((torch.cov(x.T) - wanted).abs() < 5 * spread / n**0.5 + 0.02 * spread).all()
    assert ((x.mean(0) - mean).abs() < 5 * wanted.diag().sqrt() / n**0.5 + 1e-4).all()


def test_latents_are_standardised_on_training_images(built):
    task, model = built()
    x, _ = task.train.split.batch(np.arange(1000), None, CPU)
    z = model.encode(x)
    assert z.mean((0, 2, 3)).abs().max() < 1e-4
    torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(z.shape[1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(model.decode(z), model.autoencoder.decode(model.autoencoder.encode(x)))


def test_words_reach_the_image_and_no_words_are_the_unconditional_guess(built):
    _, model = built()
    x, t = torch.randn(2, 2, 4, 4, generator=rng()), torch.tensor(0.5, dtype=torch.float64)
    words = torch.tensor([[1, 3], [2, 3]])
    with torch.no_grad():
        told, _ = model.guess(words, 0.0)(x[:1].expand(2, -1, -1, -1), t)
        nothing, _ = model.guess(torch.zeros_like(words), 0.0)(x, t)
        free, _ = model.guess(words, -1.0)(x, t)
    assert (told[0] - told[1]).abs().max() > 1e-4
    assert torch.equal(nothing, free)


def test_the_autoencoder_is_saved_along_and_never_trained(built):
    task, model = built()
    names = {name for name, _ in model.named_parameters()}
    assert not any("autoencoder" in name for name in names)
    assert any("autoencoder" in name for name in model.state_dict())
    task.loss(model, task.train.batch(np.arange(8), data.bits(0, 0, 8), CPU)).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_words_are_dropped_at_their_rate_and_all_of_an_images_at_once(built):
    """1,297 images at 0.3: within 5 standard errors, false alarm below 1e-6."""
    task, model = built(word_drop=0.3)
    seen = []
    model.words.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        task.loss(model, task.train.batch(np.arange(1297), data.bits(0, 0, 1297), CPU))
    gone = seen[0] == 0
    assert torch.equal(gone[:, 0], gone[:, 1])
    assert abs(float(gone[:, 0].double().mean()) - 0.3) < 5 * (0.3 * 0.7 / 1297) ** 0.5


def test_a_frozen_module_computes_the_same_and_has_nothing_to_train():
    torch.manual_seed(0)
    net = Autoencoder(1, 2, 16, 1)
    x = torch.randn(3, 1, 8, 8, generator=rng())
    with torch.no_grad():
        before = net.decode(net.encode(x))
    state = net.state_dict()
    assert not list(freeze(net).parameters())
    assert torch.equal(net.decode(net.encode(x)), before)
    assert net.state_dict().keys() == state.keys()


def test_captions_words_are_the_tone_and_the_class():
    words = captions.vocabulary("digits")
    said = captions.numbers(torch.tensor([1, 0]), torch.tensor([3, 0]))
    assert [[words[i] for i in one] for one in said] == [["bright", "three"], ["dark", "zero"]]
    assert [words[i] for i in captions.numbers(None, torch.tensor([9]))[0]] == ["nine"]
    assert words[captions.NOTHING] == ""


def test_half_of_the_training_images_are_bright_and_drawn_ones_are_asked_for_both(built):
    task, model = built(samples=100)
    x, _ = task.train.split.batch(np.arange(1000), None, CPU)
    assert int(task._tones(x).sum()) == 500
    with torch.no_grad():
        images, tones, labels = task.draw(model, ONE, 40)
    assert images.shape == (40, 1, 8, 8)
    assert tones.tolist() == ([0] * 10 + [1] * 10) * 2
    assert labels.tolist() == list(range(10)) * 4


def test_drawn_images_do_not_depend_on_the_number_of_ranks(built):
    """Two ranks' parts, put together, are one rank's images."""

    class Half(Ranks):
        def sum(self, tensor):
            return tensor

    task, model = built(steps=2)
    with torch.no_grad():
        z = [_latents(task, model, ranks) for ranks in (ONE, Half(0, 2, CPU), Half(1, 2, CPU))]
    assert torch.equal(z[1] + z[2], z[0])
    assert z[1].any()
    assert z[2].any()


def _latents(task, model, ranks):
    """Those of 200 images, before they are decoded."""
    seen, decode = [], model.decode
    model.decode = lambda z: (seen.append(z), decode(z))[1]
    task.draw(model, ranks, 200)
    model.decode = decode
    return seen[0]


def test_it_takes_a_trained_autoencoder_and_refuses_one_of_other_images(one_rank, tmp_path, monkeypatch):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    engine = one_rank(Autoencodes, optimizer="adamw", lr=4e-3, report_every=3, latent_channels=1)
    engine.advance()
    checkpoint.write(folder, checkpoint.pack(engine.state_dict()))
    program = trainables.load("latent_diffusion")
    assert program.obstacles({"autoencoder": str(folder)}) == []
    task = LatentDiffusion(hparams.make(LatentDiffusion.Config, {"autoencoder": str(folder), "width": 16}))
    task.setup()
    x, _ = task.val.batch(np.arange(5), None, CPU)
    model = task.build()
    expected = engine.model.eval().encode(x).detach()
    torch.testing.assert_close(model.encode(x) * model.scale + model.shift, expected, atol=1e-5, rtol=0)
    monkeypatch.setattr(module, "splits", lambda dataset, data: splits("digits", None))
    other = {"autoencoder": str(folder), "dataset": "cifar10"}
    with pytest.raises(ValueError, match="the autoencoder is of digits, and `dataset` is cifar10"):
        LatentDiffusion(hparams.make(LatentDiffusion.Config, other)).setup()


def test_a_missing_autoencoder_or_missing_photographs_are_obstacles(tmp_path):
    program = trainables.load("latent_diffusion")
    (found,) = program.obstacles({"autoencoder": str(tmp_path)})
    assert found.startswith("`autoencoder`: ")
    photographs, absent = program.obstacles({"dataset": "cifar10", "data": str(tmp_path)})
    assert "starling data cifar10" in photographs
    assert absent == "`autoencoder` is absent; for cifar10 give the checkpoint folder of a trained one."


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"word_drop": 1.5}, r"`word_drop` is 1.5; it must be in \[0, 1\]"),
        ({"steps": 2000}, "`steps` is 2000; it must be at most 1000"),
        ({"eta": 2.0}, r"`eta` is 2.0; it must be in \[0, 1\]"),
        ({"guidance": 1.0, "condition": "none"}, "`guidance` is 1.0; it must be 0 with `condition` none"),
        ({"embedding": 30}, "`embedding` is 30; allowed: 16, 32, 64, 128"),
    ],
)
def test_values_that_cannot_work_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        hparams.make(LatentDiffusion.Config, config)
