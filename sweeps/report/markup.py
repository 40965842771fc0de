"""HTML without holes: whatever is put into an element is escaped, unless it is an element itself."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(value: Any) -> Html:
    """A value as HTML; `Html` stays as it is."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def join(parts: Iterable[Any], between: str = "") -> Html:
    """Several in a row."""
    return Html(between.join(escape(part) for part in parts))


def tag(name: str, *content: Any, **attributes: Any) -> Html:
    """One element. `class_` is the attribute class, `data_x` is data-x; None leaves an attribute out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{words}>{join(content)}</{name}>")


def image(source: str, words: str) -> Html:
    """A picture, and its words for those who cannot see it."""
    return Html(f'<img src="{html.escape(source)}" alt="{html.escape(words)}">')


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[int] = ()) -> Html:
    """A table that its reader can sort.

    Args:
        columns: headings.
        rows: a cell for each column.
        numbers: columns that are aligned as numbers.
    """
    kinds = ["number" if i in numbers else None for i in range(len(columns))]
    head = [tag("th", name, class_=kind, scope="col") for name, kind in zip(columns, kinds, strict=True)]
    body = [
        tag("tr", *(tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in rows
    ]
    inner = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), class_="sortable")
    return tag("div", inner, class_="wide")


def pairs(rows: Iterable[tuple[Any, Any]]) -> Html:
    """Names and their values."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows))


def folded(summary: Any, *content: Any) -> Html:
    """Something to be unfolded."""
    return tag("details", tag("summary", summary), *content)


def counted(number: int, noun: str) -> str:
    """`1 trial`, `2,000 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
