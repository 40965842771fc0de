"""Latent diffusion: DDPM in the latents of an autoencoder, told what to draw by cross-attention to words.

Rombach et al. 2022 (arXiv:2112.10752).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trainables.autoencoder import Autoencodes, Latents
from trainables.denoising import captions, described, drawing, reference
from trainables.denoising.datasets import CLASSES, SHAPES, Noised, splits, stratified
from trainables.denoising.denoiser import Denoise, Denoiser
from trainables.denoising.paths import Steps
from trainables.denoising.settings import Drawing, missing_data, refuse
from trainables.engine import Task, checkpoint, hyper
from trainables.engine.ddp import Ranks
from trainables.nets.autoencoder import freeze
from trainables.nets.layers import Style
from trainables.nets.transformer import Layer
from trainables.nets.unet import UNet
from trainables.registry import register

PICTURES = 64
SCALED_ON = 1000
"""Training images on which the latents' mean and deviation are measured."""
CONDITIONS = ("none", "class", "text")
AUTOENCODER = {"optimizer": "adamw", "lr": 4e-3, "batch_size": 64, "epochs": 20, "ema_decay": 0.99}
"""Of the `autoencoder` that is trained on digits where no checkpoint is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentDiffusing(Drawing):
    """Hyperparameters of `latent_diffusion`; width, multipliers and attention are of the latents' U-Net."""

    autoencoder: str | None = hyper(
        None, "Folder of a checkpoint of autoencoder; None: one of digits, trained on first use and kept in "
        "STARLING_CACHE.", group="model", path=True,
    )  # fmt: skip
    width: int = hyper(
        32, "Channels at the full side of the latents, a multiple of 8.", low=16, high=256, log=True,
        group="model",
    )  # fmt: skip
    condition: str = hyper(
        "text", "What the network is told of an image: nothing, its class, or a caption.",
        choices=CONDITIONS, group="model",
    )  # fmt: skip
    embedding: int = hyper(
        32, "Numbers that stand for a word, a multiple of 4.", choices=(16, 32, 64, 128), group="model"
    )
    word_drop: float = hyper(
        0.1, "Share of images whose words are kept from the network, so that `guidance` works.",
        low=0.05, high=0.3, group="reg", mutable=True,
    )  # fmt: skip
    noise_schedule: str = hyper(
        "cosine", "How noise grows over 1,000 levels.", choices=("linear", "cosine"), group="model"
    )
    prediction: str = hyper("v", "What the network predicts.", choices=("eps", "x0", "v"), group="model")
    eta: float = hyper(0.0, "Noise that DDIM adds on its way.", low=0.0, high=1.0, group="sampler")

    def __post_init__(self) -> None:
        Drawing.__post_init__(self)
        refuse(
            ("word_drop", self.word_drop, 0 <= self.word_drop <= 1, "in [0, 1]"),
            ("steps", self.steps, self.steps <= 1000, "at most 1000"),
            ("eta", self.eta, 0 <= self.eta <= 1, "in [0, 1]"),
            (
                "guidance",
                self.guidance,
                self.condition != "none" or not self.guidance,
                "0 with `condition` none, where there is nothing to strengthen",
            ),
        )


class Words(nn.Module):
    """Words' numbers (n, w) to vectors (n, w, embedding) that know of one another and of their places."""

    def __init__(self, vocabulary: int, length: int, embedding: int) -> None:
        super().__init__()
        self.word = nn.Embedding(vocabulary, embedding)
        self.place = nn.Parameter(0.02 * torch.randn(length, embedding))
        self.layer = Layer(embedding, 4, 0.0, False, Style(activation="gelu"))

    def forward(self, numbers: Tensor) -> Tensor:
        """See the class."""
        found: Tensor = self.layer(self.word(numbers) + self.place[: numbers.shape[1]])
        return found


