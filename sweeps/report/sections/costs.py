"""What the sweep cost: dollars where prices were known, else hours of CPUs and GPUs."""

from __future__ import annotations

import json
import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweeps.report import looks
from sweeps.report.markup import table
from sweeps.report.material import ENDED, Floats, Material
from sweeps.report.sections import Section

LISTED = 5


def figure(material: Material) -> go.Figure:
    """Left what was spent on what; right the best value so far over what had been spent by then."""
    spent, unit = _spent(material)
    parts = _parts(material)
    made = make_subplots(1, 2, column_widths=[0.4, 0.6], horizontal_spacing=0.12)
    made.update_layout(looks.figure(340, showlegend=False).layout)
    made.add_bar(
        x=[amount for _, amount, _ in parts],
        y=[name for name, _, _ in parts],
        orientation="h",
        marker={"color": [colour for *_, colour in parts]},
        text=[f" {_amount(amount, unit)}" for _, amount, _ in parts],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
        row=1,
        col=1,
    )
    x, y = _progress(material, spent)
    made.add_scatter(
        x=x, y=y, mode="lines", line={"shape": "hv", "color": looks.BEST, "width": 2.5},
        hovertemplate=f"after %{{x:.4g}} {unit}: %{{y:.5g}}<extra></extra>", row=1, col=2,
    )  # fmt: skip
    looks.dress_axes(made)
    most = max([amount for _, amount, _ in parts], default=0.0) or 1.0
    made.update_xaxes(range=[0, 1.35 * most], title_text=unit, row=1, col=1)
    made.update_yaxes(autorange="reversed", automargin=True, showgrid=False, row=1, col=1)
    made.update_xaxes(title_text=f"{unit} of trials, spent so far", rangemode="tozero", row=1, col=2)
    made.update_yaxes(title_text=looks.words(f"best {material.metric} so far", 30), row=1, col=2)
    return made


def section(material: Material) -> Section | None:
    """The costs, where any trial has trained."""
    spent, unit = _spent(material)
    if not np.nansum(spent) > 0:
        return None
    parts = _parts(material)
    total = sum(amount for _, amount, _ in parts)
    if unit == "dollars":
        says = f"{_amount(total, unit)} in all, by the nodes' prices; boot and idle time apart from trials."
    else:
        says = f"{_amount(total, unit)} of trials, by what they held: no prices were known."
    dearest = sorted((i for i in range(len(spent)) if spent[i] > 0), key=lambda i: -spent[i])[:LISTED]
    rows = [
        [material.ids[i], material.states[i], _amount(float(spent[i]), unit).removesuffix(f" {unit}"),
         f"{100 * spent[i] / total:.2g} %",
         "" if math.isnan(material.values[i]) else f"{material.values[i]:.5g}"]
        for i in dearest
    ]  # fmt: skip
    body = table(["dearest trials", "state", unit, "of all", material.metric], rows, numbers=(2, 3, 4))
    return Section(title="Costs", says=says, figure=figure(material), body=body)


def spent_by_state(material: Material) -> dict[str, float]:
    """What the trials of each state cost, in the unit of `unit`."""
    spent, _ = _spent(material)
    found: dict[str, float] = {}
    for state in (*ENDED, "running", "paused", "pending"):
        rows = [i for i, s in enumerate(material.states) if s == state]
        if (amount := float(np.nansum(spent[rows]))) > 0:
            found[state] = amount
    return found


def unit_of(material: Material) -> str:
    """In what costs are told: dollars, GPU hours or CPU hours."""
    return _spent(material)[1]


def _spent(material: Material) -> tuple[Floats, str]:
    """Of each trial what it cost, and the unit."""
    if material.results.dollars is not None:
        return material.dollars, "dollars"
    held = [json.loads(row["resources"] or "{}") for row in material.rows]
    gpus = any(one.get("gpus_per_rank") for one in held)
    key, name = ("gpus_per_rank", "GPU hours") if gpus else ("cpus_per_rank", "CPU hours")
    parts = [float(one.get("ranks") or 1) * float(one.get(key) or (0 if gpus else 1)) for one in held]
    return material.seconds * np.array(parts, float) / 3600, name


def _parts(material: Material) -> list[tuple[str, float, str]]:
    """(what, how much, colour)."""
    parts = [
        (f"{state} trials", amount, looks.STATES[state]) for state, amount in spent_by_state(material).items()
    ]
    if (bill := material.results.dollars) is not None:
        parts += [("nodes starting", bill["boot"], "#c58a2b"), ("nodes idle", bill["idle"], "#8a94a6")]
    return parts


def _progress(material: Material, spent: Floats) -> tuple[list[float], list[float]]:
    """Sum spent and best value so far at each improvement, trials in the order in which they ended."""
    ended = material.whereabouts.ended
    order = sorted(range(len(material)), key=lambda i: ended.get(material.ids[i], math.inf))
    x: list[float] = []
    y: list[float] = []
    total, best = 0.0, math.inf
    for i in order:
        total += 0.0 if math.isnan(spent[i]) else float(spent[i])
        loss = material.sign * float(material.values[i])
        if material.states[i] != "failed" and loss < best:
            best = loss
            x.append(total)
            y.append(material.sign * loss)
    return ([*x, total], [*y, y[-1]]) if y else (x, y)


def _amount(amount: float, unit: str) -> str:
    if unit == "dollars":
        return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.2g}"
    return f"{amount:,.1f} {unit}" if amount >= 10 else f"{amount:.2g} {unit}"
