"""CIFAR-10 for the benchmarks, or random images of its shape where the files are not there."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.engine import cifar10


def parquet(made: Path, rows: int = 10_000) -> tuple[Path, str]:
    """The folder with CIFAR-10's Parquet files, and what it is in words for the table.

    Args:
        made: where to write random images if there are no files; STARLING_TEST_DATA and STARLING_DATA are
            looked at first.
        rows: how many random training images.
    """
    for given in (os.environ.get("STARLING_TEST_DATA"), os.environ.get("STARLING_DATA")):
        try:
            return cifar10.locate(given), "CIFAR-10"
        except ValueError:
            continue
    rng = np.random.default_rng(0)
    for name, count in (("train-00000.parquet", rows), ("test.parquet", rows // 10)):
        images = [_jpeg(rng.integers(0, 256, (32, 32, 3), np.uint8)) for _ in range(count)]
        labels = pa.array(rng.integers(0, 10, count), pa.int8())
        pq.write_table(pa.table({"image": images, "label": labels}), made / name)
    return made, "random images, as neither STARLING_TEST_DATA nor STARLING_DATA leads to CIFAR-10"


def encoded(folder: Path, count: int) -> tuple[list[bytes], list[int]]:
    """The first `count` training images as the files hold them (JPEG or PNG), and their labels."""
    tables = []
    for file in cifar10.files(folder)[0]:
        tables.append(pq.read_table(file))
        if sum(table.num_rows for table in tables) >= count:
            break
    table = pa.concat_tables(tables).slice(0, count)
    return table["image"].to_pylist(), table["label"].to_pylist()


def _jpeg(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG")
    return buffer.getvalue()
