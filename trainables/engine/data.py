"""Batches by rank: which samples a step sees is a function of (seed, samples seen so far) and of nothing
else.

The training split is an endless stream: permutation 0, permutation 1, ... A step takes the next
`batch_size * accumulate` samples of it, across the ends of permutations, so no sample is dropped, and each
rank takes its share of every pass.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from trainables.engine.cifar10 import convert_cifar10
from trainables.engine.images import Images

__all__ = [
    "Arrays",
    "Dataset",
    "Images",
    "Order",
    "as_dataset",
    "bits",
    "convert_cifar10",
    "normals",
    "share",
    "to_device",
]

Indices = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]


@runtime_checkable
class Dataset(Protocol):
    """A split of the data that makes whole batches at once."""

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def batch(self, indices: Indices, bits: Bits | None, device: torch.device) -> Any:
        """The samples at `indices`, on `device`.

        Args:
            bits: 64 random bits for each sample, to augment with; None: leave the samples as they are.
        """
        ...


class Arrays:
    """A tuple of arrays or tensors whose first axis counts samples; a batch is the tuple of their rows."""

    def __init__(self, *arrays: Any) -> None:
        self.tensors = tuple(torch.as_tensor(a) for a in arrays)
        lengths = {len(t) for t in self.tensors}
        if len(lengths) != 1:
            raise ValueError(
                f"arrays of lengths {[len(t) for t in self.tensors]}; a split needs equal lengths."
            )

    def __len__(self) -> int:
        return len(self.tensors[0])

    def batch(self, indices: Indices, bits: Bits | None, device: torch.device) -> tuple[torch.Tensor, ...]:
        """Rows of each tensor."""
        rows = torch.from_numpy(indices)
        return tuple(to_device(t[rows], device) for t in self.tensors)


class Collated:
    """A map-style `torch.utils.data.Dataset`, sample by sample; slower than `Arrays`."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, indices: Indices, bits: Bits | None, device: torch.device) -> Any:
        """Samples put together by PyTorch's `default_collate`."""
        from torch.utils.data import default_collate

        return _everywhere(default_collate([self.dataset[int(i)] for i in indices]), device)


def as_dataset(split: Any, name: str) -> Dataset:
    """What a task gave as `train` or `val`, as a `Dataset`.

    Raises:
        ValueError: if it is none of the accepted forms, or empty.
    """
    dataset: Any
    if isinstance(split, tuple | list):
        dataset = Arrays(*split)
    elif isinstance(split, Dataset):
        dataset = split
    elif hasattr(split, "__getitem__") and hasattr(split, "__len__"):
        dataset = Arrays(split) if isinstance(split, np.ndarray | torch.Tensor) else Collated(split)
    else:
        raise ValueError(
            f"`self.{name}` is {type(split).__name__}; setup() must set it to a tuple of arrays, an object "
            "with `__len__` and `batch(indices, bits, device)`, or a torch Dataset with a length."
        )
    if len(dataset) == 0:
        raise ValueError(f"`self.{name}` holds no samples; look at how setup() splits the data.")
    return dataset


class Order:
    """The endless stream of indices into a split of `length` samples, shuffled anew each time around."""

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self._known: dict[int, Indices] = {}

    def take(self, start: int, count: int) -> Indices:
        """Elements start, start + 1, ... of the stream, shape (count,)."""
        parts = []
        while count > 0:
            epoch, offset = divmod(start, self.length)
            part = self._permutation(epoch)[offset : offset + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _permutation(self, epoch: int) -> Indices:
        if epoch not in self._known:
            self._known = {e: p for e, p in self._known.items() if e == epoch - 1}
            self._known[epoch] = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        return self._known[epoch]


def share(count: int, rank: int, ranks: int) -> slice:
    """The part of `count` samples that falls to `rank`; parts differ by at most one sample."""
    return slice(count * rank // ranks, count * (rank + 1) // ranks)


def bits(seed: int, start: int, count: int) -> Bits:
    """64 random bits for each of the stream's elements start ... start + count - 1.

    SplitMix64 (Steele, Lea & Flood 2014) at the element's own counter, so that they do not depend on how the
    stream is cut into batches and ranks.
    """
    with np.errstate(over="ignore"):
        z = np.arange(start, start + count, dtype=np.uint64) + np.uint64(1)
        return _mixed(z * GOLDEN + np.uint64(seed) * np.uint64(0xD1B54A32D192ED03))


def normals(bits: Bits, count: int) -> npt.NDArray[np.float32]:
    """`count` standard normal draws for each sample from its random bits, shape (samples, count).

    Like the bits they do not depend on ranks: noise that is the same however a batch is dealt out.
    """
    from scipy.special import ndtri

    with np.errstate(over="ignore"):
        z = _mixed(bits[:, None] + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN)
    return ndtri(((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53).astype(np.float32)


GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(z: Bits) -> Bits:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy on `device`; to a GPU through pinned memory, so that the copy overlaps with computing."""
    if device.type == "cpu" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _everywhere(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, torch.Tensor):
        return to_device(batch, device)
    if isinstance(batch, dict):
        return {key: _everywhere(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(_everywhere(value, device) for value in batch)
    return batch
