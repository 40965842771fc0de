"""Functions with known optima: smooth, many-peaked, mixed, conditional and noisy, in 2 to 20 dimensions.

Each is shifted to an optimum drawn at random inside the cube, never in its middle nor on its bounds.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from ray import tune

from benchmarks.arena.problem import Array, Outcome, Problem
from search_algs import when
from search_algs.space import Space

Function = Callable[[Array], float]
"""Of the offset from the optimum in the unit cube, shape (d,); 0 at 0."""


def sphere(z: Array) -> float:
    """Smooth and separable."""
    return float((z**2).sum())


def ellipsoid(z: Array) -> float:
    """Smooth, one parameter matters a thousand times more than another (BBOB's f2: a million times)."""
    return float((1000 ** (np.arange(len(z)) / max(1, len(z) - 1)) * z**2).sum())


def rosenbrock(z: Array) -> float:
    """A bent valley (Rosenbrock 1960), over [-2, 2]."""
    x = 4 * z + 1
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def rastrigin(z: Array) -> float:
    """A bowl full of pits (Rastrigin 1974), over [-5.12, 5.12], with a third of the usual depth."""
    x = 10.24 * z
    return float((x**2 + 3 * (1 - np.cos(2 * math.pi * x))).sum())


FUNCTIONS: dict[str, tuple[Function, int, float]] = {
    "sphere-5": (sphere, 5, 0.0),
    "ellipsoid-10": (ellipsoid, 10, 0.0),
    "rosenbrock-2": (rosenbrock, 2, 0.0),
    "rosenbrock-6": (rosenbrock, 6, 0.0),
    "rastrigin-4": (rastrigin, 4, 0.0),
    "sphere-20": (sphere, 20, 0.0),
    "noisy-sphere-5": (sphere, 5, 0.1),
}
"""Function, dimensions, and noise as a share of the scale of regret."""
NAMES = (*FUNCTIONS, "mixed-8", "conditional-7")


@functools.cache
def synthetic(name: str, seed: int) -> Problem:
    """One function; its optimum is drawn from the seed."""
    rng = np.random.default_rng([11, seed])
    if name == "mixed-8":
        return _problem(name, *_mixed(rng), seed)
    if name == "conditional-7":
        return _problem(name, *_conditional(rng), seed)
    function, d, noise = FUNCTIONS[name]
    best = rng.uniform(0.15, 0.85, size=d)
    space = {f"x{i}": tune.uniform(0, 1) for i in range(d)}
    return _problem(
        name, space, lambda c: function(np.array([c[f"x{i}"] for i in range(d)]) - best), seed, noise
    )


def _mixed(rng: np.random.Generator) -> tuple[dict[str, Any], Callable[[dict[str, Any]], float]]:
    """Four numbers, two integers and two choices, one of which shifts the best value of a number."""
    space: dict[str, Any] = {f"x{i}": tune.uniform(0, 1) for i in range(4)}
    space |= {f"n{i}": tune.randint(0, 12) for i in range(2)} | {
        "a": tune.choice("pqrst"),
        "b": tune.choice("uvw"),
    }
    best, cells = rng.uniform(0.15, 0.85, size=(3, 4)), rng.integers(2, 10, size=2)
    worth = dict(zip("pqrst", rng.permutation([0.0, 0.1, 0.2, 0.3, 0.4]), strict=True))
    order = rng.permutation(3)

    def loss(c: dict[str, Any]) -> float:
        row = int(order["uvw".index(c["b"])])
        near = sum((c[f"x{i}"] - best[row, i]) ** 2 for i in range(4))
        return float(
            near + sum(((c[f"n{i}"] - cells[i]) / 12) ** 2 for i in range(2)) + worth[c["a"]] + 0.1 * row
        )

    return space, loss


def _conditional(rng: np.random.Generator) -> tuple[dict[str, Any], Callable[[dict[str, Any]], float]]:
    """Three branches with parameters of their own; the best one must be tuned to be seen as such."""
    space: dict[str, Any] = {"kind": tune.choice("pqr"), "x": tune.uniform(0, 1), "y": tune.uniform(0, 1)}
    space |= {
        "p1": when("kind", "p", tune.uniform(0, 1)), "p2": when("kind", "p", tune.uniform(0, 1)),
        "q1": when("kind", "q", tune.uniform(0, 1)), "r1": when("kind", "r", tune.randint(0, 9)),
    }  # fmt: skip
    at = dict(zip(("x", "y", "p1", "p2", "q1"), rng.uniform(0.15, 0.85, size=5), strict=True))

    def loss(c: dict[str, Any]) -> float:
        shared = sum((c[name] - at[name]) ** 2 for name in ("x", "y"))
        own = {
            "p": lambda: 2 * ((c["p1"] - at["p1"]) ** 2 + (c["p2"] - at["p2"]) ** 2),
            "q": lambda: 0.05 + (c["q1"] - at["q1"]) ** 2,
            "r": lambda: 0.1 + 0.01 * abs(c["r1"] - 5),
        }
        return float(shared + own[c["kind"]]())

    return space, loss


def _problem(
    name: str, space: dict[str, Any], loss: Callable[[dict[str, Any]], float], seed: int, noise: float = 0.0
) -> Problem:
    cube, rng = Space(space), np.random.default_rng([13, seed])
    middle = float(np.median([loss(cube.decode(cube.sample(rng))) for _ in range(2000)]))

    def train(configs: list[dict[str, Any]]) -> list[Outcome]:
        """A trial's time varies by half an order of magnitude, with its configuration and nothing else."""
        found = []
        for config in configs:
            draw = np.random.default_rng(zlib.crc32(str(config).encode())).random()
            found.append(Outcome(np.array([loss(config)]), 10 ** (0.5 * draw)))
        return found

    return Problem(name=name, space=space, train=train, optimum=0.0, middle=middle, noise=noise)
