"""What `starling certify` found of the best configurations on fresh seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from sweeps.certify import Certificate, read
from sweeps.report import looks
from sweeps.report.markup import counted, join, table, tag
from sweeps.report.material import Material
from sweeps.report.sections import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

def figure(material: Material) -> go.Figure:
    """Every trial of the race, a row for each configuration; empty where nothing was certified."""
    certificate = read(material.results)
    return looks.figure() if certificate is None else drawn(certificate)


def drawn(certificate: Certificate) -> go.Figure:
    """A dot a trial; a ring the value in the sweep, a diamond the expected one, a line the interval."""
    rows = certificate.configurations
    made = looks.figure(130 + 34 * len(rows))
    runs = [(one["configuration"], value, seed) for one in rows for value, seed in _runs(one)]
    made.add_scatter(
        x=[value for _, value, _ in runs], y=[name for name, _, _ in runs],
        mode="markers", name="a fresh seed",
        marker={"color": looks.STATES["completed"], "size": 8, "opacity": 0.7},
        text=[looks.words(seed) for *_, seed in runs], hovertemplate="%{y}: %{x:.5g} %{text}<extra></extra>",
    )  # fmt: skip
    before = [one for one in rows if one["in_sweep"] is not None]
    made.add_scatter(
        x=[one["in_sweep"] for one in before], y=[one["configuration"] for one in before],
        mode="markers", name="in the sweep", marker={"symbol": "circle-open", "color": "#98a2b3", "size": 11},
        hovertemplate="%{y}: %{x:.5g} in the sweep<extra></extra>",
    )  # fmt: skip
    if certificate.winner_low is not None and certificate.winner_high is not None:
        made.add_scatter(
            x=[certificate.winner_low, certificate.winner_high], y=[certificate.winner] * 2, mode="lines",
            name=f"{100 * certificate.confidence:g} % interval", line={"color": looks.BEST, "width": 3},
            hovertemplate="%{x:.5g}<extra></extra>",
        )  # fmt: skip
    known = [one for one in rows if one["expected"] is not None]
    made.add_scatter(
        x=[one["expected"] for one in known], y=[one["configuration"] for one in known],
        mode="markers", name="expected", marker={"symbol": "diamond", "color": looks.BEST, "size": 11},
        hovertemplate="%{y}: %{x:.5g} expected<extra></extra>",
    )  # fmt: skip
    names = [one["configuration"] for one in rows]
    made.update_layout(
        xaxis_title_text=looks.words(certificate.metric),
        yaxis={"type": "category", "categoryarray": names[::-1], "automargin": True},
    )
    return made


def section(material: Material) -> Section | None:
    """The sweep's certificate; None where it has none."""
    certificate = read(material.results)
    if certificate is None:
        return None
    columns, *rows = certificate.table()
    body = join([
        tag("ul", *(tag("li", sentence) for sentence in certificate.findings())),
        table(columns, rows, numbers=range(1, len(columns) - 1)),
        *(tag("p", f"Note: {note}.", class_="says") for note in certificate.notes),
    ])  # fmt: skip
    says = (
        f"The best configurations raced on fresh seeds, {counted(certificate.trials, 'trial')}. An expected "
        "value is the mean drawn towards the others, the more the noisier it is: without the winner's luck."
    )
    return Section(title="Certificate", says=says, figure=drawn(certificate), body=body)


def _runs(one: Mapping[str, Any]) -> list[tuple[float, str]]:
    """(value, its seed in words); seeds are known one by one only where none of the trials failed."""
    values, seeds = one["values"], one["seeds"]
    if len(seeds) != len(values):
        return [(value, "") for value in values]
    return [(value, f"seed {seed}") for value, seed in zip(values, seeds, strict=True)]
