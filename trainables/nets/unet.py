"""A small U-Net for denoising, after Ho et al. 2020 (arXiv:2006.11239, appendix B), and half of it as a
classifier.

Blocks take the noise level (and class) as a scale and a shift behind the second normalisation (Dhariwal &
Nichol 2021, section 3.1); a context of words is looked at by cross-attention.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOWEST, FASTEST = 0.5, 64.0
"""Frequencies at which the noise level, some -2 to 2, is embedded."""


class UNet(nn.Module):
    """Images and their noise levels to what is predicted, shaped like the images.

    Args:
        channels, side: of the images; the side must be divisible by 2^(levels - 1).
        width: channels at the full side, a multiple of 8.
        multipliers: channels at each level as multiples of `width`; the side halves from one to the next.
        blocks: residual blocks at each level.
        attention: largest side of an image at which pixels look at one another; 0 for none.
        classes: how many labels there are, beside "any", whose number is `classes`; 0 for none.
        context: length of a context's vectors; 0 for none. It is looked at where pixels look at one
            another, and in the middle.
    """

    def __init__(
        self, channels: int, side: int, width: int, multipliers: Sequence[int], blocks: int = 1,
        attention: int = 4, dropout: float = 0.0, classes: int = 0, context: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        embedding = 4 * width
        self.noise = NoiseLevel(width, embedding)
        self.label = nn.Embedding(classes + 1, embedding) if classes else None
        self.classes = classes

        def block(before: int, after: int, side: int, middle: bool = False) -> Block:
            attends = side <= attention
            return Block(before, after, embedding, dropout, attends, context if attends or middle else 0)

        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        now, kept = width, [width]
        for level, multiplier in enumerate(multipliers):
            for _ in range(blocks):
                self.down.append(block(now, width * multiplier, side))
                now = width * multiplier
                kept.append(now)
            if level < len(multipliers) - 1:
                self.down.append(Resample(now, up=False))
                kept.append(now)
                side //= 2
        self.middle = nn.ModuleList([block(now, now, side, middle=True), block(now, now, side, middle=True)])
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for _ in range(blocks + 1):
                self.up.append(block(now + kept.pop(), width * multiplier, side))
                now = width * multiplier
            if level:
                self.up.append(Resample(now, up=True))
                side *= 2
        self.last = nn.Sequential(_norm(now), nn.SiLU(), _silent(nn.Conv2d(now, channels, 3, padding=1)))

    def forward(
        self, x: Tensor, noise: Tensor, label: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """Shape (n, channels, side, side); noise (n,); label (n,), None for "any"; context (n, words, c)."""
        e = self.noise(noise)
        if self.label is not None:
            e = e + self.label(torch.full_like(noise, self.classes).long() if label is None else label)
        e = F.silu(e)
        h = self.first(x)
        kept = [h]
        for layer in self.down:
            h = layer(h, e, context)
            kept.append(h)
        for layer in self.middle:
            h = layer(h, e, context)
        for layer in self.up:
            h = layer(torch.cat([h, kept.pop()], 1) if isinstance(layer, Block) else h, e, context)
        found: Tensor = self.last(h)
        return found


class NoisyClassifier(nn.Module):
    """The U-Net's way down, a mean over pixels, and class scores, for images at any noise level."""

    def __init__(
        self, channels: int, side: int, width: int, multipliers: Sequence[int], blocks: int = 1,
        attention: int = 4, dropout: float = 0.0, classes: int = 10,
    ) -> None:  # fmt: skip
        super().__init__()
        embedding = 4 * width
        self.noise = NoiseLevel(width, embedding)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList()
        now = width
        for level, multiplier in enumerate(multipliers):
            for _ in range(blocks):
                self.down.append(
                    Block(now, width * multiplier, embedding, dropout, side >> level <= attention, 0)
                )
                now = width * multiplier
            if level < len(multipliers) - 1:
                self.down.append(Resample(now, up=False))
        self.last = nn.Sequential(_norm(now), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.scores = nn.Linear(now, classes)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Images (n, channels, side, side) and their noise levels (n,) to scores."""
        e, h = F.silu(self.noise(noise)), self.first(x)
        for layer in self.down:
            h = layer(h, e, None)
        found: Tensor = self.scores(self.last(h))
        return found


class NoiseLevel(nn.Module):
    """Sines and cosines of a number, and two linear layers."""

    frequencies: Tensor

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        frequencies = torch.linspace(0, 1, width // 2)
        self.register_buffer("frequencies", SLOWEST * (FASTEST / SLOWEST) ** frequencies, persistent=False)
        self.layers = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))

    def forward(self, noise: Tensor) -> Tensor:
        """Shape (n,) to (n, embedding)."""
        angles = noise.float()[:, None] * self.frequencies
        found: Tensor = self.layers(torch.cat([angles.cos(), angles.sin()], 1))
        return found


class Block(nn.Module):
    """Two convolutions with a shortcut round them, then attention where it is asked for."""

    def __init__(
        self, before: int, after: int, embedding: int, dropout: float, attends: bool, context: int
    ) -> None:
        super().__init__()
        self.enter = nn.Sequential(_norm(before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.modulate = nn.Linear(embedding, 2 * after)
        self.norm = _norm(after)
        self.leave = nn.Sequential(
            nn.SiLU(), nn.Dropout(dropout), _silent(nn.Conv2d(after, after, 3, padding=1))
        )
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)
        self.attention = Attention(after) if attends else None
        self.words = Attention(after, context) if context else None

    def forward(self, x: Tensor, e: Tensor, context: Tensor | None) -> Tensor:
        """Shape (n, before, h, w) to (n, after, h, w)."""
        scale, shift = self.modulate(e)[:, :, None, None].chunk(2, 1)
        h = self.leave(torch.addcmul(shift, self.norm(self.enter(x)), 1 + scale))
        h = h + self.shortcut(x)
        if self.attention is not None:
            h = self.attention(h)
        if self.words is not None and context is not None:
            h = self.words(h, context)
        return h


class Attention(nn.Module):
    """Pixels look at one another, or at the vectors of a context (Vaswani et al. 2017), round a shortcut."""

    HEAD = 32

    def __init__(self, channels: int, context: int = 0) -> None:
        super().__init__()
        self.heads = max(1, channels // self.HEAD)
        self.norm = _norm(channels)
        self.query = nn.Linear(channels, channels)
        # A bias of the keys moves all scores alike: its gradient is rounding, which Adam would make steps of.
        self.key_value = nn.Linear(context or channels, 2 * channels, bias=False)
        self.out = _silent(nn.Linear(channels, channels))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Shape (n, channels, h, w) to the same; context (n, words, c)."""
        n, channels, height, width = x.shape
        pixels = self.norm(x).flatten(2).transpose(1, 2)
        q = self.query(pixels)
        k, v = self.key_value(pixels if context is None else context).chunk(2, 2)
        q, k, v = (one.unflatten(2, (self.heads, -1)).transpose(1, 2) for one in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(mixed).transpose(1, 2).reshape(n, channels, height, width)


class Resample(nn.Module):
    """Half or twice the side."""

    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.layer = nn.Conv2d(channels, channels, 3, 1 if up else 2, padding=1)

    def forward(self, x: Tensor, e: Tensor, context: Tensor | None) -> Tensor:
        """Shape (n, channels, h, w)."""
        found: Tensor = self.layer(F.interpolate(x, scale_factor=2.0) if self.up else x)
        return found


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)


def _silent(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """Weights that begin at 0: what it is added to comes through unchanged."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
