"""Which hyperparameters matter, as bars; judged in `sweeps.report.importance`."""

from __future__ import annotations

import plotly.graph_objects as go

from sweeps.report import looks
from sweeps.report.importance import LEAST, comparable
from sweeps.report.markup import counted
from sweeps.report.material import Material
from sweeps.report.sections import Section


def figure(material: Material) -> go.Figure:
    """A bar for each hyperparameter; hollow: judged only among the trials in which it is active."""
    found = material.importances
    bars: list[tuple[str, float, str]] = []
    if found is not None:
        bars += [(name, share, "") for name, share in found.shares.items()]
        bars += [(p, s, f" (of the {n} trials that have it)") for p, (s, n) in found.conditional.items()]
    bars.sort(key=lambda bar: bar[1])
    made = looks.figure(
        90 + 32 * max(len(bars), 2), xaxis_title_text="importance, 1 in all", showlegend=False
    )
    made.add_bar(
        orientation="h",
        y=[looks.words(name, 32) for name, _, _ in bars],
        x=[share for _, share, _ in bars],
        text=[f" {share:.2f}{note}" for _, share, note in bars],
        textposition="outside",
        cliponaxis=False,
        marker={
            "color": ["rgba(47,126,216,0.25)" if note else looks.STATES["completed"] for *_, note in bars],
            "line": {"color": looks.STATES["completed"], "width": 1.2},
        },
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    made.update_yaxes(automargin=True)
    made.update_xaxes(range=[0, 1.12 * max([1e-9, *(s for _, s, note in bars)]) + 0.12])
    return made


def section(material: Material) -> Section | None:
    """Importances; where there are too few trials, a sentence instead."""
    if not [p for p in material.parameters if p.varies] or not material.ranking:
        return None
    found = material.importances
    if found is None:
        values, _ = comparable(material)
        says = (
            f"{counted(len(values), 'comparable trial')}: at least {LEAST} that are not all alike are needed."
        )
        return Section(title="Importances", says=says)
    of = (
        f"{counted(found.trials, 'completed trial')}"
        if found.iteration is None
        else f"the values of {counted(found.trials, 'trial')} at iteration {found.iteration}, "
        "the deepest that two thirds of them reached"
    )
    says = f"{found.evaluator} (Optuna's) on {of}."
    if found.trials < 10 * len(found.shares | found.conditional):
        says += " That is few for so many hyperparameters: read the order, not the numbers."
    return Section(title="Importances", says=says, figure=figure(material))
