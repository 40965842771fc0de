"""Parallel coordinates of the best trials: what good configurations have in common.

Lines, not plotly's own parallel coordinates: those need WebGL, and have no place for a hyperparameter that is
inactive in a trial.
"""

from __future__ import annotations

import math

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from sweeps.report import looks
from sweeps.report.markup import counted
from sweeps.report.material import Material
from sweeps.report.sections import Section

SHOWN = 50
_BELOW = -0.12
"""Where a line passes an axis whose hyperparameter is inactive; the axes reach from 0 to 1."""

_ROOM = 16
"""Axes at most: more cannot be told apart. Those that vary come first, in the space's order."""


def figure(material: Material, n: int = SHOWN) -> go.Figure:
    """The n best trials as lines through the hyperparameters and the value, the best on top."""
    rows = _rows(material, n)
    axes = [p for p in material.parameters if p.varies][:_ROOM]
    made = looks.figure(
        440, showlegend=False, margin={"l": 46, "r": 60, "t": 66, "b": 20}, meta={"spotlight": True}
    )
    values = [float(material.values[i]) for i in rows]
    if not rows:
        return made
    low, high = min(values), max(values)
    inactive = False
    for order, i in reversed(list(enumerate(rows))):
        places = []
        for p in axes:
            value = p.values[i]
            inactive = inactive or value is None
            begin, end = p.ends
            places.append(_BELOW if value is None else (p.place(value) - begin) / (end - begin))
        share = _share(float(material.values[i]), low, high)
        good = share if material.sign < 0 else 1 - share
        good = good if high > low else 1.0
        colour = looks.BEST if order == 0 else sample_colorscale(looks.LINES, [good])[0]
        made.add_scatter(
            x=list(range(len(axes) + 1)),
            y=[*places, share],
            mode="lines",
            line={"color": colour, "width": 3 if order == 0 else 1.4},
            opacity=1.0 if order == 0 else 0.3 + 0.6 * good,
            text=looks.label([f"{order + 1}. {material.describe(i)[0]}", *material.describe(i)[1:]]),
            hovertemplate="%{text}<extra></extra>",
        )
    ticks = [p.ticks() for p in axes]
    scaled = [
        [((place - p.ends[0]) / (p.ends[1] - p.ends[0]), text) for place, text in found]
        for p, found in zip(axes, ticks, strict=True)
    ]
    scaled.append([(_share(v, low, high), f"{v:.4g}") for v in dict.fromkeys((low, (low + high) / 2, high))])
    for at, (name, found) in enumerate(zip([*(p.name for p in axes), material.metric], scaled, strict=True)):
        line = {"color": "#8a94a6", "width": 1.2}
        made.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, line=line, layer="below")
        _write(made, at, 1.05, looks.words(name, 18), xanchor="center", yanchor="bottom", textangle=0)
        for place, text in found[:: math.ceil(len(found) / 14)]:
            word = looks.words(text, 14)
            _write(made, at, place, word, xanchor="left", yanchor="middle", xshift=4, size=11)
    if inactive:
        _write(made, -0.04, _BELOW, "inactive", xanchor="right", yanchor="middle", size=11)
    made.update_xaxes(visible=False, range=[-0.35, len(axes) + 0.45], fixedrange=True)
    made.update_yaxes(visible=False, range=[_BELOW - 0.05 if inactive else -0.05, 1.06], fixedrange=True)
    return made


def section(material: Material) -> Section | None:
    """Parallel coordinates, where trials have values and differ in something."""
    rows = _rows(material, SHOWN)
    varying = [p for p in material.parameters if p.varies]
    if not rows or not varying:
        return None
    best = f"The best {len(rows)} of {counted(len(material.ranking), 'trial')} with a value"
    says = f"{best}; the bluer the better, orange the best. Point at a line to see it alone."
    if len(varying) > _ROOM:
        says += f" The first {_ROOM} of {len(varying)} hyperparameters."
    if any(p.values[i] is None for p in varying for i in rows):
        says += " A line below the axes: that hyperparameter is inactive in the trial."
    return Section(title="Parallel coordinates", says=says, figure=figure(material))


def _rows(material: Material, n: int) -> list[int]:
    if n < 1:
        raise ValueError(f"n is {n}; give how many of the best trials to draw, at least 1")
    return [i for i in material.ranking if math.isfinite(material.values[i])][:n]


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _write(made: go.Figure, x: float, y: float, text: str, *, size: int = 12, **where: object) -> None:
    made.add_annotation(x=x, y=y, text=text, showarrow=False, font={"size": size}, **where)
