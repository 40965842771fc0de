"""Colours and the common dress of all figures. In the page, page.js dresses them again, light or dark."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

STATES = {
    "completed": "#2f7ed8",
    "stopped": "#98a2b3",
    "failed": "#d64545",
    "running": "#e0a030",
    "paused": "#b58bd6",
    "pending": "#c8ccd4",
}
"""A trial's state -> its colour; legible on white and on black."""

BEST = "#f2711c"
SCALE = [[0.0, "#d3e3f4"], [0.5, "#5b9bdd"], [1.0, "#164a86"]]
"""Areas, from the worst value to the best."""

LINES = [[0.0, "#9aa6b6"], [0.5, "#6a9fd8"], [1.0, "#2f7ed8"]]
"""Lines, from the worst to the best: legible on white and on black."""

RUNGS = ["#c9a227", "#8db24a", "#3fa878", "#2b9bb3", "#2f7ed8", "#5a5fd6", "#8a4fc7"]
"""Trials that ended early to those that went on longest."""

GRID = "rgba(128,128,128,0.18)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def figure(height: int = 380, **layout: Any) -> go.Figure:
    """An empty figure in the report's dress."""
    title = {"standoff": 8, "font": {"size": 13}}
    axis = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "title": title}
    made = go.Figure()
    made.update_layout(
        template="none",
        height=height,
        margin={"l": 70, "r": 20, "t": 34, "b": 50},
        font={"family": FONT, "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"font": {"family": FONT, "size": 12}, "align": "left"},
        hovermode="closest",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#98a2b3", "activecolor": "#4a90d9"},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom"},
        xaxis=axis,
        yaxis=axis,
    )
    made.update_layout(**layout)
    return made


def dress_axes(made: go.Figure) -> None:
    """The same for axes that came later (subplots)."""
    for update in (made.update_xaxes, made.update_yaxes):
        update(gridcolor=GRID, linecolor=GRID, zeroline=False, title_font_size=13)


def bar(title: str) -> dict[str, Any]:
    """A colour bar with this title."""
    text = {"text": words(title, 24), "side": "top", "font": {"size": 13}}
    return {"title": text, "thickness": 12, "outlinewidth": 0}


def label(lines: Iterable[Any], width: int = 90) -> str:
    """Lines as plotly's text, which knows some HTML: users' words stay words. Cut at `width` letters."""
    short = (line if len(line) <= width else line[: width - 3] + "..." for line in map(str, lines))
    return "<br>".join(html.escape(line, quote=False) for line in short)


def words(text: Any, width: int = 40) -> str:
    """A name or value in a title, legend or tick."""
    return label([text], width)
