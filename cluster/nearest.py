"""The nearest valid name, for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(given: object, known: Iterable[str], shown: int = 12) -> str:
    """`; did you mean 'x'?`, or the known names where none is near and they are few."""
    names = list(known)
    close = difflib.get_close_matches(str(given), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    folded = {name.casefold(): name for name in names}
    if str(given).casefold() in folded:
        return f"; did you mean {folded[str(given).casefold()]!r}?"
    return f"; known: {', '.join(sorted(names))}" if names and len(names) <= shown else ""
