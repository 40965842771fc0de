"""Learning-rate range test: the loss while the learning rate rises from step to step (Smith 2017,
arXiv:1506.01186).

Where the loss is lowest the learning rate is about the largest that this training bears; a search does well
between a hundredth of that and that. (Where the loss falls most steeply is drowned in noise.)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trainables.engine import optimizers

if TYPE_CHECKING:
    from trainables.engine.loop import Loop

SPAN = 20
"""A loss is smoothed over the neighbours within 1/20 of the steps, on both sides."""
HELD = 0.8
"""Weight of the past in the running mean that says when the loss has blown up."""
BLOWN = 3.0
"""It has when it is this many times its lowest value above it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a range test saw, in the order of its steps."""

    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    """Each the mean over the samples of its step, with the weights before it."""

    @property
    def smooth(self) -> list[float]:
        """The losses, each averaged with its neighbours."""
        reach = max(1, len(self.losses) // SPAN)
        return [
            float(np.mean(self.losses[max(0, i - reach) : i + reach + 1])) for i in range(len(self.losses))
        ]

    @property
    def best(self) -> float | None:
        """The learning rate of the lowest smoothed loss; None where the loss never fell."""
        smooth = self.smooth
        lowest = int(np.argmin(smooth))
        return self.lrs[lowest] if smooth[lowest] < smooth[0] else None

    @property
    def proposed(self) -> tuple[float, float] | None:
        """From a hundredth of the best learning rate to it: what to search, logarithmically."""
        return None if self.best is None else (self.best / 100, self.best)


def curve(pairs: Sequence[tuple[float, float]]) -> Curve:
    """From the learning rates and losses of `walk`."""
    return Curve(tuple(lr for lr, _ in pairs), tuple(loss for _, loss in pairs))


def walk(
    loop: Loop, low: float = 1e-6, high: float = 10.0, steps: int = 100
) -> Iterator[tuple[float, float]]:
    """Train with learning rates from `low` to `high`, evenly in their logarithms; then restore all.

    The training's own schedule and warm-up are left out. It ends early where the loss blows up. Every rank of
    a trial takes part. Weights, moments, counters and averages are bit for bit as before, also after an
    exception.

    Args:
        steps: optimiser steps, at least 10.

    Yields:
        A learning rate, and the mean loss over the samples of the step that was made with it.

    Raises:
        ValueError: for values outside these ranges.
    """
    if not 0 < low < high:
        raise ValueError(f"the learning rates go from {low:g} to {high:g}; give 0 < low < high.")
    if steps < 10:
        raise ValueError(f"{steps} steps are too few for a curve; give at least 10.")
    state, config = copy.deepcopy(loop.state_dict()), loop.task.config
    training = loop.model.training
    loop.model.train()
    optimizers.evaluating(loop.optimizer, False)
    running, lowest = 0.0, math.inf
    try:
        for i, lr in enumerate(np.geomspace(low, high, steps).tolist()):
            loop.task.config = replace(config, lr=lr, schedule="constant", warmup_steps=0)
            loss = loop.one_step()
            if not math.isfinite(loss):
                return
            yield lr, loss
            running = HELD * running + (1 - HELD) * loss
            mean = running / (1 - HELD ** (i + 1))
            lowest = min(lowest, mean)
            if mean - lowest > BLOWN * abs(lowest):
                return
    finally:
        loop.task.config = config
        loop.load_state_dict(state)
        loop.model.train(training)
