"""Images drawn by a denoiser over all ranks, the same for any number of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.denoising import guidance, samplers
from trainables.denoising.datasets import CLASSES
from trainables.denoising.denoiser import Denoise, Denoiser
from trainables.engine.ddp import Ranks

BATCH = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How to sample; none of it needs training."""

    sampler: str = "ddim"
    steps: int = 20
    eta: float = 0.0
    guidance: float = 0.0
    """w of classifier-free guidance."""
    clip: bool = True
    """Hold guesses of x_0 within [-1, 1]."""


LogProbability = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x, t, labels) to log p(label | x at time t), shape (n,)."""


def draw(
    denoiser: Denoiser, ranks: Ranks, shape: tuple[int, ...], count: int, settings: Settings,
    conditional: bool, classifier: LogProbability | None = None, scale: float = 0.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`count` images, shape (count, *shape), and the classes asked for, 0 to 9 in turn, on every rank.

    Args:
        conditional: whether the denoiser takes a class.
        classifier: guides towards the classes by `scale` times its gradient.
    """
    images = torch.zeros(count, *shape, device=ranks.device)
    labels = torch.arange(count, device=ranks.device) % CLASSES
    for k in range(ranks.rank, -(-count // BATCH), ranks.size):
        rows = slice(k * BATCH, min((k + 1) * BATCH, count))
        generator = torch.Generator(ranks.device).manual_seed(k)
        wanted = labels[rows]
        guess = guesses(denoiser, wanted if conditional else None, settings.guidance)
        if classifier is not None:
            guess = guidance.by_classifier(guess, _towards(classifier, wanted), denoiser.path, scale)
        if settings.clip:
            guess = samplers.clipped(guess, denoiser.path)
        x = samplers.noise(denoiser.path, (len(wanted), *shape), generator)
        images[rows] = samplers.sample(
            settings.sampler, guess, denoiser.path, x, settings.steps, settings.eta, generator
        )
        ranks.beats += 1
    return ranks.sum(images), labels


def guesses(
    denoiser: Denoiser, labels: Tensor | None, w: float = 0.0, context: Tensor | None = None,
    nothing: Tensor | None = None,
) -> Denoise:  # fmt: skip
    """The denoiser for these labels or this context, with classifier-free guidance.

    Args:
        nothing: the context that stands for "any"; None is no context.
    """

    def conditional(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = denoiser(x, t, labels, context)
        return found

    def unconditional(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = denoiser(x, t, None, nothing)
        return found

    if labels is None and context is None:
        return unconditional
    return guidance.classifier_free(conditional, unconditional, w)


def _towards(classifier: LogProbability, labels: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, t: classifier(x, t, labels)
