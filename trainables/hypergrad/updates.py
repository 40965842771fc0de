"""Optimisers as pure functions: (parameters, gradients, state, settings) -> (parameters, state).

Written for differentiation: every setting is a tensor, and nothing is done in place. `weight_decay` is one
number or one for each parameter tensor (layer groups). A step's settings come from `Run.settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]
Settings = Mapping[str, Tensor]
"""What an update reads: `lr`, `weight_decay`, `momentum`, ...; shape () or, for weight decay, (tensors,)."""


class Update(Protocol):
    """One optimiser."""

    def start(self, params: Tensors) -> Tensors:
        """Its state before the first step."""
        ...

    def __call__(
        self, params: Tensors, grads: Tensors, state: Tensors, settings: Settings, step: int
    ) -> tuple[Tensors, Tensors]:
        """Parameters and state after step number `step`, which counts from 0."""
        ...


@dataclass(frozen=True, slots=True)
class Sgd:
    """Gradient descent with momentum (Polyak 1964), as torch.optim.SGD: v <- momentum v + g + wd theta."""

    def start(self, params: Tensors) -> Tensors:
        """Velocities of zero."""
        return tuple(torch.zeros_like(p) for p in params)

    def __call__(
        self, params: Tensors, grads: Tensors, state: Tensors, settings: Settings, step: int
    ) -> tuple[Tensors, Tensors]:
        """theta <- theta - lr v."""
        momentum, decay = settings["momentum"], _each(settings["weight_decay"], params)
        velocity = tuple(
            momentum * v + g + w * p for p, g, v, w in zip(params, grads, state, decay, strict=True)
        )
        return tuple(p - settings["lr"] * v for p, v in zip(params, velocity, strict=True)), velocity


@dataclass(frozen=True, slots=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), as torch.optim.AdamW.

    The square root has an infinite slope at 0, where every gradient so far was 0: there v has no slope
    itself, and the root counts as constant.
    """

    eps: float = 1e-8
    decoupled: bool = True
    """False: the decay is part of the gradient, as in torch.optim.Adam."""

    def start(self, params: Tensors) -> Tensors:
        """First and second moments of zero."""
        return tuple(torch.zeros_like(p) for p in (*params, *params))

    def __call__(
        self, params: Tensors, grads: Tensors, state: Tensors, settings: Settings, step: int
    ) -> tuple[Tensors, Tensors]:
        """theta <- theta (1 - lr wd) - lr m_hat / (sqrt(v_hat) + eps)."""
        lr, beta1, beta2 = settings["lr"], settings["beta1"], settings["beta2"]
        n, decay = len(params), _each(settings["weight_decay"], params)
        kept: Sequence[Tensor | float] = [1 - lr * w for w in decay] if self.decoupled else [1.0] * n
        if not self.decoupled:
            grads = tuple(g + w * p for p, g, w in zip(params, grads, decay, strict=True))
        first = tuple(beta1 * m + (1 - beta1) * g for m, g in zip(state[:n], grads, strict=True))
        second = tuple(beta2 * v + (1 - beta2) * g * g for v, g in zip(state[n:], grads, strict=True))
        rise1, rise2 = 1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1)
        moved = tuple(
            p * k - lr * (m / rise1) / (_root(v / rise2) + self.eps)
            for p, m, v, k in zip(params, first, second, kept, strict=True)
        )
        return moved, first + second


@dataclass(frozen=True, slots=True)
class Langevin:
    """Stochastic gradient Langevin dynamics (Welling & Teh 2011), as `engine.optimizers.Langevin`.

    theta <- theta (1 - lr wd) - lr g + sqrt(2 lr T / N) xi; the noise xi of a step is a function of the
    step alone, so that its scale can be differentiated.
    """

    samples: int
    """N: the loss is a mean over so many training samples."""
    seed: Callable[[int], int] = int
    """Of the noise of each step."""

    def start(self, params: Tensors) -> Tensors:
        """No state."""
        return ()

    def __call__(
        self, params: Tensors, grads: Tensors, state: Tensors, settings: Settings, step: int
    ) -> tuple[Tensors, Tensors]:
        """One step."""
        lr = settings["lr"]
        scale = torch.sqrt(2 * lr * settings["temperature"] / self.samples)
        device = params[0].device
        generator = torch.Generator(device).manual_seed(self.seed(step))
        noise = [torch.randn(p.shape, generator=generator, device=device, dtype=p.dtype) for p in params]
        decay = _each(settings["weight_decay"], params)
        moved = tuple(
            p * (1 - lr * w) - lr * g + scale * xi
            for p, g, w, xi in zip(params, grads, decay, noise, strict=True)
        )
        return moved, ()


@dataclass(frozen=True, slots=True)
class Clipped:
    """Another update, of gradients scaled to a norm of at most `clip`, as torch.nn.utils.clip_grad_norm_."""

    inner: Update

    def start(self, params: Tensors) -> Tensors:
        """The other's."""
        return self.inner.start(params)

    def __call__(
        self, params: Tensors, grads: Tensors, state: Tensors, settings: Settings, step: int
    ) -> tuple[Tensors, Tensors]:
        """g <- g min(1, clip / (|g| + 1e-6))."""
        norm = torch.sqrt(torch.stack([g.square().sum() for g in grads]).sum() + 1e-30)  # it has a slope at 0
        factor = torch.clamp(settings["clip"] / (norm + 1e-6), max=1.0)
        return self.inner(params, tuple(g * factor for g in grads), state, settings, step)


def _root(v: Tensor) -> Tensor:
    """Square root, of slope 0 at 0."""
    there = v > 0
    return torch.where(there, v, 1.0).sqrt() * there


def _each(setting: Tensor, params: Sequence[Tensor]) -> Sequence[Tensor]:
    """A setting for each parameter tensor."""
    return [setting] * len(params) if setting.ndim == 0 else list(setting)
