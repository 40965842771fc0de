"""Decision trees grown level by level from histograms that are summed over ranks.

A tree fits vectors by least squares. With a class's indicators for vectors that is the tree of least Gini
impurity: both have the same gain, so that one tree serves classes and numbers.

Sums are exact: what is summed is rounded to multiples of a power of two beforehand (`exact`), and float64
adds such numbers without error, in any order. Any number of ranks therefore grows the same tree, bit for bit.

K trees are grown at once, on n rows of d features, each with at most B bins. A tree is a heap: node 0 is the
root, nodes 2i + 1 and 2i + 2 are the children of node i.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.engine.ddp import Ranks

Array = npt.NDArray[Any]
LEAF = -1


@dataclass(frozen=True, slots=True)
class Bins:
    """Each feature's values in groups; a feature with few values has a bin for each of them."""

    lowest: Array
    """Least value in each bin, shape (d, B); infinity where a feature has fewer bins."""
    highest: Array
    """Greatest value in each bin, likewise."""

    def codes(self, x: Array) -> Array:
        """The bin of every entry of `x`, shape (n, d)."""
        columns = [np.searchsorted(high, column) for high, column in zip(self.highest, x.T, strict=True)]
        return np.stack(columns, 1)


def bins(x: Array, most: int) -> Bins:
    """At most `most` bins for each feature, of about equally many rows where it has more values than that."""
    edges = []
    for column in x.T:
        values, counts = np.unique(column, return_counts=True)
        before = np.cumsum(counts) - counts
        group = np.arange(len(values)) if len(values) <= most else before * most // len(column)
        first = np.flatnonzero(np.diff(group, prepend=-1))
        edges.append((values[first], values[np.append(first[1:], len(values)) - 1]))
    shape = len(edges), max(len(low) for low, _ in edges)
    found = Bins(np.full(shape, np.inf), np.full(shape, np.inf))
    for f, (low, high) in enumerate(edges):
        found.lowest[f, : len(low)], found.highest[f, : len(high)] = low, high
    return found


def exact(values: Array, bound: float, rows: int) -> Array:
    """`values` rounded so that float64 adds up `rows` of them without error, if none exceeds `bound`."""
    unit = 2.0 ** (np.ceil(np.log2(bound * rows)) - 52)
    return np.round(values / unit) * unit


@dataclass(frozen=True, slots=True)
class Trees:
    """K trees of one depth limit, as heaps of N nodes."""

    feature: Array
    """Which one a node asks for, shape (K, N); LEAF where it asks none."""
    threshold: Array
    """Rows with at most so much go left, shape (K, N)."""
    value: Array
    """What a leaf says, shape (K, N)."""

    def leaves(self, x: Array) -> Array:
        """The node where each row ends, shape (K, n)."""
        tree, row = np.ogrid[: len(self.feature), : len(x)]
        node = np.zeros((len(self.feature), len(x)), np.int64)
        for _ in range(self.feature.shape[1].bit_length() - 1):
            feature = self.feature[tree, node]
            right = x[row, feature] > self.threshold[tree, node]
            node = np.where(feature == LEAF, node, 2 * node + 1 + right)
        return node

    def predict(self, x: Array) -> Array:
        """What each tree says of each row, shape (K, n)."""
        return np.take_along_axis(self.value, self.leaves(x), 1)


def pack(rounds: Sequence[Trees]) -> dict[str, torch.Tensor]:
    """The trees of every round as few tensors; `unpack` is the way back."""
    parts = {
        name: [getattr(trees, name).ravel() for trees in rounds] or [np.zeros(0)]
        for name in ("feature", "threshold", "value")
    }
    shapes = torch.tensor([trees.feature.shape for trees in rounds], dtype=torch.int64).reshape(-1, 2)
    return {name: torch.from_numpy(np.concatenate(arrays)) for name, arrays in parts.items()} | {
        "shapes": shapes
    }


def unpack(state: Mapping[str, torch.Tensor]) -> list[Trees]:
    """The trees of every round."""
    shapes = state["shapes"].tolist()
    ends = np.cumsum([count * nodes for count, nodes in shapes])
    return [
        Trees(
            **{
                name: state[name].numpy()[end - count * nodes : end].reshape(count, nodes)
                for name in ("feature", "threshold", "value")
            }
        )
        for (count, nodes), end in zip(shapes, ends.tolist(), strict=True)
    ]


