"""`starling lr-range`: at which learning rates a sweep's trainable learns, by a range test in this process.

Searched parameters stand in the middle of their ranges, unless they are fixed with `--set`.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeps.diagnosis.lr_regions import regions

if TYPE_CHECKING:
    from sweeps.spec import Sweep
    from trainables.engine.lr_range import Curve

ROWS = 25
"""Lines of the picture at most."""
WIDTH = 50


def measure(sweep: Sweep, *, low: float = 1e-6, high: float = 10.0, steps: int = 100) -> Curve:
    """Train one trial of the sweep on one rank, its learning rate rising from `low` to `high`.

    Raises:
        ValueError: where the trainable takes no steps of gradient descent, data is lacking or a value wrong.
    """
    import torch

    from trainables.engine import hparams
    from trainables.engine.ddp import Ranks
    from trainables.engine.loop import Loop
    from trainables.engine.lr_range import curve, walk
    from trainables.registry import TaskProgram

    program = sweep.program()
    if not isinstance(program, TaskProgram) or "lr" not in (program.hyperparameters or {}):
        name = program.name if program is not None else "the trainable, which is not named yet,"
        raise ValueError(f"{name} has no learning rate that could be tried; tasks of gradient descent have.")
    config = middle(sweep)
    if lacking := [*program.check(config), *program.obstacles(config)]:
        raise ValueError("\n  ".join(["the range test cannot start:", *lacking]))
    if sweep.gpus_per_rank and not torch.cuda.is_available():
        raise ValueError(
            f"gpus_per_rank is {sweep.gpus_per_rank:g}, and PyTorch finds no CUDA device here; "
            "--gpus-per-rank 0 tries the rates on a CPU."
        )
    task = program.task(hparams.make(program.task.Config, config))
    task.setup()
    device = torch.device("cuda" if sweep.gpus_per_rank else "cpu")
    engine = task.engine(Ranks(0, 1, device))
    if not isinstance(engine, Loop):
        raise ValueError(f"{program.name} has an engine of its own, without steps of gradient descent.")
    return curve(list(_shown(walk(engine, low, high, steps), steps, sweep.quiet)))


def middle(sweep: Sweep) -> dict[str, Any]:
    """A configuration with every searched parameter in the middle of its range or of its options; `lr`, which
    the test sets itself, is 1."""
    space = sweep.search_space()
    return space.decode(np.full(len(space), 0.5)) | {"lr": 1.0}


def _shown(pairs: Any, steps: int, quiet: bool) -> Any:
    from rich.console import Console
    from rich.progress import track

    return track(
        pairs, "learning rates", total=steps, console=Console(stderr=True), transient=True, disable=quiet
    )


def text(curve: Curve) -> str:
    """The curve and what follows from it, for people."""
    lrs, smooth = np.array(curve.lrs), np.array(curve.smooth)
    lowest_at = smooth.argmin()
    chosen = np.unique([*np.linspace(0, len(lrs) - 1, ROWS).round().astype(int), lowest_at])
    lowest, highest = smooth.min(), smooth[0]
    span = max(highest - lowest, 1e-12)
    lines = [f"{'lr':>9}  {'loss':>9}"]
    for i in chosen:
        filled = min(1.0, max(0.0, (smooth[i] - lowest) / span))
        mark = "  lowest" if curve.best is not None and i == lowest_at else ""
        lines.append(f"{lrs[i]:9.2e}  {smooth[i]:9.4g}  {'#' * max(1, round(filled * WIDTH))}{mark}")
    if curve.proposed is None:
        return "\n".join([*lines, "the loss never fell: try others (--from, --to), or more --steps"])
    if (found := regions(curve.lrs, curve.losses, curve.smooth)) is not None:
        lines.append(
            f"too low below {found.begins:.2g}, steepest at {found.steepest:.2g}, "
            f"diverging above {found.ends:.2g}"
        )
    low, high = (f"{lr:.2g}" for lr in curve.proposed)
    return "\n".join([*lines, f"search lr from {low} to {high}: tune.loguniform({low}, {high})"])


def to_json(curve: Curve) -> str:
    """The curve as one JSON object."""
    found = regions(curve.lrs, curve.losses, curve.smooth)
    return json.dumps(
        {
            "lr": curve.lrs,
            "loss": curve.losses,
            "smooth": curve.smooth,
            "best": curve.best,
            "proposed": curve.proposed,
            "regions": None if found is None else dataclasses.asdict(found),
        }
    )
