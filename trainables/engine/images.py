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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
LAYOUT = b"HWC uint8, int64 labels, 1"  # part of the key: change it when the files' layout changes


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How training images are changed at random, each by its own bits: the same for any number of ranks."""

    crop: int = 0
    """Pixels by which an image is moved at most, along each axis; zeros come in."""
    flip: bool = False
    """Whether half of the images are mirrored."""
    rotate: float = 0.0
    """Degrees by which an image is turned at most, either way."""
    colour: float = 0.0
    """Share by which brightness, contrast and saturation are changed at most."""


class Images:
    """A split of decoded images; a batch is (normalised float images, labels).

    Args:
        pixels: shape (all, height, width, channels), uint8, may be memory-mapped.
        labels: shape (all,).
        rows: which of them belong to this split, shape (samples,).
        mean, std: of each channel, on the scale 0-255.
        augment: how images are changed where random bits are given; None: not at all.
    """

    def __init__(
        self,
        pixels: Pixels,
        labels: Labels,
        rows: npt.NDArray[np.int64],
        mean: Sequence[float],
        std: Sequence[float],
        augment: Augmentation | None = None,
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
        augment = self.augment if bits is not None else None
        if augment is not None and bits is not None and (augment.crop or augment.flip):
            pixels = crop_and_flip(pixels, bits, augment.crop, augment.flip)
        x, y = torch.from_numpy(pixels), torch.from_numpy(self.labels[rows])
        if device.type != "cpu":  # the copy is of bytes: a quarter of the floats
            x, y = x.pin_memory().to(device, non_blocking=True), y.pin_memory().to(device, non_blocking=True)
            self.scale, self.shift = self.scale.to(device), self.shift.to(device)
        flat = torch.addcmul(self.shift, x.flatten(1).float(), self.scale)
        images = flat.view(x.shape).permute(0, 3, 1, 2)
        if augment is not None and bits is not None:
            if augment.colour:
                images = recoloured(images, bits, augment.colour)
            if augment.rotate:
                images = rotated(images, bits, augment.rotate)
        return images, y


def crop_and_flip(pixels: Pixels, bits: npt.NDArray[np.uint64], pad: int, flip: bool) -> Pixels:
    """Each image moved by up to `pad` pixels both ways (zeros come in), and half of them mirrored."""
    n, height, width, channels = pixels.shape
    span = np.uint64(2 * pad + 1)
    down = (bits % span).astype(np.intp)
    right = (bits // span % span).astype(np.intp)
    padded = np.zeros((n, height + 2 * pad, width + 2 * pad, channels), np.uint8)
    padded[:, pad : pad + height, pad : pad + width] = pixels
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    out = np.ascontiguousarray(windows[np.arange(n), down, right].transpose(0, 2, 3, 1))
    if flip:
        mirror = (bits >> np.uint64(63)).astype(bool)
        out[mirror] = out[mirror, :, ::-1]
    return out


def rotated(images: torch.Tensor, bits: npt.NDArray[np.uint64], degrees: float) -> torch.Tensor:
    """Each image turned by up to so many degrees either way, bilinear; its border is repeated outwards."""
    angle = torch.from_numpy(_uniform(bits, 1)).to(images) * (degrees * np.pi / 180)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turn = torch.stack([cosine, -sine, zero, sine, cosine, zero], dim=1).view(-1, 2, 3)
    grid = torch.nn.functional.affine_grid(turn, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def recoloured(images: torch.Tensor, bits: npt.NDArray[np.uint64], strength: float) -> torch.Tensor:
    """Brightness, contrast and saturation of each image changed at random, by up to `strength` of them."""
    draws = [torch.from_numpy(_uniform(bits, k)).to(images).view(-1, 1, 1, 1) for k in (2, 3, 4)]
    brightness, contrast, saturation = (strength * draw for draw in draws)
    middle, grey = images.mean((1, 2, 3), keepdim=True), images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + saturation)
    return middle + (images - middle) * (1 + contrast) + brightness


def _uniform(bits: npt.NDArray[np.uint64], stream: int) -> npt.NDArray[np.float32]:
    """A uniform draw in [-1, 1) for each sample from its bits; independent ones for other streams."""
    with np.errstate(over="ignore"):
        mixed = (bits ^ np.uint64(stream)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return ((mixed >> np.uint64(40)).astype(np.float32) * 2**-23 - 1).astype(np.float32)


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
