"""The nearest valid name, for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(given: object, known: Iterable[object]) -> str:
    """`; did you mean 'x'? Known: ...`, or without the question where nothing is near."""
    texts = {str(one): one for one in known}
    if not texts:
        return "; there are none"
    close = difflib.get_close_matches(str(given), texts, n=1, cutoff=0.5)
    shown = ", ".join(repr(one) for one in list(texts.values())[:20]) + (", ..." if len(texts) > 20 else "")
    return (f"; did you mean {texts[close[0]]!r}?" if close else ";") + f" Known: {shown}"
