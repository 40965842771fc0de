"""Features of images by which real and generated ones are compared: a classifier that is trained here.

What Inception is to FID (Heusel et al. 2017, arXiv:1706.08500) a small convolutional network is to our
distances. It is trained on first use, once a node, and kept in STARLING_CACHE under a checksum of its recipe
and its data; figures from different checksums must not be compared.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.denoising.datasets import CLASSES, SHAPES, splits
from trainables.engine.data import Dataset
from trainables.engine.images import cache_folder

FEATURES = 64
BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How the classifier of a dataset is made; any change makes other features."""

    width: int
    """Channels of the first stage; each of the next has twice as many."""
    stages: int
    """Each is a convolution, a batch normalisation, ReLU and a halving."""
    epochs: int
    batch_size: int = 50
    lr: float = 3e-3
    """Peak of one rise and fall (Smith & Topin 2018, arXiv:1708.07120), for AdamW."""
    seed: int = 0


RECIPES = {
    "digits": Recipe(width=32, stages=2, epochs=12),
    "cifar10": Recipe(width=16, stages=3, epochs=2),
}


class Features(nn.Module):
    """Images (n, channels, side, side) in [-1, 1] to features (n, 64), in float32 whatever the autocast."""

    accuracy: Tensor
    """Share of held-out images (validation and test) that it gets right, shape ()."""

    def __init__(self, channels: int, side: int, recipe: Recipe) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(recipe.stages):
            after = recipe.width * 2**i
            layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
            channels, side = after, side // 2
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side**2, FEATURES))
        self.scores = nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, CLASSES))
        self.register_buffer("accuracy", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        with torch.autocast(images.device.type, enabled=False):
            found: Tensor = self.body(images.float())
            return found


def extractor(dataset: str = "digits") -> Features:
    """The classifier of a dataset without its last layer, trained where nobody has done so before.

    Raises:
        ValueError: for an unknown dataset, or one whose files are not there.
    """
    if dataset not in RECIPES:
        raise ValueError(f"there are no features for {dataset!r}; known: {', '.join(RECIPES)}.")
    return _extractor(dataset, RECIPES[dataset], cache_folder())


def features(dataset: str, images: Tensor) -> Tensor:
    """Features of any number of images, shape (n, 64), float32."""
    net = extractor(dataset).to(images.device)
    with torch.no_grad():
        return torch.cat([net(part) for part in torch.split(images, BATCH)])


def labels(dataset: str, images: Tensor) -> Tensor:
    """The classes that the classifier sees in images, shape (n,)."""
    net = extractor(dataset).to(images.device)
    with torch.no_grad():
        return torch.cat([net.scores(net(part)).argmax(1) for part in torch.split(images, BATCH)])


def real(dataset: str) -> tuple[Tensor, Tensor]:
    """Images to train on, and all that are held out, as tensors: see `pixels`."""
    train, val, test = splits(dataset, None)
    return pixels(train)[0], torch.cat([pixels(val)[0], pixels(test)[0]])


def pixels(split: Dataset) -> tuple[Tensor, Tensor]:
    """All images (n, channels, side, side), in [-1, 1], and labels (n,) of a split."""
    images, classes = split.batch(np.arange(len(split)), None, torch.device("cpu"))
    return images.contiguous(), classes


@functools.lru_cache(maxsize=8)
def _extractor(dataset: str, recipe: Recipe, cache: Path) -> Features:
    train, val, test = (pixels(split) for split in splits(dataset, None))
    key = hashlib.blake2b(repr((dataset, FEATURES, recipe)).encode(), digest_size=16)
    for images, classes in (train, val, test):
        key.update(images.numpy().tobytes())
        key.update(classes.numpy().tobytes())
    shape = SHAPES[dataset]
    path = cache / "features" / f"{dataset}-{key.hexdigest()}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes, also by a killed process
        if not path.exists():
            held_out = torch.cat([val[0], test[0]]), torch.cat([val[1], test[1]])
            net = fit(recipe, train, held_out, shape.channels, shape.side)
            partial = path.with_suffix(f".{os.getpid()}")
            torch.save(net.state_dict(), partial)
            partial.replace(path)
    net = Features(shape.channels, shape.side, recipe)
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval().requires_grad_(False)


def fit(
    recipe: Recipe, train: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor], channels: int, side: int
) -> Features:
    """A new classifier: the same bits each time on a machine, whatever the caller's generators and threads.

    Trained on the CPU, so that a node's figures do not depend on whether it has a GPU.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
        ):
            torch.manual_seed(recipe.seed)
            net = Features(channels, side, recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            _descend(net, recipe, *train)
            net.eval().to(memory_format=torch.contiguous_format)
        with torch.no_grad():
            seen = [net.scores(net(part)).argmax(1) for part in torch.split(held_out[0], BATCH)]
            net.accuracy.copy_((torch.cat(seen) == held_out[1]).float().mean())
    finally:
        torch.set_num_threads(threads)
    return net


def _descend(net: Features, recipe: Recipe, images: Tensor, classes: Tensor) -> None:
    steps = recipe.epochs * math.ceil(len(images) / recipe.batch_size)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
    for _ in range(recipe.epochs):
        for rows in torch.split(torch.randperm(len(images)), recipe.batch_size):
            loss = F.cross_entropy(net.scores(net(images[rows])), classes[rows], label_smoothing=0.1)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
