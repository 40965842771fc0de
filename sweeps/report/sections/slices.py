"""The value over each hyperparameter alone."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweeps.report import looks
from sweeps.report.bounds import bounds
from sweeps.report.markup import counted
from sweeps.report.material import Material
from sweeps.report.parameters import Parameter
from sweeps.report.sample import best_and_even
from sweeps.report.sections import Section

BEST, OTHERS = 100, 150
ROOM = 12
"""Hyperparameters at most, the most important first."""

COLUMNS = 3
_JITTER = 0.16
"""How far, to either side, trials with the same choice are spread: else they would hide one another."""


def figure(material: Material) -> go.Figure:
    """One panel a hyperparameter: completed trials full, others pale, the best one marked."""
    shown = [p for p in material.by_importance][:ROOM]
    rows = _rows(material)
    count = max(1, math.ceil(len(shown) / COLUMNS))
    made = make_subplots(
        count, min(COLUMNS, max(len(shown), 1)), shared_yaxes=True, horizontal_spacing=0.03,
        vertical_spacing=0.36 / (count + 0.6) if count > 1 else 0.0,
    )  # fmt: skip
    made.update_layout(looks.figure(80 + 250 * count, showlegend=False).layout)
    spread = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(material))
    for at, p in enumerate(shown):
        row, column = at // COLUMNS + 1, at % COLUMNS + 1
        for full in (False, True):
            here = [
                i for i in rows if p.values[i] is not None and (material.states[i] == "completed") == full
            ]
            made.add_scatter(
                x=_places(p, here, spread),
                y=material.values[here],
                mode="markers",
                marker={
                    "size": 6,
                    "opacity": 0.75 if full else 0.4,
                    "color": looks.STATES["completed" if full else "stopped"],
                },
                text=[looks.label(material.describe(i)) for i in here],
                hovertemplate="%{text}<extra></extra>",
                row=row,
                col=column,
            )
        best = [i for i in material.ranking[:1] if p.values[i] is not None]
        made.add_scatter(
            x=_places(p, best, spread), y=material.values[best], mode="markers", hoverinfo="skip",
            marker={"symbol": "star", "size": 14, "color": looks.BEST, "line": {"width": 1, "color": "#fff"}},
            row=row, col=column,
        )  # fmt: skip
        _axis(made, p, row, column)
    looks.dress_axes(made)
    made.update_yaxes(title_text=looks.words(material.metric, 24), col=1)
    if (reach := bounds(material.values[rows], material.sign)) is not None:
        made.update_yaxes(range=reach)
    return made


def section(material: Material) -> Section | None:
    """Slices, where trials have values and differ in something."""
    varying = [p for p in material.parameters if p.varies]
    if not material.ranking or not varying:
        return None
    says = "Each trial's value reported last over one hyperparameter: completed ones blue, the star the best."
    if len(material.ranking) > BEST + OTHERS:
        says += (
            f" Of {counted(len(material.ranking), 'trial')} the best {BEST} are drawn, "
            f"and {OTHERS} others at even distances of rank."
        )
    if len(varying) > ROOM:
        says += f" The {ROOM} most important of {len(varying)} hyperparameters."
    return Section(title="Slices", says=says, figure=figure(material))


def _rows(material: Material) -> list[int]:
    finite = [i for i in material.ranking if math.isfinite(material.values[i])]
    return best_and_even(finite, BEST, OTHERS)[::-1]


def _places(p: Parameter, rows: list[int], spread: np.ndarray) -> list[float]:
    if p.choices is not None:
        return [p.place(p.values[i]) + float(spread[i]) for i in rows]
    return [p.values[i] for i in rows]


def _axis(made: go.Figure, p: Parameter, row: int, column: int) -> None:
    """Title and scale; a logarithmic axis is plotly's own, so that zooming finds new ticks."""
    made.update_xaxes(title={"text": looks.words(p.name, 30), "standoff": 4}, row=row, col=column)
    if p.choices is not None:
        step = math.ceil(len(p.choices) / 12)
        ticks = p.ticks()[::step]
        made.update_xaxes(
            tickvals=[place for place, _ in ticks], ticktext=[looks.words(text, 12) for _, text in ticks],
            range=[-0.6, len(p.choices) - 0.4], row=row, col=column,
            automargin=sum(len(text) for _, text in ticks) > 30,  # they may stand on end
        )  # fmt: skip
    elif p.log:
        made.update_xaxes(
            type="log", dtick=1 if p.high / p.low >= 100 else None, exponentformat="e", row=row, col=column
        )
