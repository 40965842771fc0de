"""What models without learning reach: the gates that a flow (bits per dimension) or an autoencoder (decibels)
has to pass.

Fitted to the training images and measured on others. A density is of images dequantised by uniform noise
of one grey level (Theis et al. 2016, arXiv:1511.01844), so that it bounds the bits of the grey levels
themselves.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from trainables.denoising.datasets import SHAPES, splits
from trainables.quality.features import pixels
from trainables.quality.psnr import psnr

CHUNK = 4096


def uniform(levels: int) -> float:
    """All grey levels alike."""
    return math.log2(levels)


def gaussian(train: Tensor, others: Tensor, bin_width: float) -> float:
    """One normal distribution with a full covariance, fitted to dequantised images.

    Noise u in [0, w) adds w^2 / 12 to every variance, and the mean over it is taken in closed form:
    E (y + u - m)^T P (y + u - m) = (y + w/2 - m)^T P (y + w/2 - m) + w^2/12 tr P.

    Args:
        train, others: shapes (n, d) and (m, d).
    """
    d, spread = train.shape[1], bin_width**2 / 12
    mean = train.mean(0, dtype=torch.float64)
    covariance = spread * torch.eye(d, dtype=torch.float64)
    for rows in torch.split(train, CHUNK):  # all at once in double precision would take a GiB of CIFAR-10
        covariance.addmm_((rows - mean).T, rows - mean, alpha=1 / (len(train) - 1))
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(factor, (others - mean).T, upper=False)
    squared = white.square().sum(0).mean() + spread * torch.cholesky_inverse(factor).trace()
    nats = 0.5 * squared + factor.diagonal().log().sum() + d / 2 * math.log(2 * math.pi)
    return float(nats) / (d * math.log(2)) - math.log2(bin_width)


def histogram(train: Tensor, others: Tensor, levels: int) -> float:
    """Independent pixels, each with its own frequencies of grey levels, one image of each level added.

    Args:
        train, others: grey levels from 0, integers, shapes (n, d) and (m, d).
    """
    bits = 0.0
    for own, new in zip(train.T, others.T, strict=True):
        count = torch.bincount(own, minlength=levels).double() + 1
        bits -= float((count / count.sum()).log2()[new].mean())
    return bits / train.shape[1]


@functools.cache
def mean_image_psnr(dataset: str, data: str | None = None) -> float:
    """Decibels of the training images' mean as the answer to every test image; pixels from -1 to 1."""
    train, _, test = (pixels(split)[0] for split in splits(dataset, data))
    return float(psnr(train.mean(0), test).mean())


@functools.cache
def bits_per_dim(dataset: str, data: str | None = None) -> dict[str, float]:
    """The three by name, on the test split."""
    shape = SHAPES[dataset]
    train, _, test = (pixels(split)[0].flatten(1) for split in splits(dataset, data))
    own, new = (((x + 1) / shape.bin_width).round().long() for x in (train, test))
    return {
        "uniform": uniform(shape.levels),
        "gaussian": gaussian(train, test, shape.bin_width),
        "histogram": histogram(own, new, shape.levels),
    }
