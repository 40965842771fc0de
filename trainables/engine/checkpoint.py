"""A trial's state as one atomic file, readable without trusting it (`weights_only=True`)."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

FILE = "state.pt"


def pack(state: dict[str, Any]) -> bytes:
    """The bytes of a state made of tensors, numbers, strings, lists and dicts."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, Any]:
    """The state in `data`, on the CPU. Nothing but tensors and plain values is ever unpickled."""
    import torch

    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def write(folder: str | Path, data: bytes, name: str = FILE) -> None:
    """Put `data` into a file of `folder`: all of it or nothing, whatever is killed meanwhile."""
    final = Path(folder, name)
    partial = final.with_name(f"{name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(final)


def read(folder: str | Path) -> bytes:
    """The bytes that `write` put into `folder`.

    Raises:
        ValueError: if there is no checkpoint of ours.
    """
    path = Path(folder, FILE)
    if not path.is_file():
        raise ValueError(f"{folder} holds no {FILE}; it is not a checkpoint of a Starling trial.")
    return path.read_bytes()
