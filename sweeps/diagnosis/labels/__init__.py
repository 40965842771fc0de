"""What may be wrong with a training, one label a file: the file's name is the label.

Each has `ABOUT`, what the label means; `STOPS`, whether `--stop-on` takes it; `HIDES`, the labels that are
only another sight of the same where both are found; and `find(curve)`, a `Finding` or None. To add one, add
its file.
"""

import pkgutil
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from sweeps.diagnosis.curve import Curve
from sweeps.diagnosis.finding import Finding
from sweeps.spelling import allowed


class Label(Protocol):
    """A file here."""

    ABOUT: str
    STOPS: bool
    HIDES: tuple[str, ...]

    def find(self, curve: Curve) -> Finding | None:
        """None: not seen."""


@cache
def names() -> tuple[str, ...]:
    """Every label, by name."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__)))


def load(name: str) -> Label:
    """The file of a label."""
    return cast(Label, import_module(f"{__name__}.{name}"))


def stopping() -> list[str]:
    """The labels that may end a trial."""
    return [name for name in names() if load(name).STOPS]


def problem(name: str) -> str | None:
    """Why this label cannot end a trial; None: it can."""
    if name in stopping():
        return None
    if name in names():
        return f"{name!r} says too little while a trial runs; {', '.join(stopping())} can end one."
    return f"{name!r} is unknown; {allowed(name, stopping())}"
