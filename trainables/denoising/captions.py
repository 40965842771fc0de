"""Short texts about images, and their words as numbers.

A caption names the class, and whether the image is darker or brighter than half of the training images:
"bright three". What it says can be checked on an image that was drawn from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.engine import cifar10

NAMES: dict[str, Sequence[str]] = {
    "digits": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "cifar10": cifar10.CLASSES,
}
TONES = ("dark", "bright")
NOTHING = 0
"""The number of no word."""


def vocabulary(dataset: str) -> list[str]:
    """All words; a word's number is its place."""
    return ["", *TONES, *NAMES[dataset]]


def brightness(images: Tensor) -> Tensor:
    """Mean pixel of each image, shape (n,); one is bright where it is above the training images' median."""
    return images.flatten(1).mean(1)


def numbers(tones: Tensor | None, labels: Tensor) -> Tensor:
    """Captions' words as numbers, shape (n, 2), or (n, 1) without tones (n,), which are 0 for dark and 1 for
    bright; labels (n,) are classes."""
    names = labels + 1 + len(TONES)
    return names[:, None] if tones is None else torch.stack([tones + 1, names], 1)
