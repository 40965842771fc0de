"""Training steps of the task `ddpm` beside denoising-diffusion-pytorch, on CIFAR-10 images with one thread.

Both train a U-Net of four levels with equally many parameters (to within 5 %), with Adam, on 16 images a
step, each in its own way: the rival's `GaussianDiffusion(Unet)` on float images in memory, ours by the engine
with all that belongs to a trial. "by hand" is our network with the same loss in a bare loop over images in
memory, whose noise is drawn beforehand: what the engine costs.

The rival asks for torchvision, which has no build for PyTorch without GPUs, and for accelerate; neither takes
part in a training step. Empty modules stand for both, in this process only.

Repeats alternate. Times are CPU time, as in training_loop. bf16 is measured where the processor multiplies in
it.

    python -m benchmarks.unet_step [--repeats 7] [--steps 3]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.alternate import cpu_seconds
from benchmarks.images import parquet
from benchmarks.table import markdown, spread, verdict
from trainables.diffusion import Ddpm, DiscreteDiffusion
from trainables.engine.ddp import Ranks
from trainables.engine.loop import AUTOCAST, Loop

BATCH, WIDTH = 16, 32
OURS, THEIRS = (1, 2, 4, 7), (1, 2, 4, 8)
"""Channels of the four levels as multiples of WIDTH; a block of ours has more weights than one of theirs."""
HELD = 64
"""Steps whose images lie ready in memory, in the ways without the engine."""
GOALS = {"rival": 1.5, "overhead": 1.03}


def settings(data: Path, precision: str, steps: int) -> DiscreteDiffusion:
    """Ours, as a trial would have it."""
    return DiscreteDiffusion(
        dataset="cifar10", data=str(data), width=WIDTH, multipliers=",".join(map(str, OURS)),
        attention=4, conditional=False, batch_size=BATCH, optimizer="adam", lr=1e-4, precision=precision,
        report_every=steps, epochs=100,
    )  # fmt: skip


def engine(data: Path, precision: str, steps: int) -> Callable[[], None]:
    """`steps` steps of a trial: one report, without its evaluation."""
    task = Ddpm(settings(data, precision, steps))
    task.setup()
    loop = Loop(task, Ranks(0, 1, torch.device("cpu")))

    def advance() -> None:
        loop.advance()

    return advance


def by_hand(data: Path, precision: str, steps: int) -> Callable[[], None]:
    """The same network and loss in a loop of nothing else."""
    task = Ddpm(settings(data, precision, steps))
    task.setup()
    model = task.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return _loop(model, task.loss, _batches(task), precision, steps)


def rival(data: Path, precision: str, steps: int) -> Callable[[], None]:
    """What denoising-diffusion-pytorch does with a batch of images."""
    task = Ddpm(settings(data, precision, steps))
    task.setup()
    library = theirs()
    model = library.GaussianDiffusion(
        library.Unet(WIDTH, dim_mults=THEIRS), image_size=32, objective="pred_noise", beta_schedule="cosine"
    )
    return _loop(model, lambda model, batch: model((batch[0] + 1) / 2), _batches(task), precision, steps)


def theirs() -> Any:
    """The rival's module."""
    for name in ("torchvision", "accelerate"):
        stub: Any = sys.modules.setdefault(name, ModuleType(name))
        stub.transforms = stub.utils = stub.Accelerator = None
    from denoising_diffusion_pytorch import denoising_diffusion_pytorch

    return denoising_diffusion_pytorch


def parameters(data: Path) -> tuple[int, int]:
    """Ours and the rival's."""
    nets = Ddpm(settings(data, "fp32", 1)).build(), theirs().Unet(WIDTH, dim_mults=THEIRS)
    ours, rivals = (sum(p.numel() for p in net.parameters()) for net in nets)
    return ours, rivals


def _batches(task: Ddpm) -> list[Any]:
    bits = np.random.default_rng(0).integers(0, 2**63, (HELD, BATCH), dtype=np.uint64)
    rows = np.arange(HELD * BATCH).reshape(HELD, BATCH)
    return [task.train.batch(rows[i], bits[i], torch.device("cpu")) for i in range(HELD)]


def _loop(
    model: torch.nn.Module, loss: Callable[[Any, Any], Any], batches: list[Any], precision: str, steps: int
) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    dtype, at = AUTOCAST.get(precision), 0

    def advance() -> None:
        nonlocal at
        model.train()
        for _ in range(steps):
            with torch.autocast("cpu", dtype, enabled=dtype is not None):
                found = loss(model, batches[at % HELD])
            found.backward()
            optimizer.step()
            optimizer.zero_grad()
            at += 1

    return advance


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="of a repeat of one way")
    given = parser.parse_args()
    torch.set_num_threads(1)
    made = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    try:
        data, what = parquet(made)
        ours, rivals = parameters(data)
        print(f"Data: {what}. Parameters: {ours / 1e6:.2f} million, the rival's {rivals / 1e6:.2f}.\n")
        assert abs(ours / rivals - 1) < 0.05
        precisions = ["fp32", *["bf16"] * torch.cpu._is_avx512_bf16_supported()]
        makers = {"engine": engine, "by hand": by_hand, "denoising-diffusion-pytorch": rival}
        ways = {
            (way, precision): make(data, precision, given.steps)
            for precision in precisions
            for way, make in makers.items()
        }
        took = cpu_seconds(ways, given.repeats)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    rows = [
        [f"{way}, {precision}", spread([1e3 * s / given.steps for s in seconds])]
        for (way, precision), seconds in took.items()
    ]
    print(markdown(["way", "CPU ms a step"], rows), end="\n\n")

    def ratio(above: tuple[str, str], below: tuple[str, str]) -> float:
        return statistics.median(a / b for a, b in zip(took[above], took[below], strict=True))

    for precision in precisions:
        other = ratio(("denoising-diffusion-pytorch", precision), ("engine", precision))
        print(verdict(f"{precision}, denoising-diffusion-pytorch / engine", other, GOALS["rival"]))
        cost = ratio(("engine", precision), ("by hand", precision))
        print(verdict(f"{precision}, engine / by hand", cost, GOALS["overhead"], at_most=True))
    if "bf16" in precisions:
        print(f"- engine, fp32 / bf16: {ratio(('engine', 'fp32'), ('engine', 'bf16')):.3g}")
    else:
        print("- bf16: not measured, this processor does not multiply in it")


if __name__ == "__main__":
    main()