class LatentDenoiser(described.Described):
    """A denoiser of standardised latents with the frozen autoencoder that they are of.

    Args:
        autoencoder: has encode and decode.
        shift, scale: of each channel of its latents, so that they get mean 0 and deviation 1.
        words: None where nothing is told.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self, autoencoder: nn.Module, shift: Tensor, scale: Tensor, denoiser: Denoiser,
        words: nn.Module | None = None, description: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(description)
        self.autoencoder, self.denoiser, self.words = autoencoder, denoiser, words
        self.register_buffer("shift", shift.view(1, -1, 1, 1))
        self.register_buffer("scale", scale.view(1, -1, 1, 1))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Images to standardised latents."""
        found: Tensor = (self.autoencoder.encode(x).float() - self.shift) / self.scale  # type: ignore[operator]
        return found

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Standardised latents to images."""
        found: Tensor = self.autoencoder.decode(z * self.scale + self.shift).float()  # type: ignore[operator]
        return found

    def loss(self, x: Tensor, t: Tensor, eps: Tensor, numbers: Tensor | None) -> Tensor:
        """The denoiser's on the latents of images; eps has at least as many draws as there are latents."""
        z = self.encode(x)
        eps = eps.flatten(1)[:, : z[0].numel()].reshape(z.shape)
        return self.denoiser.loss(z, t, eps, None, self.context(numbers))

    def context(self, numbers: Tensor | None) -> Tensor | None:
        """What the denoiser attends to."""
        if self.words is None or numbers is None:
            return None
        found: Tensor = self.words(numbers)
        return found

    def guess(self, numbers: Tensor | None, w: float) -> Denoise:
        """For images of these words, with guidance."""
        if self.words is None or numbers is None:
            return drawing.guesses(self.denoiser, None)
        nothing = self.context(torch.full_like(numbers, captions.NOTHING))
        return drawing.guesses(self.denoiser, None, w, self.context(numbers), nothing)


