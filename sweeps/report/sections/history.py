"""The value of every trial, in the order of suggestion, and the best so far."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from sweeps.report import looks
from sweeps.report.bounds import bounds
from sweeps.report.markup import counted
from sweeps.report.material import Material
from sweeps.report.sample import best_and_even
from sweeps.report.sections import Section

BEST, OTHERS = 200, 800
"""Trials that are drawn: the best, and others at even distances of rank."""


def figure(material: Material) -> go.Figure:
    """Value by trial, coloured by state, with the best so far as a line."""
    made = looks.figure(
        xaxis_title_text="trial, in the order of suggestion", yaxis_title_text=looks.words(material.metric)
    )
    shown = best_and_even(material.ranking, BEST, OTHERS)
    for state in ("stopped", "failed", "paused", "pending", "running", "completed"):
        rows = sorted(i for i in shown if material.states[i] == state)
        if rows:
            made.add_scatter(
                x=rows,
                y=material.values[rows],
                mode="markers",
                name=state,
                marker={"color": looks.STATES[state], "size": 7, "opacity": 0.8},
                text=[looks.label(material.describe(i)) for i in rows],
                hovertemplate="%{text}<extra></extra>",
            )
    best = material.best_so_far()
    steps = [i for i, v in enumerate(best) if not math.isnan(v) and (i == 0 or v != best[i - 1])]
    if steps:
        steps.append(len(best) - 1)
        made.add_scatter(
            x=steps, y=best[steps], mode="lines", name="best so far", hoverinfo="skip",
            line={"shape": "hv", "color": looks.BEST, "width": 2.5},
        )  # fmt: skip
    if (reach := bounds(material.values[shown], material.sign)) is not None:
        made.update_yaxes(range=reach)
    return made


def section(material: Material) -> Section | None:
    """History, where any trial has a value."""
    if not material.ranking:
        return None
    says = "Each trial's value reported last."
    if len(material.ranking) > BEST + OTHERS:
        says += (
            f" Of {counted(len(material.ranking), 'trial')} with a value the best {BEST:,} are drawn, "
            f"and {OTHERS:,} of the others at even distances of rank; the line counts all."
        )
    drawn = figure(material)
    if drawn.layout.yaxis.range is not None:
        says += " Values far off are outside the picture: choose the arrows above it to see them."
    return Section(title="History", says=says, figure=drawn)
