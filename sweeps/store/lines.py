"""One event as one line of JSON, exactly: what is read back equals what was written.

JSON has no NaN, no infinity, no tuple and no key that is not a string; searchers' and users' values have them
all:

| value                    | written as                          |
|--------------------------|-------------------------------------|
| nan, inf, -inf           | `{"$float": "nan"}`                 |
| (1, 2)                   | `{"$tuple": [1, 2]}`                |
| {3: "a"}, {"$x": 1}      | `{"$map": [[3, "a"]]}`              |
| numpy and 0-d torch scalars | the number itself                |
| a path                   | its text                            |

Finite floats keep every bit (Python writes the shortest text that reads back as the same double).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def _scalar(value: Any) -> Any:
    """What the fast encoder does not know: numbers of numpy and torch, arrays, paths."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(type(value).__name__)


_fast = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_scalar).encode


def encode(fields: Mapping[str, Any], *, flat: bool = False) -> str:
    """The JSON text of an event's fields.

    Args:
        fields: JSON values and those of the table above, nested as you like.
        flat: there are only numbers, strings, lists and dicts inside, so that looking at each can be spared
            (a report: this is the hot path); NaN is found nevertheless.

    Raises:
        ValueError: a value cannot be stored; names where it is.
    """
    if flat:
        try:
            text = _fast(fields)
            if '"$' not in text:
                return text
        except (ValueError, TypeError):
            pass  # a NaN, or something the slow way can name
    return _fast(_plain(fields, ""))


def text(value: Any) -> str:
    """A value as text that a file or another program can hold: a string as it is, all else as JSON."""
    if not isinstance(value, str):
        return _fast(_plain(value, ""))
    return value if value.isascii() else value.encode("utf-8", "replace").decode()  # no lone surrogates


def decode(line: str | bytes) -> Any:
    """The value of a line that `encode` wrote; ValueError where it is not JSON."""
    marked = (b'"$' if isinstance(line, bytes) else '"$') in line  # type: ignore[operator]
    return json.loads(line, object_hook=_unmark) if marked else json.loads(line)


def _unmark(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key == "$float":
            return float(inner)
        if key == "$tuple":
            return tuple(inner)
        if key == "$map":
            return {k: v for k, v in inner}
    return value


def _plain(value: Any, where: str) -> Any:
    """The same value in what JSON has, marked as in the table above."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Mapping):
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: _plain(inner, f"{where}.{key}") for key, inner in value.items()}
        return {"$map": [[_plain(k, where), _plain(v, f"{where}.{k}")] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [_plain(inner, f"{where}[{i}]") for i, inner in enumerate(value)]}
    if isinstance(value, list):
        return [_plain(inner, f"{where}[{i}]") for i, inner in enumerate(value)]
    try:
        return _plain(_scalar(value), where)
    except TypeError:
        raise ValueError(
            f"{where.lstrip('.') or 'the value'} is {value!r:.80} of type {type(value).__name__}, "
            "which cannot be stored. Numbers, strings, None, lists, tuples and dicts of them can: "
            'give a name in its place and look it up in the trial (`tune.choice(["relu", "gelu"])`).'
        ) from None


def last_event(content: bytes) -> tuple[int, dict[str, Any] | None]:
    """Where the last whole event ends, and that event; what lies behind was being written at a crash."""
    end = content.rfind(b"\n") + 1
    while end:
        begin = content.rfind(b"\n", 0, end - 1) + 1
        try:
            return end, decode(content[begin:end])
        except ValueError:
            end = begin
    return 0, None


def events_of(segments: Iterable[tuple[str, Callable[[], bytes]]]) -> Iterator[dict[str, Any]]:
    """Events of (name, function giving its bytes) in order; a torn end of the last segment is left out."""
    expected, torn = 1, ""
    for name, content in segments:
        for number, line in enumerate(content().split(b"\n"), start=1):
            if not line:
                continue
            try:
                event = decode(line)
            except ValueError:
                torn = torn or f"{name}, line {number}"
                continue
            if torn or event["n"] != expected:
                raise ValueError(
                    f"the journal is damaged at {torn or f'{name}, line {number}'}, where event {expected} "
                    "should be. Was a file changed by hand or lost, or the sweep copied while it ran? "
                    "Copy the journal folder again, or start a new sweep."
                )
            expected += 1
            yield event