@register("latent_diffusion")
class LatentDiffusion(Task):
    """Loss on the latents; the quality of images drawn, and `fcd_autoencoder`: that of held-out real images
    that only went through the autoencoder, which a denoiser can hardly beat."""

    Config = LatentDiffusing
    metric = ("fcd", "min")
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "fcd", "fcd_autoencoder")
    config: LatentDiffusing

    def setup(self) -> None:
        """Open the dataset, and the autoencoder, which the first trial on a node trains."""
        c = self.config
        train, self.val, _ = splits(c.dataset, c.data)
        self.train = Noised(train, SHAPES[c.dataset], mirror=c.dataset == "cifar10")
        if c.autoencoder is None:
            task, model = reference.trained(Autoencodes, AUTOENCODER, torch.device("cpu"), lambda: None)
        else:
            task, model = described.load(c.autoencoder, {"autoencoder": Autoencodes})
        if task.config.dataset != c.dataset:
            raise ValueError(
                f"the autoencoder is of {task.config.dataset}, and `dataset` is {c.dataset}; give "
                f"`autoencoder` a checkpoint of one that was trained on {c.dataset}."
            )
        assert isinstance(model, Latents)
        self.autoencoder: nn.Module = freeze(model)
        x, _ = train.batch(np.arange(min(SCALED_ON, len(train))), None, torch.device("cpu"))
        with torch.no_grad():
            z = model.encode(x)
        self.latents = z.shape[1:]
        self.half = captions.brightness(x).median()
        self.moments = z.mean((0, 2, 3)), z.std((0, 2, 3))
        self._fcd_autoencoder: float | None = None

    def build(self) -> LatentDenoiser:
        """A U-Net of the latents that attends to words."""
        c = self.config
        told = c.condition != "none"
        net = UNet(
            self.latents[0], self.latents[1], c.width, c.channel_multipliers(), blocks=c.blocks,
            attention=c.attention, dropout=c.dropout, context=c.embedding if told else 0,
        )  # fmt: skip
        words = Words(len(captions.vocabulary(c.dataset)), 2, c.embedding) if told else None
        return LatentDenoiser(
            self.autoencoder, *self.moments, Denoiser(net, Steps(c.noise_schedule), c.prediction, 1.0), words,
            described.describe("latent_diffusion", c),
        )  # fmt: skip

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """At the times and with the noise of the batch, some images without their words."""
        assert isinstance(model, LatentDenoiser)
        x, y, u, eps = batch
        numbers = self._words_of(x, y)
        if numbers is not None:
            numbers = numbers.masked_fill((u[:, 1] < self.config.word_drop)[:, None], captions.NOTHING)
        return model.loss(x, model.denoiser.path.draw(u[:, 0]), eps, numbers)

    def held_out(self, model: nn.Module, batch: Any) -> Tensor:
        """The same with all words told, fixed noise, and one time in each of n equal parts."""
        assert isinstance(model, LatentDenoiser)
        x, y = batch
        t = model.denoiser.path.draw(stratified(len(x), x.device))
        return model.loss(x, t, torch.randn_like(x), self._words_of(x, y))

    def evaluate(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """Held-out loss, and `samples` images judged; with captions `tones` too, the share that is as dark or
        bright as was asked for."""
        from trainables.quality import distances

        assert isinstance(model, LatentDenoiser)
        c = self.config
        images, tones, labels = self.draw(model, ranks, c.samples)
        found = distances.quality(images, labels if c.condition != "none" else None, c.dataset)
        if c.condition == "text":
            found["tones"] = float((self._tones(images) == tones).double().mean())
        if self._fcd_autoencoder is None:  # the autoencoder is frozen: once is enough
            x, _ = self.val.batch(np.arange(min(len(self.val), c.samples)), None, ranks.device)
            back = SHAPES[c.dataset].quantised(model.decode(model.encode(x)))
            self._fcd_autoencoder = distances.quality(back, None, c.dataset)["fcd"]
        return Task.evaluate(self, model, ranks) | found | {"fcd_autoencoder": self._fcd_autoencoder}

    def pictures(self, model: nn.Module, ranks: Ranks) -> Mapping[str, Tensor]:
        """Images drawn: dark zero, dark one, ..., dark nine, bright zero, ..."""
        assert isinstance(model, LatentDenoiser)
        return {"samples": (self.draw(model, ranks, PICTURES)[0] + 1) / 2}

    def draw(self, model: LatentDenoiser, ranks: Ranks, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """So many images with the values that pixels can have, and the tones and classes asked for."""
        c = self.config
        number = torch.arange(count, device=ranks.device)
        labels, tones = number % CLASSES, number // CLASSES % len(captions.TONES)
        numbers = None
        if c.condition != "none":
            numbers = captions.numbers(tones if c.condition == "text" else None, labels)

        def guess_of(rows: slice) -> Denoise:
            return model.guess(None if numbers is None else numbers[rows], c.guidance)

        settings = drawing.Settings(steps=c.steps, eta=c.eta, guidance=c.guidance, clip=False)
        z = drawing.draw(guess_of, model.denoiser.path, ranks, tuple(self.latents), count, settings)
        return SHAPES[c.dataset].quantised(model.decode(z)), tones, labels

    def _words_of(self, x: Tensor, y: Tensor) -> Tensor | None:
        if self.config.condition == "none":
            return None
        return captions.numbers(self._tones(x) if self.config.condition == "text" else None, y)

    def _tones(self, images: Tensor) -> Tensor:
        """0 for dark and 1 for bright images, shape (n,)."""
        return (captions.brightness(images) > self.half.to(images.device)).long()

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """CIFAR-10's files or the autoencoder missing."""
        found = missing_data(config)
        folder = config.get("autoencoder")
        if folder is not None:
            try:
                checkpoint.read(folder)
            except ValueError as error:
                found.append(f"`autoencoder`: {error}")
        elif config.get("dataset") == "cifar10":
            found.append("`autoencoder` is absent; for cifar10 give the checkpoint folder of a trained one.")
        return found
