"""The value over the two most important hyperparameters together.

Of two numbers a surface, smoothed so that the luck of single trials does not make mountains, and blank where
no trial was near. (Optuna's contour goes through every trial, fills every gap, and its cost in the browser
grows with the square of their number.) A surface between two choices would mean nothing: with a choice among
the two it is a table of cells, each with the median of its trials.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import plotly.graph_objects as go

from sweeps.report import looks
from sweeps.report.importance import comparable
from sweeps.report.markup import counted
from sweeps.report.material import Floats, Material
from sweeps.report.parameters import Parameter
from sweeps.report.sample import best_and_even
from sweeps.report.sections import Section

BEST, OTHERS = 50, 100
"""Trials that are drawn as dots."""

GRID = 40
"""Places of a surface along each side."""

WIDTH, NEAR = 0.06, 0.15
"""Of each range: the standard deviation of the smoothing, and how near a trial must be."""

BINS = 8
"""Parts of a number's range in a table of cells."""


def figure(material: Material) -> go.Figure:
    """The two most important hyperparameters, and the value as colour: the darker, the better."""
    two, values = _chosen(material)
    if len(two) < 2 or len(values) < 3:
        return looks.figure(460)
    if all(p.choices is None for p in two):
        return _surface(material, two, values)
    return _cells(material, sorted(two, key=lambda p: p.choices is not None), values)


def section(material: Material) -> Section | None:
    """The contour, where two hyperparameters vary together in enough trials."""
    two, values = _chosen(material)
    if len(two) < 2 or len(values) < 3:
        return None
    _, iteration = comparable(material)
    when = "" if iteration is None else f" at iteration {iteration}"
    names = f"{two[0].name} and {two[1].name}"
    if any(p.choices is not None for p in two):
        says = f"{names}: {counted(len(values), 'trial')}{when}, their median and number in each cell."
        return Section(title="Contour", says=says, figure=figure(material))
    says = f"{names}: the mean of {counted(len(values), 'trial')}{when} near each place; blank where none is."
    drawn = len(_drawn(material, values))
    says += " A dot is a trial" + (f", of {drawn} of them." if drawn < len(values) else ".")
    return Section(title="Contour", says=says, figure=figure(material))


def _surface(material: Material, two: list[Parameter], values: dict[int, float]) -> go.Figure:
    across, up = two
    x, y = ([_share(p, p.values[i]) for i in values] for p in two)
    steps = np.linspace(0, 1, GRID)
    heights = smoothed(np.array([x, y], float), np.array(list(values.values())), steps)
    ends = [np.linspace(*p.ends, GRID) for p in two]
    made = looks.figure(460, showlegend=False)
    made.add_contour(
        x=ends[0], y=ends[1], z=heights, colorscale=looks.SCALE, reversescale=material.sign > 0,
        colorbar=looks.bar(material.metric), line={"width": 0.5}, ncontours=14,
        hovertemplate="about %{z:.5g}<extra></extra>",
    )  # fmt: skip
    shown = _drawn(material, values)
    made.add_scatter(
        x=[across.place(across.values[i]) for i in shown],
        y=[up.place(up.values[i]) for i in shown],
        mode="markers",
        marker={"color": "#20242c", "size": 6, "line": {"width": 1, "color": "white"}},
        text=[looks.label([f"trial {material.ids[i]}", f"{values[i]:.5g}"]) for i in shown],
        hovertemplate="%{text}<extra></extra>",
    )
    for axis, p in (("xaxis", across), ("yaxis", up)):
        made.update_layout({axis: _axis(p, p.ticks(), p.ends)})
    return made


def smoothed(points: Floats, values: Floats, steps: Floats) -> Floats:
    """The mean of values around each point of a square grid, weighted by a bell curve of the distance.

    Args:
        points: shape (2, n), from 0 to 1.
        values: shape (n,).
        steps: the grid's places along each side, shape (g,).

    Returns:
        Shape (g, g), the second coordinate first; NaN where no point is within `NEAR`.
    """
    total, weights = np.zeros((2, len(steps), len(steps)))
    near = np.zeros((len(steps), len(steps)), bool)
    for (x, y), value in zip(points.T, values, strict=True):
        squares = (steps[None, :] - x) ** 2 + (steps[:, None] - y) ** 2
        weight = np.exp(-squares / (2 * WIDTH**2))
        total += weight * value
        weights += weight
        near |= squares <= NEAR**2
    return np.where(near, total / np.maximum(weights, 1e-300), np.nan)


def _cells(material: Material, two: list[Parameter], values: dict[int, float]) -> go.Figure:
    across, up = two
    cells: dict[tuple[int, int], list[float]] = defaultdict(list)
    for i, value in values.items():
        cells[_cell(up, up.values[i]), _cell(across, across.values[i])].append(value)
    shape = _count(up), _count(across)
    medians, counts = np.full(shape, np.nan), np.full(shape, "", object)
    for cell, found in cells.items():
        medians[cell], counts[cell] = float(np.median(found)), counted(len(found), "trial")
    made = looks.figure(min(640, 140 + 46 * shape[0]))
    made.add_heatmap(
        x=list(range(shape[1])), y=list(range(shape[0])), z=medians, text=counts, texttemplate="%{text}",
        xgap=2, ygap=2, colorscale=looks.SCALE, reversescale=material.sign > 0, hoverongaps=False,
        colorbar=looks.bar(material.metric),
        hovertemplate="median %{z:.5g} of %{text}<extra></extra>",
    )  # fmt: skip
    for axis, p in (("xaxis", across), ("yaxis", up)):
        ticks = [(_position(p, place), text) for place, text in p.ticks()]
        made.update_layout({axis: _axis(p, ticks, (-0.5, _count(p) - 0.5))})
    return made


def _axis(p: Parameter, ticks: list[tuple[float, str]], ends: tuple[float, float]) -> dict[str, object]:
    return {
        "title": {"text": looks.words(p.name)},
        "showgrid": False,
        "automargin": True,
        "range": ends,
        "tickvals": [place for place, _ in ticks],
        "ticktext": [looks.words(text, 14) for _, text in ticks],
    }


def _share(p: Parameter, value: object) -> float:
    low, high = p.ends
    return (p.place(value) - low) / (high - low)


def _count(p: Parameter) -> int:
    return len(p.choices) if p.choices is not None else BINS


def _position(p: Parameter, place: float) -> float:
    """Where a place of the hyperparameter's axis is among the cells, k - 1/2 to k + 1/2 being cell k."""
    low, high = p.ends
    return place if p.choices is not None else (place - low) / (high - low) * BINS - 0.5


def _cell(p: Parameter, value: object) -> int:
    return min(max(math.floor(_position(p, p.place(value)) + 0.5), 0), _count(p) - 1)


def _chosen(material: Material) -> tuple[list[Parameter], dict[int, float]]:
    """The two hyperparameters, and the values of all comparable trials that have both, by row."""
    values, _ = comparable(material)
    two = material.by_importance[:2]
    having = {i: v for i, v in values.items() if all(p.values[i] is not None for p in two)}
    return [p for p in two if len({p.values[i] for i in having}) > 1], having


def _drawn(material: Material, values: dict[int, float]) -> list[int]:
    return sorted(best_and_even(sorted(values, key=lambda i: material.sign * values[i]), BEST, OTHERS))
