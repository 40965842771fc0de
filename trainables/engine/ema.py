"""Exponential moving average of the weights, evaluated in place of the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


class Average:
    """mean <- d mean + (1 - d) weights, with d = min(decay, (1 + n) / (10 + n)) at the n-th update.

    Without that warm-up, decay 0.995 every 16 steps would remember the random initial weights for thousands
    of steps. Only parameters are averaged; buffers such as running statistics stay the model's own.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.source: list[torch.Tensor] = list(model.parameters())
        self.mean = [p.detach().clone() for p in self.source]

    @torch.no_grad()
    def update(self) -> None:
        """Move the mean towards the weights once."""
        d = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.mean, self.source, 1.0 - d)
        self.updates += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within this block the model's parameters are the mean."""
        weights = [p.data for p in self.source]
        for p, mean in zip(self.source, self.mean, strict=True):
            p.data = mean
        try:
            yield
        finally:
            for p, own in zip(self.source, weights, strict=True):
                p.data = own

    def state_dict(self) -> dict[str, Any]:
        """Mean and number of updates."""
        return {"mean": self.mean, "updates": self.updates}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy from another average of the same model."""
        for own, saved in zip(self.mean, state["mean"], strict=True):
            own.copy_(saved)
        self.updates = state["updates"]
