"""What is searched: a space, a training of one configuration, the way back through it, and who judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from trainables.engine import parts


@dataclass(frozen=True, slots=True)
class Slopes:
    """What a trial reports beside its loss."""

    values: dict[str, float]
    """d loss / d hyperparameter, by the name of the search's dimension (`lr.3`)."""
    growth: float
    """See `trainables.hypergrad.unrolled.Hypergradient`."""


class Problem(Protocol):
    """One search's problem."""

    space: dict[str, Any]
    """A Ray `param_space`."""

    def loss(self, config: Mapping[str, Any], seed: int) -> float:
        """What is minimised: the validation loss after a training."""
        ...

    def slopes(self, config: Mapping[str, Any], seed: int) -> Slopes:
        """Its derivatives there."""
        ...

    def judge(self, config: Mapping[str, Any]) -> float:
        """How good a configuration is, by data and training seeds that no search has seen."""
        ...


def hyper(config: Mapping[str, Any], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """A configuration as tensors: shape (), or (n,) for a value in parts."""
    return {
        name: torch.tensor(parts.values(value) if isinstance(value, Mapping) else value, dtype=dtype)
        for name, value in config.items()
        if not name.startswith("_")
    }


def flat(gradient: Mapping[str, Tensor]) -> dict[str, float]:
    """By the names of a search's dimensions."""
    found = {}
    for name, slope in gradient.items():
        if slope.ndim:
            found |= {f"{name}.{i}": one for i, one in enumerate(slope.tolist())}
        else:
            found[name] = float(slope)
    return found


def each(count: int, domain: Any) -> dict[str, Any]:
    """A hyperparameter in parts."""
    return {str(i): domain for i in range(count)}
