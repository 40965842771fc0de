"""The learning-rate range curve with its three regions: an HTML file of its own, or an SVG."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.diagnosis.lr_regions import DIVERGING, STEEPEST, TOO_LOW, Regions, regions

if TYPE_CHECKING:
    from trainables.engine.lr_range import Curve

COLOURS = {TOO_LOW: "#c9d3e0", STEEPEST: "#bfe3cd", DIVERGING: "#f2c4bd"}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 760, 420, 64, 40, 52, 20


def write(curve: Curve, where: str, title: str) -> Path:
    """Write the picture; its name's ending says which kind.

    Raises:
        ValueError: an ending that is neither .html nor .svg.
    """
    path = checked(where)
    path.write_text(html(curve, title) if path.suffix == ".html" else svg(curve, title))
    return path


def checked(where: str) -> Path:
    """The path of a picture to be written.

    Raises:
        ValueError: an ending that is neither .html nor .svg, or a folder that is not there.
    """
    path = Path(where)
    if path.suffix not in (".html", ".svg"):
        raise ValueError(f"--plot: {where!r} ends in neither .html nor .svg; choose one of them")
    if not path.parent.is_dir():
        raise ValueError(f"--plot: there is no folder {str(path.parent)!r}; make it first")
    return path


def bands(curve: Curve) -> tuple[Regions | None, list[tuple[str, float, float]]]:
    """The regions, and each one's name with its ends in the rates that were tried."""
    found = regions(curve.lrs, curve.losses, curve.smooth)
    if found is None:
        return None, []
    low, high = curve.lrs[0], curve.lrs[-1]
    whole = [
        (TOO_LOW, low, found.begins),
        (STEEPEST, found.begins, found.ends),
        (DIVERGING, found.ends, high),
    ]
    return found, [band for band in whole if band[2] > band[1]]


def _span(curve: Curve) -> tuple[float, float]:
    """Losses to show: what blew up is cut off at half of the fall above the start."""
    low, start = min(curve.smooth), curve.smooth[0]
    high = max(min(max(curve.smooth), start + 0.5 * max(start - low, 1e-12)), start)
    margin = 0.05 * max(high - low, 1e-12)
    return low - margin, high + margin


def html(curve: Curve, title: str) -> str:
    """Plotly's figure with all of its JavaScript inside: 5 MB, needs no network."""
    from plotly import graph_objects as go

    found, whole = bands(curve)
    figure: Any = go.Figure()
    figure.add_scatter(x=curve.lrs, y=curve.losses, mode="markers", name="loss of a step", opacity=0.4)
    figure.add_scatter(x=curve.lrs, y=curve.smooth, mode="lines", name="smoothed", line={"width": 3})
    for name, low, high in whole:
        figure.add_vrect(x0=low, x1=high, fillcolor=COLOURS[name], opacity=0.5, layer="below", line_width=0,
                         annotation_text=name, annotation_position="top left")  # fmt: skip
    if found is not None:
        figure.add_vline(x=found.steepest, line_dash="dot", annotation_text=f"steepest {found.steepest:.2g}")
    if curve.best is not None:
        figure.add_vline(x=curve.best, line_dash="dash", annotation_text=f"lowest {curve.best:.2g}",
                         annotation_position="bottom right")  # fmt: skip
    figure.update_xaxes(type="log", title="learning rate")
    figure.update_yaxes(title="loss", range=_span(curve))
    figure.update_layout(title=title, template="plotly_white")
    return str(figure.to_html(include_plotlyjs=True, full_html=True))


def svg(curve: Curve, title: str) -> str:
    """The same as a plain SVG."""
    from xml.sax.saxutils import escape

    low, high = _span(curve)
    first, last = math.log10(curve.lrs[0]), math.log10(curve.lrs[-1])
    floor = HEIGHT - BOTTOM

    def x(lr: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(lr) - first) / (last - first)

    def y(loss: float) -> float:
        return TOP + (floor - TOP) * min(1.0, max(0.0, (high - loss) / (high - low)))

    found, whole = bands(curve)
    body = [f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>']
    for name, begins, ends in whole:
        body.append(
            f'<rect x="{x(begins):.1f}" y="{TOP}" width="{x(ends) - x(begins):.1f}" height="{floor - TOP}" '
            f'fill="{COLOURS[name]}"/><text x="{x(begins) + 4:.1f}" y="{TOP + 14}">{name}</text>'
        )
    body += [
        f'<circle cx="{x(lr):.1f}" cy="{y(loss):.1f}" r="2" fill="#1f4e9c" opacity="0.4"/>'
        for lr, loss in zip(curve.lrs, curve.losses, strict=True)
    ]
    points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(curve.lrs, curve.smooth, strict=True))
    body.append(f'<polyline points="{points}" fill="none" stroke="#1f4e9c" stroke-width="2.5"/>')
    marks = [("lowest", curve.best, floor - 8)] if curve.best is not None else []
    marks += [("steepest", found.steepest, floor - 24)] if found is not None else []
    for word, lr, height in marks:
        body.append(
            f'<path d="M{x(lr):.1f},{TOP} V{floor}" stroke="#444" stroke-dasharray="4 4"/>'
            f'<text x="{x(lr) - 4:.1f}" y="{height}" text-anchor="end">{word} {lr:.2g}</text>'
        )
    for power in range(math.ceil(first), math.floor(last) + 1):
        body.append(f'<text x="{x(10.0**power):.1f}" y="{floor + 18}" text-anchor="middle">1e{power}</text>')
    for loss in (low, (low + high) / 2, high):
        body.append(f'<text x="{LEFT - 6}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss:.3g}</text>')
    body.append(f'<path d="M{LEFT},{TOP} V{floor} H{WIDTH - RIGHT}" fill="none" stroke="#444"/>')
    body.append(f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">learning rate</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="11">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )
