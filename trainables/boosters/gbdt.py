"""Gradient boosting of trees (Friedman 2001, Algorithms 2, 5 and 6), with random samples (Friedman 2002).

Every round a tree for each margin is fitted to the gradient of the loss, and each of its leaves takes one
Newton step. The losses are cross-entropy (one margin for two classes, one a class for more) and half the
squared error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from trainables.boosters import trees
from trainables.boosters.sampling import columns, drawn
from trainables.boosters.trees import Array
from trainables.engine import data
from trainables.engine.ddp import Ranks


class GradientBoosting:
    """Trees that add up.

    Args:
        config: `learning_rate`, `max_depth`, `max_bins`, `subsample`, `colsample_bytree`, `min_samples_leaf`,
            `seed`.
        train: all rows (n, d) float32 and their classes or numbers (n,); this rank keeps its share.
        classes: 0 where numbers are to be predicted.
        followed: rows of other splits, this rank's share, whose margins are wanted as well.
    """

    ended = False

    def __init__(
        self, config: Any, train: tuple[Array, Array], classes: int, followed: Sequence[Array], ranks: Ranks
    ) -> None:
        self.config, self.ranks, self.classes = config, ranks, classes
        x, y = train
        self._rows, self._part = len(y), data.share(len(y), ranks.rank, ranks.size)
        self._bins = trees.bins(x, config.max_bins)
        self._codes = self._bins.codes(x[self._part])
        self._splits = [x[self._part], *followed]
        if classes:
            share = np.bincount(y, minlength=classes) / len(y)
            logs = np.log(np.clip(share, np.finfo(np.float32).eps, None))
            self._start = logs[1:] - logs[0] if classes == 2 else logs - logs.mean()
            self._bound = 1.0
            named = y[self._part, None] == (1 if classes == 2 else np.arange(classes))
            self._targets = named.astype(np.float64)
        else:
            self._start = np.array([y.mean()])
            self._bound = 2.0 * float(np.ptp(y) or 1.0)
            self._targets = y[self._part, None].astype(np.float64)
        self._reset()

    def _reset(self) -> None:
        self.rounds: list[trees.Trees] = []
        self.margins = [np.tile(self._start, (len(x), 1)) for x in self._splits]
        """Of this rank's rows of each split, the training split first; (n, K)."""

    def grow(self, first: int, count: int) -> None:
        """Rounds first ... first + count - 1."""
        for number in range(first, first + count):
            self._add(self._round(number))
            self.ranks.beats += 1

    def _round(self, number: int) -> trees.Trees:
        c, codes = self.config, self._codes
        mask = drawn(c.seed, number, self._rows, self._part, c.subsample)
        means, curvature = self._expected()
        gradient = self._exact((self._targets - means) * mask[:, None])  # (n, K)
        weights = np.broadcast_to(mask[:, None], gradient.shape)
        grown, node = trees.grow(
            self._bins,
            codes,
            np.stack([weights, gradient], 2).transpose(1, 0, 2),
            c.max_depth,
            self.ranks,
            columns(c.seed, number, codes.shape[1], c.colsample_bytree),
            c.min_samples_leaf,
        )
        newton = np.stack([gradient, self._exact(curvature * mask[:, None])], 2).transpose(1, 0, 2)
        sums = trees.leaf_sums(newton, node, grown.value.shape[1], self.ranks)
        up, down = sums[..., 0], sums[..., 1]
        step = np.divide(up, down, out=np.zeros(up.shape), where=np.abs(down) > 1e-150)
        if self.classes > 2:  # the factor of Algorithm 6
            step *= (self.classes - 1) / self.classes
        return trees.Trees(grown.feature, grown.threshold, c.learning_rate * step)

    def _expected(self) -> tuple[Array, Array]:
        """What the margins of the training rows predict, and the loss's second derivative by them; (n, K)."""
        margins = self.margins[0]
        if not self.classes:
            return margins, np.ones(margins.shape)
        p = expit(margins) if self.classes == 2 else softmax(margins, axis=1)
        return p, p * (1 - p)

    def _exact(self, values: Array) -> Array:
        return trees.exact(values, self._bound, self._rows)

    def _add(self, grown: trees.Trees) -> None:
        for margins, x in zip(self.margins, self._splits, strict=True):
            margins += grown.predict(x).T
        self.rounds.append(grown)

    def state_dict(self) -> dict[str, Any]:
        """The trees, learning rates included."""
        return trees.pack(self.rounds)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Add up the saved trees."""
        self._reset()
        for grown in trees.unpack(state):
            self._add(grown)
