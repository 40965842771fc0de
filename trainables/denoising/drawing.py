"""Images drawn by a denoiser over all ranks, the same for any number of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.denoising import guidance, samplers
from trainables.denoising.denoiser import Denoise, Denoiser
from trainables.denoising.paths import Path
from trainables.engine.ddp import Ranks

BATCH = 128
SEEDS = 1_000_003
"""More than there are batches for one seed."""


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
    seed: int = 0


def draw(
    guess_of: Callable[[slice], Denoise], path: Path, ranks: Ranks, shape: tuple[int, ...], count: int,
    settings: Settings,
) -> Tensor:  # fmt: skip
    """`count` images, shape (count, *shape), on every rank.

    Args:
        guess_of: the denoiser for those of the images, with what they are to show.
    """

    def some(rows: slice, generator: torch.Generator) -> Tensor:
        guess = guess_of(rows)
        if settings.clip:
            guess = samplers.clipped(guess, path)
        x = samplers.noise(path, (rows.stop - rows.start, *shape), generator)
        return samplers.sample(settings.sampler, guess, path, x, settings.steps, settings.eta, generator)

    return in_batches(some, ranks, shape, count, settings.seed)


def in_batches(
    some: Callable[[slice, torch.Generator], Tensor], ranks: Ranks, shape: tuple[int, ...], count: int,
    seed: int = 0,
) -> Tensor:  # fmt: skip
    """What `some` makes of each batch's rows and a generator of its own, put together on every rank; shape
    (count, *shape)."""
    images = torch.zeros(count, *shape, device=ranks.device)
    for k in range(ranks.rank, -(-count // BATCH), ranks.size):
        rows = slice(k * BATCH, min((k + 1) * BATCH, count))
        images[rows] = some(rows, torch.Generator(ranks.device).manual_seed(seed * SEEDS + k))
        ranks.beats += 1
    return ranks.sum(images)


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
