"""Images as a few numbers of a codebook, and back: VQ-VAE (van den Oord et al. 2017, arXiv:1711.00937)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trainables.denoising.datasets import SHAPES, Shape, splits
from trainables.denoising.settings import OnImages, halvable, missing_data, refuse
from trainables.engine import Task, hyper, pictures
from trainables.engine.data import Dataset
from trainables.engine.ddp import Ranks
from trainables.engine.loop import Loop
from trainables.engine.task import Engine
from trainables.nets.codebook import RULES, Codebook, perplexity
from trainables.quality.psnr import psnr
from trainables.registry import register

PICTURES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorQuantised(OnImages):
    """Hyperparameters of the VQ-VAE."""

    width: int = hyper(64, "Channels of hidden layers.", low=16, high=256, log=True, group="model")
    blocks: int = hyper(1, "Residual blocks of encoder and decoder.", low=1, high=3, group="model")
    halvings: int = hyper(
        2, "How often the side is halved; a number of the codebook stands for 4^halvings pixels.",
        low=1, high=3, group="model",
    )  # fmt: skip
    codes: int = hyper(512, "Vectors in the codebook, K.", low=64, high=1024, log=True, group="model")
    dim: int = hyper(16, "Length of a vector, D.", low=4, high=64, log=True, group="model")
    codebook: str = hyper(
        "ema", "How codes follow what they stand for: as moving averages, or by a loss.",
        choices=RULES, group="model",
    )  # fmt: skip
    beta: float = hyper(
        0.25, "Weight of what holds the encoder to its codes.",
        low=0.1, high=2.0, log=True, group="reg", mutable=True,
    )  # fmt: skip
    decay: float = hyper(
        0.99, "Decay of a code's averages; 0: of this step alone.",
        low=0.9, high=0.999, group="reg", mutable=True,
    )  # fmt: skip
    restart: float = hyper(
        0.1, "Codes used less than this share of the mean use are moved to where there is use; 0: never.",
        low=0.01, high=0.3, log=True, group="reg", mutable=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        OnImages.__post_init__(self)
        refuse(
            ("width", self.width, self.width >= 1, "at least 1"),
            ("blocks", self.blocks, self.blocks >= 0, "at least 0"),
            halvable(self.halvings, self.side),
            ("codes", self.codes, self.codes >= 2, "at least 2"),
            ("dim", self.dim, self.dim >= 1, "at least 1"),
            ("beta", self.beta, self.beta >= 0, "at least 0"),
            ("decay", self.decay, 0 <= self.decay < 1, "in [0, 1)"),
            ("restart", self.restart, 0 <= self.restart < 1, "in [0, 1)"),
            ("hypergrad", self.hypergrad, not self.hypergrad, "0: choices of codes have no derivative"),
        )


class Autoencoder(nn.Module):
    """Encoder, codebook and decoder; latents are images of `dim` channels."""

    def __init__(
        self, channels: int, width: int, blocks: int, halvings: int, dim: int, codebook: Codebook
    ) -> None:
        super().__init__()
        down: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1)]
        for _ in range(halvings):
            down += [nn.ReLU(), nn.Conv2d(width, width, 4, 2, 1)]
        down += [_Residual(width) for _ in range(blocks)]
        self.encode = nn.Sequential(*down, nn.ReLU(), nn.Conv2d(width, dim, 1))
        up: list[nn.Module] = [nn.Conv2d(dim, width, 3, padding=1)]
        up += [_Residual(width) for _ in range(blocks)]
        for _ in range(halvings):
            up += [nn.ReLU(), nn.ConvTranspose2d(width, width, 4, 2, 1)]
        self.decode = nn.Sequential(*up, nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1))
        self.codebook = codebook

    def quantise(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the codebook makes of latents (n, dim, h, w); its numbers have shape (n, h, w)."""
        quantised, *others = self.codebook(latents.permute(0, 2, 3, 1))
        return quantised.permute(0, 3, 1, 2), *others

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Reconstructions (n, channels, side, side); numbers, commitment and pull as in Codebook."""
        quantised, *others = self.quantise(self.encode(x))
        return self.decode(quantised).float(), *others


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *(nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)),
            *(nn.ReLU(), nn.Conv2d(width, width, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.main(x)
        return found


@register("vqvae")
class VqVae(Task):
    """Squared error in units of the data's variance, and what ties codes and encoder together.

    `val_psnr` is the mean over images of 10 log10 (4 / squared error), pixels from -1 to 1;
    `val_perplexity` of at most `codes` says how evenly held-out images use the codebook. The last report has
    `mean_image_psnr`, that of always answering with the mean of the training images.
    """

    Config = VectorQuantised
    metric = ("val_psnr", "max")
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "val_psnr", "val_perplexity")
    config: VectorQuantised
    train: Dataset
    val: Dataset
    _ranks: Ranks | None = None

    def setup(self) -> None:
        """Open the dataset; CIFAR-10 is decoded once on each node."""
        self.train, self.val, self._test = splits(self.config.dataset, self.config.data)

    def engine(self, ranks: Ranks) -> Engine:
        """The loop, whose ranks the codebook adds up over; never one that differentiates training."""
        self._ranks = ranks
        return Loop(self, ranks)

    @property
    def shape(self) -> Shape:
        """Of an image."""
        return SHAPES[self.config.dataset]

    def build(self) -> Autoencoder:
        """Encoder, codebook and decoder."""
        c = self.config
        codebook = Codebook(
            c.codes, c.dim, c.codebook, c.decay, c.restart, passes=c.accumulate,
            over_ranks=self._ranks.sum if self._ranks else lambda tensor: tensor,
        )  # fmt: skip
        return Autoencoder(self.shape.channels, c.width, c.blocks, c.halvings, c.dim, codebook)

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """eq. 3 of the paper; without its second term where codes are moving averages."""
        found, _, commitment, pull = model(batch[0])
        return self._objective(found, batch[0], commitment, pull)

    def _objective(self, found: Tensor, x: Tensor, commitment: Tensor, pull: Tensor) -> Tensor:
        error = (found - x).square().mean() / self.shape.deviation**2
        loss: Tensor = error + self.config.beta * commitment
        return loss + pull if self.config.codebook == "loss" else loss

    def mutate(self, model: nn.Module) -> None:
        """Into the codebook."""
        assert isinstance(model, Autoencoder)
        model.codebook.decay, model.codebook.restart = self.config.decay, self.config.restart

    def evaluate(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """On held-out images."""
        return {f"val_{name}": value for name, value in self._quality(model, self.val, ranks).items()}

    def test(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """On test images; and the PSNR of the training images' mean."""
        from trainables.quality import trivial

        found = {f"test_{name}": value for name, value in self._quality(model, self._test, ranks).items()}
        return found | {"mean_image_psnr": trivial.mean_image_psnr(self.config.dataset, self.config.data)}

    def pictures(self, model: nn.Module, ranks: Ranks) -> Mapping[str, Tensor]:
        """Rows of held-out images, and below each what has become of them."""
        x, *_ = self.val.batch(np.arange(PICTURES), None, ranks.device)
        return {"reconstructions": (pictures.compared(x, model(x)[0]) + 1) / 2}

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """CIFAR-10's files missing."""
        return missing_data(config)

    def _quality(self, model: nn.Module, split: Dataset, ranks: Ranks) -> dict[str, float]:
        used = torch.zeros(self.config.codes, dtype=torch.float64, device=ranks.device)
        sums = torch.zeros(2, dtype=torch.float64, device=ranks.device)
        for (x, *_), weight in ranks.deal(split):
            found, numbers, commitment, pull = model(x)
            each = self._objective(found, x, commitment, pull), psnr(found, x).mean()
            sums += weight * torch.stack(each).double()
            used += weight * torch.bincount(numbers.reshape(-1), minlength=len(used)) / len(x)
        loss, decibels = ranks.sum(sums).tolist()
        return {"loss": loss, "psnr": decibels, "perplexity": float(perplexity(ranks.sum(used)))}
