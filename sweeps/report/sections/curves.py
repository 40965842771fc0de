"""Learning curves, coloured by how far each trial was let: its rung."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from sweeps.report import looks
from sweeps.report.bounds import bounds
from sweeps.report.markup import counted
from sweeps.report.material import Curve, Material
from sweeps.report.sample import best_and_even
from sweeps.report.sections import Section

BEST, OTHERS = 100, 50
POINTS = 100
"""Reports of one trial that are drawn at most, at even distances; the last always."""

_RUNGS = 7


def figure(material: Material) -> go.Figure:
    """A line a trial; a break where PBT copied another trial over it."""
    made = looks.figure(
        440,
        xaxis_title_text="iteration",
        yaxis_title_text=looks.words(material.metric),
        meta={"spotlight": True},
    )
    rows = _rows(material)
    groups = rung_of(material, rows)
    seen: set[str] = set()
    for i in reversed(rows):  # the best are drawn last, on top
        curve, group = material.curves[material.ids[i]], groups[i]
        x, y = _points(curve)
        name, colour = group
        best = i == material.ranking[0]
        made.add_scatter(
            x=x,
            y=y,
            mode="lines+markers" if len(x) == 1 else "lines",
            marker={"size": 5},
            name="best" if best else name,
            legendgroup="best" if best else name,
            legendrank=1 if best else 1000 + list(dict.fromkeys(groups.values())).index(group),
            showlegend=best or name not in seen,
            line={"color": looks.BEST if best else colour, "width": 3 if best else 1.3},
            opacity=1.0 if best else 0.7,
            text=[looks.label(material.describe(i)[:2])] * len(x),
            hovertemplate="%{text}<br>iteration %{x}: %{y:.5g}<extra></extra>",
        )
        seen.add("best" if best else name)
    values = [material.curves[material.ids[i]].values for i in rows]
    if rows and (reach := bounds(np.concatenate(values), material.sign)) is not None:
        made.update_yaxes(range=reach)
    return made


def section(material: Material) -> Section | None:
    """The curves, where any trial reported twice."""
    rows = _rows(material)
    if not any(len(material.curves[material.ids[i]]) > 1 for i in rows):
        return None
    total = sum(material.ids[i] in material.curves for i in material.ranking)
    says = f"{counted(len(rows), 'trial')}, coloured by how far each came. Point at a line to see it alone."
    if total > len(rows):
        says = (
            f"The best {BEST} of {counted(total, 'trial')}, and {len(rows) - BEST} others at even distances "
            "of rank, coloured by how far each came. Point at a line to see it alone."
        )
    if material.whereabouts.copies:
        times = len(material.whereabouts.copies)
        says += f" A line breaks where another trial was copied over it ({times:,} times)."
    return Section(title="Learning curves", says=says, figure=figure(material))


def rung_of(material: Material, rows: list[int]) -> dict[int, tuple[str, str]]:
    """Of each trial the name and colour of its group: failed, going on, or how far it came.

    Trials that came equally far are a group, as those that one rung of a scheduler ended; where there are
    more than seven such ends, neighbours are put together.
    """
    found: dict[int, tuple[str, str]] = {}
    ended = [i for i in rows if material.states[i] in ("completed", "stopped")]
    ends = sorted({int(material.iterations[i]) for i in ended})
    parts = [part.tolist() for part in np.array_split(ends, min(len(ends), _RUNGS))] if ends else []
    last = 4 if len(parts) < _RUNGS - 1 else _RUNGS - 1
    shades = [
        looks.RUNGS[round(k)] for k in np.linspace(0 if len(parts) > 1 else last, last, max(len(parts), 1))
    ]
    for part, shade in zip(parts, shades, strict=False):
        words = f"iteration {part[0]}" if len(part) == 1 else f"iterations {part[0]} to {part[-1]}"
        for i in ended:
            if material.iterations[i] in part:
                found[i] = (f"ended at {words}", shade)
    for i in rows:
        if i not in found:
            state = material.states[i]
            found[i] = (state, looks.STATES.get(state, looks.STATES["pending"]))
    return dict(sorted(found.items(), key=lambda item: (item[0] not in ended, material.iterations[item[0]])))


def _rows(material: Material) -> list[int]:
    return best_and_even([i for i in material.ranking if material.ids[i] in material.curves], BEST, OTHERS)


def _points(curve: Curve) -> tuple[list[float | None], list[float | None]]:
    keep = np.arange(len(curve))
    if len(curve) > POINTS:
        keep = np.unique(np.linspace(0, len(curve) - 1, POINTS).round().astype(int))
    x: list[float | None] = [float(v) for v in curve.iterations[keep]]
    y: list[float | None] = [float(v) for v in curve.values[keep]]
    breaks = [k + 1 for k, (a, b) in enumerate(pairwise(curve.copies[keep])) if a != b]
    for at in reversed(breaks):
        x.insert(at, None)
        y.insert(at, None)
    return x, y
