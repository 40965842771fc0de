"""AdaBoost for any number of classes: SAMME (Zhu, Zou, Rosset & Hastie 2009, Algorithm 2).

Every round a tree is fitted to weighted rows, and the rows that it gets wrong weigh more in the next. Its
vote weighs alpha. Sums of votes are the logits of the classes: with the paper's factor between alpha and the
step along the exponential loss, (K - 1)^2 / K, that loss is least where their softmax is the probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from trainables.boosters import trees
from trainables.boosters.trees import Array
from trainables.engine import data
from trainables.engine.ddp import Ranks

EPSILON = float(np.finfo(np.float64).eps)


class AdaBoost:
    """Trees that vote.

    Args:
        config: `learning_rate`, `max_depth`, `max_bins`.
        train: all rows (n, d) float32 and their classes (n,); of them this rank keeps its share.
        followed: rows of other splits, this rank's share, whose margins are wanted as well.
    """

    def __init__(
        self, config: Any, train: tuple[Array, Array], classes: int, followed: Sequence[Array], ranks: Ranks
    ) -> None:
        self.config, self.ranks, self.classes = config, ranks, classes
        x, y = train
        part = data.share(len(y), ranks.rank, ranks.size)
        self._bins = trees.bins(x, config.max_bins)
        self._codes = self._bins.codes(x[part])
        self._y = y[part]
        self._splits = [x[part], *followed]
        self._rows = len(y)
        self._reset()

    def _reset(self) -> None:
        self.rounds: list[trees.Trees] = []
        self.alphas: list[float] = []
        self.ended = False
        self._log_weights = np.full(len(self._y), -np.log(self._rows))
        self.margins = [np.zeros((len(x), self.classes)) for x in self._splits]
        """Votes for each class of this rank's rows of each split, the training split first; (n, C)."""

    def grow(self, first: int, count: int) -> None:
        """Up to `count` rounds; none after a tree without error, or one no better than chance."""
        for _ in range(count):
            if self.ended:
                return
            weights = self._weights()
            indicators = weights[:, None] * (self._y[:, None] == np.arange(self.classes))
            grown, node = trees.grow(
                self._bins,
                self._codes,
                np.column_stack([weights, indicators])[None],
                self.config.max_depth,
                self.ranks,
            )
            sums = trees.leaf_sums(indicators[None], node, grown.value.shape[1], self.ranks)
            tree = trees.Trees(grown.feature, grown.threshold, sums.argmax(2).astype(np.float64))
            missed, total = self._missed(tree, weights)
            error = missed / total
            if error >= 1 - 1 / self.classes:
                self.ended = True
                return
            # As scikit-learn: a tree without error has weight 1 and is the last one.
            odds = np.log((1 - error) / error) + np.log(self.classes - 1) if error > 0 else 0.0
            self.ended = error == 0
            self._add(tree, 1.0 if self.ended else self.config.learning_rate * odds, missed, total)
            self.ranks.beats += 1

    def _weights(self) -> Array:
        """Of this rank's rows, in units of the float64 epsilon and at least one: a sum of 1 is exact."""
        return np.maximum(np.round(np.exp(self._log_weights) / EPSILON), 1) * EPSILON

    def _missed(self, tree: trees.Trees, weights: Array) -> tuple[float, float]:
        """Weight of the rows that the tree gets wrong, and of all, over all ranks."""
        wrong = tree.predict(self._splits[0])[0] != self._y
        sums = self.ranks.sum(torch.tensor([weights[wrong].sum(), weights.sum()], dtype=torch.float64))
        return float(sums[0]), float(sums[1])

    def _add(self, tree: trees.Trees, alpha: float, missed: float, total: float) -> None:
        said = [tree.predict(x)[0].astype(np.int64) for x in self._splits]
        for margins, classes in zip(self.margins, said, strict=True):
            margins[np.arange(len(classes)), classes] += alpha
        self._log_weights += alpha * (said[0] != self._y) - np.log(total - missed + missed * np.exp(alpha))
        self.rounds.append(tree)
        self.alphas.append(alpha)

    def state_dict(self) -> dict[str, Any]:
        """The trees, the weights of their votes, and whether no more will come."""
        alphas = torch.tensor(self.alphas, dtype=torch.float64)
        return trees.pack(self.rounds) | {"alpha": alphas, "ended": torch.tensor(self.ended)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the saved trees vote again, which gives rows the weights that they had."""
        self._reset()
        for tree, alpha in zip(trees.unpack(state), state["alpha"].tolist(), strict=True):
            self._add(tree, alpha, *self._missed(tree, self._weights()))
        self.ended = bool(state["ended"])
