"""Diffusion models: `ddpm` on discrete noise levels, `sde` on continuous paths with exact likelihoods.

Both train a small U-Net on digits or CIFAR-10 and judge images that they draw: `fcd` is the Frechet distance
to real images on features of a classifier of our own (trainables.quality).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trainables.denoising import drawing, samplers
from trainables.denoising.datasets import CLASSES, SHAPES, Noised, Shape, splits, stratified
from trainables.denoising.denoiser import PREDICTIONS, Denoise, Denoiser
from trainables.denoising.described import describe
from trainables.denoising.guidance import by_classifier
from trainables.denoising.likelihood import bits_per_dim, log_likelihood
from trainables.denoising.paths import PATHS, Path, Steps
from trainables.denoising.settings import Diffusion, missing_data, refuse
from trainables.engine import Task, hyper
from trainables.engine.ddp import Ranks
from trainables.nets.unet import UNet
from trainables.registry import register

PICTURES = 64
LogProbability = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x, t, labels) to log p(label | x at time t), shape (n,)."""


class Diffusing(Task):
    """Mean squared error of the prediction; loss at fixed noise levels, and the quality of drawn images."""

    metric = ("fcd", "min")
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "fcd")
    name: ClassVar[str]
    """As it is registered, which its checkpoints say."""
    dequantise: ClassVar[bool] = False
    """Whether images get noise of one grey level, and a density with it."""
    config: Any

    def setup(self) -> None:
        """Open the dataset; CIFAR-10 is decoded once on each node."""
        c = self.config
        train, self.val, self._test = splits(c.dataset, c.data)
        self.train = Noised(train, self.shape, self.dequantise, mirror=c.dataset == "cifar10")

    @property
    def shape(self) -> Shape:
        """Of the dataset's images."""
        return SHAPES[self.config.dataset]

    def path(self) -> Path:
        """From data to noise."""
        raise NotImplementedError

    def settings(self) -> drawing.Settings:
        """How images are drawn."""
        raise NotImplementedError

    def build(self) -> Denoiser:
        """A U-Net that predicts what the config says."""
        c, shape = self.config, self.shape
        net = UNet(
            shape.channels, shape.side, c.width, c.channel_multipliers(), blocks=c.blocks,
            attention=c.attention, dropout=c.dropout, classes=CLASSES if c.conditional else 0,
        )  # fmt: skip
        return Denoiser(net, self.path(), c.prediction, shape.deviation, describe(self.name, c))

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The denoiser's, at the times and with the noise of the batch."""
        assert isinstance(model, Denoiser)
        x, y, u, eps = batch
        c = self.config
        label = torch.where(u[:, 1] < c.label_drop, CLASSES, y) if c.conditional else None
        return model.loss(x, model.path.draw(u[:, 0]), eps, label)

    def held_out(self, model: nn.Module, batch: Any) -> Tensor:
        """The same with every class told, fixed noise, and one time in each of n equal parts."""
        assert isinstance(model, Denoiser)
        x, y = batch
        if self.dequantise:
            x = x + self.shape.bin_width * torch.rand_like(x)
        t = model.path.draw(stratified(len(x), x.device))
        return model.loss(x, t, torch.randn_like(x), y if self.config.conditional else None)

    def evaluate(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """Held-out loss, and `samples` images judged."""
        from trainables.quality import distances

        images, labels = self.draw(model, ranks, self.config.samples)
        found = distances.quality(images, labels if self.config.conditional else None, self.config.dataset)
        return Task.evaluate(self, model, ranks) | found

    def pictures(self, model: nn.Module, ranks: Ranks) -> Mapping[str, Tensor]:
        """Images drawn; a conditional network's are 0 to 9 in turn."""
        return {"samples": (self.draw(model, ranks, PICTURES)[0] + 1) / 2}

    def draw(
        self, model: nn.Module, ranks: Ranks, count: int, settings: drawing.Settings | None = None,
        classifier: LogProbability | None = None, scale: float = 0.0,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """So many images with the values that pixels can have, and the classes asked for.

        Args:
            settings: None for the config's.
            classifier: guides towards the classes by `scale` times its gradient.
        """
        assert isinstance(model, Denoiser)
        denoiser, how = model, settings or self.settings()
        labels = torch.arange(count, device=ranks.device) % CLASSES

        def guess_of(rows: slice) -> Denoise:
            wanted = labels[rows]
            guess = drawing.guesses(denoiser, wanted if self.config.conditional else None, how.guidance)
            if classifier is None:
                return guess
            return by_classifier(guess, lambda x, t: classifier(x, t, wanted), denoiser.path, scale)

        side = (self.shape.channels, self.shape.side, self.shape.side)
        images = drawing.draw(guess_of, denoiser.path, ranks, side, count, how)
        return self.shape.quantised(images - self.dequantise * self.shape.bin_width / 2), labels

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """CIFAR-10's files missing."""
        return missing_data(config)


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscreteDiffusion(Diffusion):
    """Hyperparameters of `ddpm`."""

    noise_schedule: str = hyper(
        "cosine", "How noise grows over the levels.", choices=("linear", "cosine"), group="model"
    )
    timesteps: int = hyper(1000, "Noise levels T.", low=100, high=1000, group="model")
    prediction: str = hyper("eps", "What the network predicts.", choices=("eps", "x0", "v"), group="model")
    eta: float = hyper(
        0.0, "Noise that DDIM adds on its way: 0 none, 1 as much as DDPM.", low=0.0, high=1.0, group="sampler"
    )

    def __post_init__(self) -> None:
        Diffusion.__post_init__(self)
        refuse(
            ("timesteps", self.timesteps, self.timesteps >= 20, "at least 20"),
            ("steps", self.steps, self.steps <= self.timesteps, f"at most {self.timesteps}, the `timesteps`"),
            ("eta", self.eta, 0 <= self.eta <= 1, "in [0, 1]"),
        )


@register("ddpm")
class Ddpm(Diffusing):
    """Ho et al. 2020 (arXiv:2006.11239); images are drawn by DDIM (Song et al. 2021, arXiv:2010.02502)."""

    Config = DiscreteDiffusion
    name = "ddpm"
    config: DiscreteDiffusion

    def path(self) -> Path:
        """The discrete levels."""
        return Steps(self.config.noise_schedule, self.config.timesteps)

    def settings(self) -> drawing.Settings:
        """DDIM; with eta 1 and as many steps as there are levels it is DDPM's ancestral sampling."""
        c = self.config
        return drawing.Settings(sampler="ddim", steps=c.steps, eta=c.eta, guidance=c.guidance)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinuousDiffusion(Diffusion):
    """Hyperparameters of `sde`."""

    path: str = hyper(
        "vp", "From data to noise: variance preserving, sub-VP, cosine, variance exploding, EDM's, straight.",
        choices=tuple(PATHS), group="model",
    )  # fmt: skip
    prediction: str = hyper("edm", "What the network predicts.", choices=PREDICTIONS, group="model")
    sampler: str = hyper(
        "heun", "The ODE by Heun (two passes a step) or by Euler, which is ddim; or the reverse sde.",
        choices=samplers.SAMPLERS, group="sampler",
    )  # fmt: skip
    likelihood_steps: int = hyper(
        50, "Steps of the ODE by which test images are given their likelihood at the end; 0: they are not.",
        low=20, high=500, log=True, group="sampler",
    )  # fmt: skip

    def __post_init__(self) -> None:
        Diffusion.__post_init__(self)
        refuse(
            (
                "prediction",
                self.prediction,
                self.path != "flow" or self.prediction != "eps",
                "v or flow for the path flow, where eps says nothing of the image at its end",
            ),
            (
                "sampler",
                self.sampler,
                self.path != "flow" or self.sampler != "sde",
                "heun or ddim for the path flow, at whose end no data is left",
            ),
            ("likelihood_steps", self.likelihood_steps, self.likelihood_steps >= 0, "at least 0"),
        )


@register("sde")
class Sde(Diffusing):
    """Song et al. 2021 (arXiv:2011.13456), and with path and prediction edm Karras et al. 2022.

    Images are dequantised in training, so that they have a density: the last report has
    `test_bits_per_dim`, of the probability-flow ODE, its divergence estimated with one probe an image.
    """

    Config = ContinuousDiffusion
    name = "sde"
    dequantise = True
    config: ContinuousDiffusion

    def path(self) -> Path:
        """The one that the config names."""
        return PATHS[self.config.path]()

    def settings(self) -> drawing.Settings:
        """The sampler that the config names."""
        c = self.config
        return drawing.Settings(sampler=c.sampler, steps=c.steps, guidance=c.guidance)

    def test(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """Bits that a pixel of a test image costs, up to the noise at the path's start."""
        if not self.config.likelihood_steps:
            return {}
        assert isinstance(model, Denoiser)
        shape = self.shape

        def measure(batch: Any) -> dict[str, Tensor]:
            x, y = batch
            x = x + shape.bin_width * torch.rand_like(x)
            guess = drawing.guesses(model, y if self.config.conditional else None)
            log_density = log_likelihood(guess, model.path, x, self.config.likelihood_steps, probes=1)
            return {"test_bits_per_dim": bits_per_dim(log_density, shape.dimensions, shape.bin_width).mean()}

        return ranks.mean(self._test, measure)