def grow(
    cuts: Bins,
    codes: Array,
    stats: Array,
    depth: int,
    ranks: Ranks,
    columns: Array | None = None,
    least: float = 0.0,
) -> tuple[Trees, Array]:
    """Trees whose leaves say nothing yet, and the node where each of this rank's rows ends, shape (K, n).

    A node is split where the squared error falls most; of equals, at the first feature and the lowest
    threshold. One that gains nothing by it stays a leaf (scikit-learn may split it all the same).

    Args:
        codes: bins of this rank's rows, shape (n, d).
        stats: for each tree and row its weight, and weight times vector; made `exact`; shape (K, n, 1 + m).
        columns: the features that may be asked for; None: all.
        least: weight that each side of a split needs at least; above 0 in any case.
    """
    trees, rows, d = len(stats), len(codes), codes.shape[1]
    width = cuts.lowest.shape[1]
    flat = codes + np.arange(d) * width  # (n, d)
    feature = np.full((trees, 2 ** (depth + 1) - 1), LEAF)
    threshold = np.zeros(feature.shape)
    node = np.zeros((trees, rows), np.int64)
    barred = np.zeros(d, bool) if columns is None else ~np.isin(np.arange(d), columns)
    for level in range(depth):
        first, nodes = 2**level - 1, 2**level
        sums = np.stack([
            _histograms(flat, node[k] - first, stats[k], nodes * d * width, d * width) for k in range(trees)
        ])  # fmt: skip
        ranks.sum(torch.from_numpy(sums))
        left = sums.reshape(trees, nodes, d, width, -1)
        filled = left[..., 0] > 0
        left = left.cumsum(3)
        total = left[:, :, :, -1:]
        right = total - left
        whole = _score(total)
        gain = _score(left) + _score(right) - whole
        enough = max(least, np.finfo(float).tiny)
        fine = filled & (left[..., 0] >= enough) & (right[..., 0] >= enough) & (gain > 1e-12 * whole)
        gain[~fine] = -np.inf
        gain[:, :, barred] = -np.inf
        gain = gain.reshape(trees, nodes, -1)
        best = gain.argmax(2)
        tree, place = np.nonzero(gain.max(2) > 0)
        chosen, at = np.divmod(best[tree, place], width)
        # Between the two values that lie next to the cut in this node, as in scikit-learn.
        later = filled[tree, place, chosen] & (np.arange(width) > at[:, None])
        feature[tree, first + place] = chosen
        threshold[tree, first + place] = (
            cuts.highest[chosen, at] / 2 + cuts.lowest[chosen, later.argmax(1)] / 2
        )
        cut = np.zeros((trees, nodes), np.int64)
        cut[tree, place] = at
        for k in range(trees):
            here = np.flatnonzero(node[k] >= first)
            asked = feature[k, node[k, here]]
            here, asked = here[asked != LEAF], asked[asked != LEAF]
            node[k, here] = 2 * node[k, here] + 1 + (codes[here, asked] > cut[k, node[k, here] - first])
    return Trees(feature, threshold, np.zeros(feature.shape)), node


def leaf_sums(stats: Array, node: Array, nodes: int, ranks: Ranks) -> Array:
    """Sums over all ranks of what `stats` (K, n, m) says of the rows in each node, shape (K, nodes, m)."""
    sums = np.stack([
        np.stack([np.bincount(at, column, nodes) for column in stat.T], 1)
        for at, stat in zip(node, stats, strict=True)
    ])  # fmt: skip
    return ranks.sum(torch.from_numpy(sums)).numpy()


def _histograms(flat: Array, node: Array, stats: Array, size: int, stride: int) -> Array:
    """This rank's sums in each bin of each feature of each node of a level, shape (size, 1 + m)."""
    rows = np.flatnonzero((node >= 0) & (stats[:, 0] > 0))
    places = (flat[rows] + (node[rows] * stride)[:, None]).ravel()
    d = flat.shape[1]
    return np.stack([np.bincount(places, np.repeat(column, d), size) for column in stats[rows].T], 1)


def _score(sums: Array) -> Array:
    """Squared length of the sum of vectors over the weight: what least squares explains; 0 for no rows."""
    squares = np.square(sums[..., 1:]).sum(-1)
    return np.divide(squares, sums[..., 0], out=np.zeros(squares.shape), where=sums[..., 0] > 0)
