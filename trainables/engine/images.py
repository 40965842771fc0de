"""Images decoded once per node into a memory-mapped file, and batches gathered from it.

Decoding takes seconds; a gather from the decoded HWC bytes is some twenty times faster than decoding, is
shared by all ranks and trials of a node through the page cache, and yields channels_last tensors without a
copy.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
LAYOUT = b"HWC uint8, int64 labels, 1"  # part of the key: change it when the files' layout changes
PAD = 4


class Images:
    """A split of decoded images; a batch is (normalised float images, labels).

    Args:
        pixels: shape (all, height, width, channels), uint8, may be memory-mapped.
        labels: shape (all,).
        rows: which of them belong to this split, shape (samples,).
        mean, std: of each channel, on the scale 0-255.
        augment: crop at random after padding by 4 zeros, and mirror at random, where random bits are given.
    """

    def __init__(
        self,
        pixels: Pixels,
        labels: Labels,
        rows: npt.NDArray[np.int64],
        mean: Sequence[float],
        std: Sequence[float],
        augment: bool = False,
    ) -> None:
        self.pixels, self.labels, self.rows, self.augment = pixels, labels, rows, augment
        shape = pixels.shape[1:]
        # One row as long as an image: a broadcast over three channels would not vectorise.
        self.scale = (1 / torch.tensor(std)).expand(shape).reshape(-1).contiguous()
        self.shift = (-torch.tensor(mean) / torch.tensor(std)).expand(shape).reshape(-1).contiguous()

    def __len__(self) -> int:
        return len(self.rows)

    def batch(
        self, indices: npt.NDArray[np.int64], bits: npt.NDArray[np.uint64] | None, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (n, channels, height, width) in channels_last memory, and labels (n,)."""
        rows = self.rows[indices]
        pixels = self.pixels[rows]
        if self.augment and bits is not None:
            pixels = crop_and_flip(pixels, bits)
        x, y = torch.from_numpy(pixels), torch.from_numpy(self.labels[rows])
        if device.type != "cpu":  # the copy is of bytes: a quarter of the floats
            x, y = x.pin_memory().to(device, non_blocking=True), y.pin_memory().to(device, non_blocking=True)
            self.scale, self.shift = self.scale.to(device), self.shift.to(device)
        flat = torch.addcmul(self.shift, x.flatten(1).float(), self.scale)
        return flat.view(x.shape).permute(0, 3, 1, 2), y


def crop_and_flip(pixels: Pixels, bits: npt.NDArray[np.uint64]) -> Pixels:
    """Each image moved by up to 4 pixels both ways (zeros come in) and half of them mirrored."""
    n, height, width, channels = pixels.shape
    span = np.uint64(2 * PAD + 1)
    down = (bits % span).astype(np.intp)
    right = (bits // span % span).astype(np.intp)
    mirror = (bits >> np.uint64(63)).astype(bool)
    padded = np.zeros((n, height + 2 * PAD, width + 2 * PAD, channels), np.uint8)
    padded[:, PAD:-PAD, PAD:-PAD] = pixels
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    out = np.ascontiguousarray(windows[np.arange(n), down, right].transpose(0, 2, 3, 1))
    out[mirror] = out[mirror, :, ::-1]
    return out


def cache_folder() -> Path:
    """Where decoded images lie: `STARLING_CACHE`, else `~/.cache/starling`."""
    return Path(os.environ.get("STARLING_CACHE") or Path("~/.cache/starling").expanduser())


def decoded(files: Sequence[Path]) -> tuple[Pixels, Labels]:
    """Images and labels of Parquet files (columns image: encoded bytes, label: integer), memory-mapped.

    The first caller on a node decodes, all others wait for it; the cache is keyed by the files' contents.

    Raises:
        ValueError: if a file has other columns, or images differ in shape.
    """
    return _decoded(tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files), cache_folder())


@functools.lru_cache(maxsize=8)
def _decoded(files: tuple[tuple[str, int, int], ...], root: Path) -> tuple[Pixels, Labels]:
    key = hashlib.blake2b(LAYOUT, digest_size=16)
    for name, _, _ in files:
        with open(name, "rb") as file:
            key.update(hashlib.file_digest(file, "blake2b").digest())
    folder = root / "images" / key.hexdigest()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{folder}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes, also by a killed process
            if not folder.is_dir():
                _decode([name for name, _, _ in files], folder)
    return np.load(folder / "pixels.npy", mmap_mode="r"), np.load(folder / "labels.npy")


def _decode(files: Sequence[str], folder: Path) -> None:
    import pyarrow.parquet as pq

    building = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        tables = [_columns(pq.read_table(name), name) for name in files]
        labels = np.concatenate([labels for _, labels in tables])
        encoded = [image for images, _ in tables for image in images]
        first = _pixels(encoded[0])
        out = np.lib.format.open_memmap(building / "pixels.npy", "w+", np.uint8, (len(encoded), *first.shape))

        def fill(i: int) -> None:
            image = _pixels(encoded[i])
            if image.shape != first.shape:
                raise ValueError(
                    f"image {i} has shape {image.shape}, the first {first.shape}; one shape is needed."
                )
            out[i] = image

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for _ in pool.map(fill, range(len(encoded)), chunksize=256):
                pass
        out.flush()
        np.save(building / "labels.npy", labels)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _columns(table: object, name: str) -> tuple[list[bytes], Labels]:
    columns = table.column_names  # type: ignore[attr-defined]  # pyarrow ships no types
    if not {"image", "label"} <= set(columns):
        raise ValueError(
            f"{name} has the columns {columns}; needed: image (encoded bytes) and label (integer)."
        )
    return table["image"].to_pylist(), table["label"].to_numpy().astype(np.int64)  # type: ignore[index]


def _pixels(encoded: bytes) -> Pixels:
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(encoded)))
    return image if image.ndim == 3 else image[:, :, None]
