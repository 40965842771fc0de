"""A hyperparameter with a value for each part of something: of the run, of the layers, of the classes.

    "lr": 0.1                                  one value
    "lr": {"0": 0.1, "1": 0.03, "2": 0.01}     a value for each third of the run

In a space every part is a parameter of its own, named `lr.0`, `lr.1`, ...:
`{"lr": {str(i): tune.loguniform(1e-3, 1) for i in range(3)}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Parts = float | dict[str, float]
"""One value, or one for each part by its number: keys "0", "1", ..."""


def values(given: Parts) -> list[float]:
    """The values in the order of the parts; one for a plain number.

    Raises:
        ValueError: for keys other than "0" to "n-1".
    """
    if not isinstance(given, Mapping):
        return [given]
    wanted = [str(i) for i in range(len(given))]
    if not given or set(given) != set(wanted):
        raise ValueError(
            f"parts are numbered from 0 without gaps; {sorted(given)} are given. "
            f"Write {{'0': value, '1': value, ...}}."
        )
    return [given[key] for key in wanted]


def place(done: float, count: int) -> int:
    """The part of `count` in which a share `done` of the whole lies; equal parts, `done` from 0 to 1."""
    return min(count - 1, max(0, int(done * count)))


def at(given: Parts, done: float) -> float:
    """The value in force after a share `done` of the run."""
    found = values(given)
    return found[place(done, len(found))]


def spread(given: Any, count: int) -> Tensor:
    """A value for each of `count` things, shape (count,): the parts are runs of equal length among them.

    Args:
        given: `Parts`, for a tensor of float64; or a tensor of shape () or (parts,), by which what comes
            out can be differentiated.

    Raises:
        ValueError: where there are more parts than things.
    """
    import torch

    found = given if isinstance(given, torch.Tensor) else torch.tensor(values(given), dtype=torch.float64)
    if found.ndim == 0:
        found = found[None]
    if len(found) > count:
        raise ValueError(f"{len(found)} parts are given for {count} things; give at most one for each.")
    return found[torch.arange(count) * len(found) // count]
