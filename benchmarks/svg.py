"""Curves as SVG files that are the same when drawn again, and name no outside address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BARE = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""Metadata: none."""


def pyplot(salt: str) -> Any:
    """Matplotlib's pyplot, ready to draw such files; `salt` makes their ids."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as found

    found.rcParams["svg.fonttype"], found.rcParams["svg.hashsalt"] = "none", salt
    return found


def save(figure: Any, where: Path) -> None:
    """Write it."""
    figure.savefig(where, metadata=BARE)
