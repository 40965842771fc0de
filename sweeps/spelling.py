"""What an error says about a word nobody knows: the nearest known one, and all of them when they are few."""

import difflib
import re
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, upper and lower case being the same; None when none is like it."""
    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.75)
    if not found and len(word) > 2:  # shortened: `grace` for grace_period
        found = [name for name in lower if name.startswith(word.lower())]
    found = found or difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def allowed(word: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown word: a question with the nearest name, then the known ones.

    >>> allowed("tpee", ["random", "tpe"])
    "did you mean 'tpe'? Known: random, tpe."
    """
    names = list(known)
    near = nearest(word, names)
    question = f"did you mean {near!r}? " if near else ""
    shown = ", ".join(names) if len(names) <= 24 else ", ".join(names[:24]) + f" and {len(names) - 24} more"
    return f"{question}Known: {shown}." if names else f"{question}There are none."


def slug(text: str) -> str:
    """`text` as a folder's name: letters, digits and . _ -, all else as single hyphens; may be empty."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
