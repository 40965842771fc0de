"""Tables that scikit-learn ships: measured by real people, no download."""

from __future__ import annotations

import functools

import numpy as np

from trainables.boosters.trees import Array

CLASSES = ("breast_cancer", "digits", "iris", "wine")
NUMBERS = ("diabetes",)

Split = tuple[Array, Array]
"""Rows (n, d) float32, and their classes (n,) int64 or numbers (n,) float64."""


@functools.cache
def load(name: str) -> tuple[Split, Split, Split]:
    """To train on, held out, and for the end: shuffled once, 250 of 1,797 parts for each of the last two.

    The parts of digits are those of the trainable `classify`.
    """
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(8).permutation(len(y))
    x, y = x[order].astype(np.float32), y[order].astype(np.int64 if name in CLASSES else np.float64)
    held = round(len(y) * 250 / 1797)
    first, second = len(y) - 2 * held, len(y) - held
    return (x[:first], y[:first]), (x[first:second], y[first:second]), (x[second:], y[second:])
