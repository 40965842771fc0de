"""CIFAR-10 (Krizhevsky 2009) as Parquet files: where they are, how they are split, how to make them.

The files are `train-*.parquet` and `test*.parquet` with the columns image (JPEG or PNG bytes) and label
(int8).
"""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN = (125.3, 123.0, 113.9)  # of the training images' channels, 0-255
STD = (63.0, 62.1, 66.7)
HELD_OUT = 5000
ROW_GROUP = 1000


def locate(data: str | None) -> Path:
    """The folder with the Parquet files: `data`, else the environment variable STARLING_DATA, or `cifar10`
    in it.

    Raises:
        ValueError: saying how to get them, if they are not there.
    """
    given = data or os.environ.get("STARLING_DATA")
    how = (
        "Download cifar-10-python.tar.gz from the CIFAR-10 home page and run "
        "`starling data cifar10 --from cifar-10-python.tar.gz`, then give its folder as `data` or "
        "STARLING_DATA."
    )
    if not given:
        raise ValueError(f"cifar10 needs a data folder, and neither `data` nor STARLING_DATA is set. {how}")
    for folder in (Path(given).expanduser(), Path(given).expanduser() / "cifar10"):
        if next(folder.glob("train*.parquet"), None) and next(folder.glob("test*.parquet"), None):
            return folder
    raise ValueError(f"{given} holds no train*.parquet and test*.parquet. {how}")


def files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Training and test files, in the order of their names."""
    return sorted(folder.glob("train*.parquet")), sorted(folder.glob("test*.parquet"))


def split(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows to train on and rows held out: 5,000 (a tenth of a smaller set), the same for every seed."""
    order = np.random.default_rng(10).permutation(count)
    held_out = min(HELD_OUT, count // 10)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def convert_cifar10(archive: str | Path, out_dir: str | Path) -> Path:
    """Turn the official python-version archive (.tar.gz) into Parquet files in `out_dir`, and return that
    folder.

    Images become PNG, which is lossless: accuracies stay comparable with published ones. The archive's
    pickles are read without running any code they name.

    Raises:
        ValueError: if the archive lacks a batch or holds something else than images and labels.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(
        [("image", pa.binary()), ("label", pa.int8())],
        metadata={"classes": ",".join(CLASSES), "encoding": "png", "shape": "32,32,3"},
    )
    with tarfile.open(archive) as tar:
        for batch, name in _batches(tar, archive):
            images, labels = _read(tar, batch)
            table = pa.table(
                {"image": [_png(i) for i in images], "label": pa.array(labels, pa.int8())}, schema
            )
            partial = out / f".{name}.partial"
            pq.write_table(table, partial, row_group_size=ROW_GROUP, compression="none")
            partial.replace(out / name)
    return out


def _batches(tar: tarfile.TarFile, archive: str | Path) -> Iterator[tuple[tarfile.TarInfo, str]]:
    members = {Path(m.name).name: m for m in tar.getmembers() if m.isfile()}
    wanted = {f"data_batch_{i + 1}": f"train-{i:05d}-of-00005.parquet" for i in range(5)}
    wanted["test_batch"] = "test.parquet"
    missing = [name for name in wanted if name not in members]
    if missing:
        raise ValueError(
            f"{archive} lacks {', '.join(missing)}; needed is the python version of CIFAR-10 "
            f"(cifar-10-python.tar.gz)."
        )
    return ((members[batch], name) for batch, name in wanted.items())


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[npt.NDArray[np.uint8], list[int]]:
    stream = tar.extractfile(member)
    assert stream is not None  # _batches keeps files only
    content = _Unpickler(stream, encoding="bytes").load()
    data, labels = content.get(b"data"), content.get(b"labels")
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise ValueError(f"{member.name} holds no `data` array and `labels` list.")
    if data.pixels.ndim != 2 or data.pixels.shape != (len(labels), 3072):
        raise ValueError(
            f"{member.name}: data has shape {data.pixels.shape}; expected ({len(labels)}, 3072)."
        )
    # Rows are the red, green and blue planes of an image, one after the other.
    return data.pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), [int(label) for label in labels]


class _Array:
    """Stands in for numpy.ndarray: takes shape and raw bytes out of a pickle, and nothing else."""

    pixels: npt.NDArray[np.uint8]

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _DType) or dtype.name != "u1" or fortran:
            raise ValueError("the array in the archive is not of bytes in C order.")
        self.pixels = np.frombuffer(raw, np.uint8).reshape(shape)


class _DType:
    """Stands in for numpy.dtype."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name.decode() if isinstance(name, bytes) else name

    def __setstate__(self, state: Any) -> None:
        pass


def _latin1(text: str, encoding: str) -> bytes:
    """Stands in for _codecs.encode, which pickles of bytes name."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"the archive asks for the encoding {encoding!r}.")
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Knows four names and answers each with a harmless stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[str, Any] = {"_reconstruct": _Array, "ndarray": _Array, "dtype": _DType}
        if module.split(".")[0] == "numpy" and name in known:
            return known[name]
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        raise ValueError(f"the archive names {module}.{name}, which CIFAR-10 does not need; refused.")


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
