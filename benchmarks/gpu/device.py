"""The device that is measured: why there is none, what it is, time and memory on it."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

Way = TypeVar("Way")
MIB = 2**20


def obstacle() -> str | None:
    """Why nothing can be measured here and what to do, in a sentence; None where there is a CUDA device."""
    cure = "Where there is an NVIDIA GPU, name an environment whose PyTorch has CUDA: make bench-gpu VENV=DIR"
    if find_spec("torch") is None:
        return f"PyTorch is not installed in {sys.prefix}. {cure}"
    import torch

    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} in {sys.prefix} is built without CUDA. {cure}"
    return (
        f"PyTorch {torch.__version__} sees no CUDA device. Look at what `nvidia-smi` says, and whether "
        "CUDA_VISIBLE_DEVICES hides it."
    )


def first() -> torch.device:
    """The first CUDA device.

    Raises:
        SystemExit: there is none; says why, and that nothing was measured.
    """
    reason = obstacle()
    if reason is not None:
        print(f"No GPU, nothing measured: {reason}")
        raise SystemExit(0)
    import torch

    return torch.device("cuda:0")


def described(device: torch.device) -> str:
    """How many of its kind there are, its name and memory, and the libraries that compute on it."""
    import torch

    if device.type != "cuda":
        return "the CPU"
    about = torch.cuda.get_device_properties(device)
    cudnn: Any = torch.backends.cudnn
    nccl: Any = torch.cuda.nccl
    joined = ".".join(map(str, nccl.version()))
    kits = f"CUDA {torch.version.cuda}, cuDNN {cudnn.version()}, NCCL {joined}"
    count = torch.cuda.device_count()
    return f"{count} x {about.name} ({about.total_memory / 2**30:.0f} GiB), {kits}"


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Wall-clock time until the device has done all that `run` asks of it."""
    _finish(device)
    began = time.perf_counter()
    run()
    _finish(device)
    return time.perf_counter() - began


def in_turn(
    ways: Mapping[Way, Callable[[], object]], repeats: int, device: torch.device
) -> tuple[dict[Way, float], dict[Way, list[float]]]:
    """Seconds of the first call of each way, and of `repeats` further ones, taken in turn.

    The first call compiles, chooses kernels and fills caches; it is no measurement of the way itself.
    """
    opening = {way: seconds(run, device) for way, run in ways.items()}
    took: dict[Way, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, run in ways.items():
            took[way].append(seconds(run, device))
    return opening, took


def held(device: torch.device) -> dict[str, float]:
    """MiB that this process holds, by kind.

    `resident` is the host's memory. On a GPU tensors have what is `allocated`, and PyTorch's allocator what
    is `reserved`; `used` is what all processes have of the device.
    """
    import torch

    status = Path("/proc/self/status").read_text()
    found = {"resident": int(status.partition("VmRSS:")[2].split()[0]) / 1024}
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        found |= {
            "allocated": torch.cuda.memory_allocated(device) / MIB,
            "reserved": torch.cuda.memory_reserved(device) / MIB,
            "used": (total - free) / MIB,
        }
    return found


def half(device: torch.device) -> str:
    """bf16, or fp16 on a GPU whose hardware has no bf16 (older than Ampere)."""
    import torch

    modern = device.type != "cuda" or torch.cuda.get_device_capability(device) >= (8, 0)
    return "bf16" if modern else "fp16"


@contextlib.contextmanager
def ray_with(gpus: int, cpus: int = 8) -> Iterator[None]:
    """A quiet Ray on this machine with so many devices in its books, and CPUs for all the trials at once."""
    import ray

    ray.init(
        address="local", num_cpus=cpus, num_gpus=gpus, include_dashboard=False,
        log_to_driver=False, logging_level=logging.ERROR,
    )  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


def _finish(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
