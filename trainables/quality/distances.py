"""Distances between generated and real images on features of our own classifier, with the floor beside them.

fcd: Frechet distance of two Gaussians fitted to the features (as FID; Heusel et al. 2017, arXiv:1706.08500).
kcd: unbiased squared MMD with a cubic kernel (as KID; Binkowski et al. 2018, arXiv:1801.01401).

The real side is all held-out images (validation and test): 500 digits or 15,000 photographs. Both figures
depend on the number of generated images, fcd strongly; the floor is what as many training images reach.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import torch
from torch import Tensor

from trainables.engine.images import cache_folder
from trainables.quality import features

CHUNK = 1024


def frechet(a: Tensor, b: Tensor) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of the rows' means and covariances.

    Dowson & Landau (1982). The root's trace is the sum of the square roots of the eigenvalues of
    C_a^(1/2) C_b C_a^(1/2), which is symmetric and has those of C_a C_b.

    Args:
        a, b: features, shapes (n, f) and (m, f), of at least two images each.
    """
    _refuse_few(a, b)
    a, b = a.double(), b.double()
    (mean_a, cov_a), (mean_b, cov_b) = ((x.mean(0), torch.cov(x.T).reshape(x.shape[1], -1)) for x in (a, b))
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return float((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap)


def kernel(a: Tensor, b: Tensor) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy, kernel (x.y / f + 1)^3.

    Its mean is 0 where both come from one distribution, so that it may be negative (Gretton et al. 2012,
    eq. 3).

    Args:
        a, b: features, shapes (n, f) and (m, f), of at least two images each.
    """
    _refuse_few(a, b)
    a, b = a.double(), b.double()
    n, m = len(a), len(b)
    within_a = (_sum(a, a) - _cubic(a.square().sum(1), a.shape[1]).sum()) / (n * (n - 1))
    within_b = (_sum(b, b) - _cubic(b.square().sum(1), a.shape[1]).sum()) / (m * (m - 1))
    return float(within_a + within_b - 2 * _sum(a, b) / (n * m))


def floor(dataset: str = "digits", count: int | None = None) -> float:
    """The Frechet distance of real images from real ones: `count` training images from all held-out ones.

    A perfect generator reaches it on average.

    Args:
        count: as many as were generated; None: as many as are held out.
    """
    return _floor(dataset, count, cache_folder())


def quality(images: Tensor, labels: Tensor | None, dataset: str) -> dict[str, float]:
    """`fcd`, its floor for as many images, `kcd`, and with labels `consistency`.

    Args:
        images: generated ones, shape (n, channels, side, side), in [-1, 1].
        labels: the classes that were asked for, shape (n,); consistency is the share that has come out.

    Returns:
        All NaN where an image is not finite: a network that has diverged.
    """
    if not images.isfinite().all():
        names = ("fcd", "fcd_floor", "kcd") if labels is None else ("fcd", "fcd_floor", "kcd", "consistency")
        return dict.fromkeys(names, math.nan)
    seen = features.features(dataset, images).cpu()
    real = _held_out(dataset, cache_folder())
    found = {
        "fcd": frechet(seen, real),
        "fcd_floor": floor(dataset, len(images)),
        "kcd": kernel(seen, real),
    }
    if labels is not None:
        agree = features.labels(dataset, images) == labels.to(images.device)
        found["consistency"] = float(agree.double().mean())
    return found


@functools.lru_cache(maxsize=8)  # the folder is a key because features of another cache may be others
def _held_out(dataset: str, cache: Path) -> Tensor:
    return features.features(dataset, features.real(dataset)[1])


@functools.lru_cache(maxsize=32)
def _floor(dataset: str, count: int | None, cache: Path) -> float:
    train, held_out = features.real(dataset)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    chosen = train[order[: len(held_out) if count is None else count]]
    return frechet(features.features(dataset, chosen), _held_out(dataset, cache))


def _cubic(products: Tensor, dimensions: int) -> Tensor:
    return (products / dimensions + 1) ** 3


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """Sum of the kernel over all pairs, a few rows at a time."""
    return torch.stack([_cubic(rows @ b.T, a.shape[1]).sum() for rows in torch.split(a, CHUNK)]).sum()


def _refuse_few(a: Tensor, b: Tensor) -> None:
    if min(len(a), len(b)) < 2 or a.shape[1:] != b.shape[1:] or a.ndim != 2:
        raise ValueError(
            f"features of shapes {tuple(a.shape)} and {tuple(b.shape)}; give (n, f) and (m, f), "
            "n and m at least 2."
        )
