"""Images/s of the engine's data path beside torch's DataLoader over jpg files, up to the normalised batch.

The DataLoader reads what most training scripts read: a folder of jpg files (here CIFAR-10's own JPEG bytes,
warm in the page cache), decoded by Pillow, normalised, collated, shuffled. The engine gathers from its
memory-mapped cache of decoded images. Both in one process and one thread, per CPU second; DataLoader's worker
processes would spread the same work over more cores and add the cost of passing batches on. Random crops and
mirror images are measured as a second pair, done by Pillow on the DataLoader's side.

    python -m benchmarks.data_path [--repeats 5] [--images 10000]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

from benchmarks.images import encoded, parquet
from benchmarks.table import markdown, spread, verdict
from trainables.engine import cifar10, data
from trainables.engine.images import Augmentation, Images, decoded

BATCH = 128


class Files(Dataset[tuple[torch.Tensor, int]]):
    """jpg files as a map-style dataset, without torchvision."""

    def __init__(self, files: list[Path], labels: list[int], augment: bool) -> None:
        self.files, self.labels, self.augment = files, labels, augment
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (cifar10.MEAN, cifar10.STD))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image: Any = Image.open(self.files[index])
        if self.augment:
            left, top, mirror = torch.randint(0, 9, (3,)).tolist()
            image = ImageOps.expand(image, 4).crop((left, top, left + 32, top + 32))
            image = ImageOps.mirror(image) if mirror % 2 else image
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
        return (pixels - self.mean) / self.std, self.labels[index]


def loader(files: list[Path], labels: list[int], augment: bool) -> Callable[[], int]:
    """One pass over all files; how many images came."""
    batches = DataLoader(Files(files, labels, augment), BATCH, shuffle=True)
    return lambda: sum(len(x) for x, _ in batches)


def engine(split: Images, passes: int) -> Callable[[], int]:
    """Passes over a split, in the engine's order with its random bits; how many images came."""
    order, start = data.Order(len(split), seed=0), 0

    def run() -> int:
        nonlocal start
        count = 0
        while count < passes * len(split):
            rows = order.take(start, BATCH)
            images, _ = split.batch(rows, data.bits(0, start, BATCH), torch.device("cpu"))
            start, count = start + BATCH, count + len(images)
        return count

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=10_000, help="jpg files")
    given = parser.parse_args()
    torch.set_num_threads(1)
    made = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    try:
        folder, what = parquet(made, given.images)
        images, labels = encoded(folder, given.images)
        files = [made / f"{i:05d}.jpg" for i in range(len(images))]
        for file, image in zip(files, images, strict=True):
            file.write_bytes(image)
        os.environ["STARLING_CACHE"] = str(made)
        began = time.process_time()
        pixels, classes = decoded(cifar10.files(folder)[0])
        decode_s = time.process_time() - began
        rates: dict[str, list[float]] = {}
        for augment in (False, True):
            change = Augmentation(crop=4, flip=True) if augment else None
            split = Images(pixels, classes, np.arange(len(files)), cifar10.MEAN, cifar10.STD, change)
            word = ", crops and mirror images" if augment else ""
            ways = {
                f"engine{word}": engine(split, 1 if augment else 4),
                f"DataLoader over jpg files{word}": loader(files, labels, augment),
            }
            rates |= {way: [] for way in ways}
            for repeat in range(given.repeats + 1):
                for way, run in ways.items():
                    cpu = time.process_time()
                    count = run()
                    if repeat:  # the first one warms
                        rates[way].append(count / (time.process_time() - cpu))
    finally:
        shutil.rmtree(made, ignore_errors=True)
    middle = [statistics.median(values) for values in rates.values()]
    print(f"Data: {what}; batches of {BATCH}, passes over {len(files)} images.\n")
    print(
        markdown(["path", "images per CPU second"], [[way, spread(values)] for way, values in rates.items()])
    )
    print()
    print(verdict("engine / DataLoader", middle[0] / middle[1], 10))
    print(f"- with crops and mirror images: {middle[2] / middle[3]:.3g}")
    print(f"- once a node: {decode_s:.1f} CPU s to decode {len(pixels)} images into the cache")


if __name__ == "__main__":
    main()
