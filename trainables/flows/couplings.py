"""Coupling layers: one part of an image is changed by amounts that the other part says, which undoes it too.

With m = 1 where nothing changes: z = m x + (1 - m) (x exp(s) + t), where s and t are functions of m x. The
Jacobian is triangular, so that its log-determinant is the sum of (1 - m) s. Additive layers have s = 0 (NICE;
Dinh et al. 2014, arXiv:1410.8516), affine ones do not (RealNVP; Dinh et al. 2016, arXiv:1605.08803, eq. 7-8).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""
BOUND = 2.0
"""Largest |s|: a layer stretches by e^2 at most, so that no step of training can blow it up."""


class Coupling(nn.Module):
    """One layer; in the beginning it changes nothing.

    Args:
        mask: shape (channels, height, width), 1 where nothing changes.
        net: images like x to twice their channels, t and s; to their channels for an additive layer.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, net: nn.Module, affine: bool) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)
        self.net, self.affine = net, affine

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z like x, and the log-determinant of dz/dx, shape (n,)."""
        t, s = self._amounts(x)
        return x * s.exp() + t, s.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """x from z; the unchanged part says the same amounts."""
        t, s = self._amounts(z)
        return (z - t) * (-s).exp()

    def _amounts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.net(x * self.mask).to(x.dtype)  # in half precision the inverse would not be exact
        t, s = found.chunk(2, 1) if self.affine else (found, torch.zeros_like(found))
        changed = 1 - self.mask
        return changed * t, changed * BOUND * torch.tanh(s / BOUND)


class Scale(nn.Module):
    """Every pixel times a factor of its own, exp(s): what additive layers lack (NICE, section 3.3)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As in Coupling."""
        return x * self.s.exp(), self.s.sum().expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """As in Coupling."""
        return z * (-self.s).exp()


class Chain(nn.Module):
    """Layers one after the other; log-determinants add up."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As in Coupling."""
        gained = x.new_zeros(len(x))
        for layer in self.layers:
            x, more = layer(x)
            gained = gained + more
        return x, gained

    def inverse(self, z: Tensor) -> Tensor:
        """As in Coupling."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)  # type: ignore[operator]  # every layer has it
        return z


def masks(shape: Shape, count: int) -> list[Tensor]:
    """What each of `count` layers leaves alone: squares of a chessboard, rows, columns; each, then the rest.

    What RealNVP does to channels after squeezing 2x2 pixels into them, rows and columns do in place.
    """
    channel, row, column = (torch.arange(n) for n in shape)
    channel, row = channel[:, None, None], row[:, None]
    patterns = (channel + row + column, channel + row + 0 * column, channel + 0 * row + column)
    return [((patterns[i // 2 % 3] + i) % 2).float() for i in range(count)]


def perceptron(shape: Shape, width: int, depth: int, dropout: float, outputs: int) -> nn.Module:
    """Images to `outputs` channels through `depth` hidden layers that see all pixels at once."""
    channels, height, column = shape
    size = height * column
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(depth):
        layers += [nn.Linear(width if i else channels * size, width), nn.ReLU(), nn.Dropout(dropout)]
    last = _silent(nn.Linear(width, outputs * size))
    return nn.Sequential(*layers, last, nn.Unflatten(1, (outputs, height, column)))


def convolutional(shape: Shape, width: int, depth: int, dropout: float, outputs: int) -> nn.Module:
    """Images to `outputs` channels through `depth` residual blocks."""
    blocks = [_Residual(width, dropout) for _ in range(depth)]
    first = nn.Conv2d(shape[0], width, 3, padding=1)
    return nn.Sequential(first, *blocks, nn.ReLU(), _silent(nn.Conv2d(width, outputs, 3, padding=1)))


NETS = {"perceptron": perceptron, "convolutional": convolutional}


class _Residual(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *(nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Dropout(dropout)),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.main(x)
        return found


def _silent(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
