"""A multilayer perceptron."""

from __future__ import annotations

from torch import nn

from trainables.nets.layers import Style


def mlp(inputs: int, width: int, depth: int, dropout: float, classes: int, style: Style) -> nn.Module:
    """`depth` hidden layers of `width` units, dropout behind each; inputs (n, ...) to scores (n, classes)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(depth):
        layers += [nn.Linear(width if i else inputs, width), style.act(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(width if depth else inputs, classes))
