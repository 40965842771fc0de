"""LCBench: 52 epochs of tabular networks with 7 hyperparameters, as YAHPO's surrogate (an ONNX network).

The surrogate's optima lie on its bounds, which rewards algorithms that clip. So wide ranges are widened at
both ends by a random 5 to 30 %, and what lies beyond is folded back: the optimum then lies inside.

Data: the folder `yahpo/lcbench` of YAHPO Gym (Pfisterer et al. 2022), found below STARLING_TEST_DATA.
"""

from __future__ import annotations

import functools
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune

from benchmarks.arena.problem import Array, Outcome, Problem, landmarks

EPOCHS = 52
TUNED = ("3945", "34539", "126026", "146212", "167168", "168330")
"""Tasks that algorithms may be tuned on."""
HELD_OUT = ("7593", "167185", "168908", "189354", "189866", "189908")
COLUMNS = (
    "epoch",
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "num_layers",
    "max_units",
    "max_dropout",
)
"""Order of the surrogate's inputs."""
LOGARITHMIC = ("batch_size", "learning_rate", "max_units")
INTEGER = ("batch_size", "num_layers", "max_units")
RANGES = {
    "batch_size": (16, 512),
    "learning_rate": (1e-4, 0.1),
    "momentum": (0.1, 0.99),
    "weight_decay": (1e-5, 0.1),
    "num_layers": (1, 5),
    "max_units": (64, 1024),
    "max_dropout": (0.0, 1.0),
}
SECONDS, VAL_CROSS_ENTROPY = 0, 2
"""Of the surrogate's outputs: time so far, and the loss."""


@functools.cache
def lcbench(task: str) -> Problem:
    """One task; its widened ranges depend on nothing but its number."""
    widened = _widened(task)
    space = {name: _domain(name, *widened[name]) for name in RANGES}

    def train(configs: list[dict[str, Any]]) -> list[Outcome]:
        found = _surrogate(task, configs, range(1, EPOCHS + 1))
        return [
            Outcome(one[:, VAL_CROSS_ENTROPY], max(1e-3, float(one[-1, SECONDS])) / EPOCHS) for one in found
        ]

    def final(configs: list[dict[str, Any]]) -> Array:
        return _surrogate(task, configs, [EPOCHS])[:, 0, VAL_CROSS_ENTROPY]

    optimum, middle = landmarks(space, final, seed=int(task))
    return Problem(
        name=f"lcbench-{task}", space=space, train=train, optimum=optimum, middle=middle, max_t=EPOCHS
    )


def data() -> Path:
    """The folder of the surrogate.

    Raises:
        FileNotFoundError: it is not there.
    """
    folder = Path(os.environ.get("STARLING_TEST_DATA", "")) / "yahpo" / "lcbench"
    if not (folder / "model.onnx").exists():
        raise FileNotFoundError(
            f"there is no {folder / 'model.onnx'}; set STARLING_TEST_DATA to the folder that has "
            "yahpo/lcbench (scenario lcbench of the YAHPO Gym data)"
        )
    return folder


def _widened(task: str) -> dict[str, tuple[float, float]]:
    rng = np.random.default_rng([7, int(task)])
    found = dict(RANGES)
    for name, (low, high) in RANGES.items():
        below, above = rng.uniform(0.05, 0.30, size=2)
        if name == "num_layers":
            continue
        if name in LOGARITHMIC:
            ratio = high / low
            low, high = low / ratio**below, high * ratio**above
        else:
            low, high = low - below * (high - low), high + above * (high - low)
        found[name] = (math.floor(low), math.ceil(high)) if name in INTEGER else (low, high)
    return found


def _domain(name: str, low: float, high: float) -> Any:
    if name in INTEGER:
        make = tune.lograndint if name in LOGARITHMIC else tune.randint
        return make(int(low), int(high) + 1)
    return (tune.loguniform if name in LOGARITHMIC else tune.uniform)(low, high)


def _folded(name: str, values: Array) -> Array:
    """Values of the widened range, beyond the real one reflected into it."""
    low, high = RANGES[name]
    if name in LOGARITHMIC:
        low, high, values = math.log(low), math.log(high), np.log(values)
    share = 1 - np.abs(1 - ((values - low) / (high - low)) % 2)
    values = low + share * (high - low)
    if name in LOGARITHMIC:
        values = np.exp(values)
    return np.round(values) if name in INTEGER else values


@functools.cache
def _session() -> tuple[Any, dict[str, int]]:
    import onnxruntime  # installed for the arena alone

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    folder = data()
    codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options), codes


def _surrogate(task: str, configs: list[dict[str, Any]], epochs: Any) -> Array:
    """What the surrogate says of configurations after epochs, shape (configs, epochs, 6)."""
    session, codes = _session()
    epochs = np.asarray(epochs, dtype=float)
    columns = {
        name: np.repeat(_folded(name, np.array([one[name] for one in configs], dtype=float)), len(epochs))
        for name in RANGES
    }
    columns["epoch"] = np.tile(epochs, len(configs))
    rows = np.stack([columns[name] for name in COLUMNS], axis=1).astype(np.float32)
    given = {}
    for one in session.get_inputs():
        discrete = "int" in one.type
        given[one.name] = (
            np.full((len(rows), 1), codes[task], dtype=np.int32 if "32" in one.type else np.int64)
            if discrete
            else rows
        )
    found = session.run(None, given)[0]
    return np.asarray(found, dtype=float).reshape(len(configs), len(epochs), -1)
