"""A variational autoencoder of small images, in whose latents `latent_diffusion` works."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from trainables.denoising.datasets import SHAPES, Noised, splits
from trainables.denoising.described import Described, describe
from trainables.denoising.settings import OnImages, halvable, missing_data, refuse
from trainables.engine import Task, hyper, pictures
from trainables.engine.ddp import Ranks
from trainables.nets.autoencoder import Autoencoder
from trainables.registry import register

PICTURES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Autoencoding(OnImages):
    """Hyperparameters of `autoencoder`."""

    width: int = hyper(
        16, "Channels at the full side, a multiple of 8.", low=16, high=64, log=True, group="model"
    )
    halvings: int = hyper(1, "How often the side is halved.", low=1, high=2, group="model")
    latent_channels: int = hyper(2, "Numbers for each pixel of the latents.", low=1, high=4, group="model")
    kl: float = hyper(
        1e-3, "Weight of the divergence from a standard normal, beside the squared error of a pixel.",
        low=1e-6, high=1e-1, log=True, group="reg", mutable=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        OnImages.__post_init__(self)
        shape = SHAPES.get(self.dataset, SHAPES["digits"])
        refuse(
            ("width", self.width, self.width >= 8 and self.width % 8 == 0, "a multiple of 8"),
            ("kl", self.kl, self.kl >= 0, "at least 0"),
            ("latent_channels", self.latent_channels, self.latent_channels >= 1, "at least 1"),
            halvable(self.halvings, shape.side),
        )
        latents, most = self.latent_channels * (shape.side // 2**self.halvings) ** 2, shape.dimensions
        few = f"fewer: {latents} latents are more than the {most} numbers of an image"
        refuse(("latent_channels", self.latent_channels, latents <= most, few))


class Latents(Described):
    """An autoencoder that its checkpoint describes."""

    def __init__(self, task: Task) -> None:
        super().__init__(describe("autoencoder", task.config))
        c = task.config
        self.net = Autoencoder(SHAPES[c.dataset].channels, c.latent_channels, c.width, c.halvings)
        self.distribution, self.encode, self.decode = self.net.distribution, self.net.encode, self.net.decode


@register("autoencoder")
class Autoencodes(Task):
    """Squared error and divergence; `psnr` of held-out images, 10 log10(4 / squared error) dB."""

    Config = Autoencoding
    metric = ("psnr", "max")
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "psnr")
    config: Autoencoding

    def setup(self) -> None:
        """Open the dataset; CIFAR-10 is decoded once on each node."""
        c = self.config
        train, self.val, _ = splits(c.dataset, c.data)
        self.train = Noised(train, SHAPES[c.dataset], mirror=c.dataset == "cifar10")

    def build(self) -> nn.Module:
        """The network."""
        return Latents(self)

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """With one draw of the latents for each image."""
        assert isinstance(model, Latents)
        x, _, _, eps = batch
        mean, log_variance = model.distribution(x)
        eps = eps.flatten(1)[:, : mean[0].numel()].view_as(mean)
        error = (model.decode(mean + (log_variance / 2).exp() * eps) - x).square().mean()
        return error + self.config.kl * _divergence(mean, log_variance) / x[0].numel()

    def evaluate(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """Of the latents' means."""
        assert isinstance(model, Latents)

        def measure(batch: Any) -> dict[str, Tensor]:
            x, _ = batch
            mean, log_variance = model.distribution(x)
            error = (model.decode(mean).clamp(-1, 1) - x).square().mean()
            loss = error + self.config.kl * _divergence(mean, log_variance) / x[0].numel()
            return {"val_loss": loss, "error": error}

        found = ranks.mean(self.val, measure)
        return {"val_loss": found["val_loss"], "psnr": 10 * math.log10(4 / max(found["error"], 1e-12))}

    def pictures(self, model: nn.Module, ranks: Ranks) -> Mapping[str, Tensor]:
        """Held-out images, each row followed by what comes back of it."""
        assert isinstance(model, Latents)
        x, _ = self.val.batch(np.arange(PICTURES), None, ranks.device)
        return {"reconstructions": (pictures.compared(x, model.decode(model.encode(x))) + 1) / 2}

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """CIFAR-10's files missing."""
        return missing_data(config)


def _divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats an image (Kingma & Welling 2014, appendix B)."""
    each = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return each.flatten(1).sum(1).mean()
