"""Transformers of patches and of characters (Vaswani et al. 2017, arXiv:1706.03762), normalised beforehand.

    n    batch             t    positions             e    embedding
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.nets.layers import Style


class Layer(nn.Module):
    """Attention of several heads, then a perceptron of four times the width, each beside a shortcut."""

    def __init__(self, embedding: int, heads: int, dropout: float, causal: bool, style: Style) -> None:
        super().__init__()
        if embedding % heads:
            raise ValueError(
                f"`embedding` is {embedding}, which {heads} heads cannot share; make it a multiple of that."
            )
        self.heads, self.causal, self.dropout = heads, causal, nn.Dropout(dropout)
        self.before_attention = nn.LayerNorm(embedding, eps=style.norm_eps)
        # No bias: that of the keys has no effect, and Adam would follow the rounding of its gradient of 0.
        self.queries_keys_values = nn.Linear(embedding, 3 * embedding, bias=False)
        self.out = nn.Linear(embedding, embedding)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(embedding, eps=style.norm_eps), nn.Linear(embedding, 4 * embedding), style.act(),
            nn.Linear(4 * embedding, embedding), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, t, e) to the same."""
        n, t, e = x.shape
        split = self.queries_keys_values(self.before_attention(x)).view(n, t, 3, self.heads, e // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(n, t, e)))
        return x + self.perceptron(x)


class VisionTransformer(nn.Module):
    """Patches of an image as words (Dosovitskiy et al. 2021, arXiv:2010.11929); scores of their mean."""

    def __init__(
        self, channels: int, side: int, patch: int, embedding: int, heads: int, depth: int, dropout: float,
        classes: int, style: Style,
    ) -> None:  # fmt: skip
        super().__init__()
        if side % patch:
            raise ValueError(f"`patch` is {patch}, which does not divide an image of {side} pixels.")
        self.patches = nn.Conv2d(channels, embedding, patch, stride=patch)
        self.place = nn.Parameter(0.02 * torch.randn((side // patch) ** 2, embedding))
        self.layers = nn.Sequential(
            *(Layer(embedding, heads, dropout, False, style) for _ in range(depth)),
            nn.LayerNorm(embedding, eps=style.norm_eps),
        )
        self.scores = nn.Linear(embedding, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Shape (n, channels, side, side) to (n, classes)."""
        words = self.patches(images).flatten(2).transpose(1, 2) + self.place
        return self.scores(self.layers(words).mean(1))


class CharacterModel(nn.Module):
    """What follows each character of a text, given those before it (Radford et al. 2019's layout)."""

    def __init__(
        self, characters: int, length: int, embedding: int, heads: int, depth: int, dropout: float,
        style: Style,
    ) -> None:  # fmt: skip
        super().__init__()
        self.word = nn.Embedding(characters, embedding)
        self.place = nn.Embedding(length, embedding)
        self.layers = nn.Sequential(
            nn.Dropout(dropout), *(Layer(embedding, heads, dropout, True, style) for _ in range(depth)),
            nn.LayerNorm(embedding, eps=style.norm_eps),
        )  # fmt: skip
        self.scores = nn.Linear(embedding, characters, bias=False)
        nn.init.normal_(self.word.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)

    def forward(self, text: Tensor) -> Tensor:
        """Characters' numbers (n, t) to scores (n, t, characters); t is at most `length`."""
        return self.scores(self.layers(self.word(text) + self.place.weight[: text.shape[1]]))
