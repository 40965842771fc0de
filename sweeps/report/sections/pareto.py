"""Sweeps with several metrics: the trials that no other surpasses."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from sweeps.report import looks
from sweeps.report.markup import counted, table
from sweeps.report.material import Material
from sweeps.report.sample import best_and_even
from sweeps.report.sections import Section

OTHERS = 1000
"""Surpassed trials that are drawn at most."""

LISTED = 20


def figure(material: Material) -> go.Figure:
    """The first two metrics of every trial, the front marked; a third metric is the colour."""
    metrics = list(material.results.manifest.objectives)
    made = looks.figure(460)
    if len(metrics) < 2:
        return made
    front = {trial.id for trial in material.results.pareto()}
    columns = [[row[m] for row in material.rows] for m in metrics]
    complete = [
        i for i in range(len(material)) if all(c[i] is not None and math.isfinite(c[i]) for c in columns)
    ]
    others = [i for i in complete if material.ids[i] not in front]
    best = [i for i in complete if material.ids[i] in front]
    if len(metrics) == 2:
        best.sort(key=lambda i: columns[0][i])
    for rows, name, marker in (
        (best_and_even(others, 0, OTHERS), "surpassed", {"color": "#98a2b3", "size": 6, "opacity": 0.6}),
        (best, "Pareto front", {"color": looks.BEST, "size": 9}),
    ):
        if len(metrics) > 2 and rows is best:
            shade = [columns[2][i] for i in rows]
            marker = {"size": 9, "color": shade, "colorscale": "Viridis", "colorbar": looks.bar(metrics[2])}
        made.add_scatter(
            x=[columns[0][i] for i in rows],
            y=[columns[1][i] for i in rows],
            mode="lines+markers" if rows is best and len(metrics) == 2 else "markers",
            line={"width": 1, "dash": "dot", "color": looks.BEST},
            name=name,
            marker=marker,
            text=[looks.label(_told(material, i, metrics)) for i in rows],
            hovertemplate="%{text}<extra></extra>",
        )
    made.update_layout(xaxis_title_text=looks.words(metrics[0]), yaxis_title_text=looks.words(metrics[1]))
    return made


def _told(material: Material, row: int, metrics: list[str]) -> list[str]:
    first, _, *rest = material.describe(row)
    return [first, *(f"{m} {material.rows[row][m]:.5g}" for m in metrics), *rest]


def section(material: Material) -> Section | None:
    """The front, of a sweep with several metrics and at least one trial that has them all."""
    modes = material.results.manifest.objectives
    if len(modes) < 2 or not (front := material.results.pareto()):
        return None
    wanted = ", ".join(f"{m} {'large' if mode == 'max' else 'small'}" for m, mode in modes.items())
    says = f"{counted(len(front), 'trial')} that no other surpasses; wanted are {wanted}."
    if len(modes) > 3:
        says += " The first three metrics are drawn; the table has all."
    rows = [[t.id, t.state, *(f"{v:.5g}" for v in t.values if v is not None)] for t in front[:LISTED]]
    if len(front) > LISTED:
        says += f" The first {LISTED} are listed."
    body = table(["trial", "state", *modes], rows, numbers=range(2, 2 + len(modes)))
    return Section(title="Pareto front", says=says, figure=figure(material), body=body)
