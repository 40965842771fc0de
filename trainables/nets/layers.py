"""Layers by name: activations, normalisations, poolings, and how weights begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
NORMS = ("batch", "group", "layer", "none")
POOLINGS = ("max", "average", "stride")
INITS: dict[str, Callable[[torch.Tensor], object] | None] = {
    "default": None,  # PyTorch's: uniform of He et al. (2015) with a = sqrt(5)
    "xavier": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "he": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "he_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
}
"""Glorot & Bengio (2010) for symmetric activations, He et al. (2015, arXiv:1502.01852) for ReLU, Saxe et al.
(2014, arXiv:1312.6120); biases begin at 0 with all but the default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """What the layers of a network have in common."""

    activation: str = "relu"
    norm: str = "batch"
    norm_momentum: float = 0.1
    """Weight of a batch in the running statistics of batch normalisation."""
    norm_eps: float = 1e-5
    kernel_size: int = 3
    """Odd, so that an image keeps its size."""
    pooling: str = "stride"
    """How an image is halved: "stride" is a convolution of stride 2."""

    def act(self) -> nn.Module:
        """A new activation."""
        return ACTIVATIONS[self.activation]()

    def normalise(self, channels: int) -> nn.Module:
        """A new normalisation of images of so many channels; "layer" is over all of an image."""
        match self.norm:
            case "batch":
                return nn.BatchNorm2d(channels, eps=self.norm_eps, momentum=self.norm_momentum)
            case "group":
                groups = max(g for g in range(1, min(8, channels) + 1) if channels % g == 0)
                return nn.GroupNorm(groups, channels, eps=self.norm_eps)
            case "layer":
                return nn.GroupNorm(1, channels, eps=self.norm_eps)
        return nn.Identity()

    def conv(self, before: int, after: int, stride: int = 1) -> nn.Conv2d:
        """A new convolution that keeps an image's size, or halves it with stride 2; no bias before a norm."""
        padding = self.kernel_size // 2
        return nn.Conv2d(before, after, self.kernel_size, stride, padding, bias=self.norm == "none")

    def halve(self) -> nn.Module:
        """A new pooling that halves an image; nothing for "stride"."""
        kinds: dict[str, Callable[[], nn.Module]] = {
            "max": lambda: nn.MaxPool2d(2),
            "average": lambda: nn.AvgPool2d(2),
            "stride": nn.Identity,
        }
        return kinds[self.pooling]()


def initialise(model: nn.Module, name: str) -> nn.Module:
    """Draw the weights of convolutions and linear layers by one of `INITS`; other layers keep theirs."""
    draw = INITS[name]
    if draw is not None:
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                draw(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return model
