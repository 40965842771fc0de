"""A plan drawn: nodes and trials over time, as a plain SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from cluster.planning.work import Moment

WIDTH, HEIGHT, LEFT, TOP, PANEL = 760, 420, 60, 36, 150
COLOURS = {"up": "#0b6e4f", "coming": "#c97b12", "running": "#1f4e9c", "waiting": "#8a8a8a"}
WORDS = {
    "up": "nodes up",
    "coming": "nodes booting",
    "running": "trials running",
    "waiting": "trials waiting",
}


def svg(moments: Sequence[Moment], title: str) -> str:
    """Two panels over hours: nodes up and booting, trials running and waiting."""
    last = max(one.at_s for one in moments) or 1.0
    body = [f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>']
    for row, names in enumerate((("up", "coming"), ("running", "waiting"))):
        top = TOP + row * (PANEL + 40)
        most = max(max(getattr(one, name) for one in moments) for name in names) or 1
        body.append(
            f'<path d="M{LEFT},{top} V{top + PANEL} H{WIDTH - 20}" fill="none" stroke="#444"/>'
            f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,}</text>'
            f'<text x="{LEFT - 6}" y="{top + PANEL}" text-anchor="end">0</text>'
            f'<text x="{WIDTH - 20}" y="{top + PANEL + 16}" text-anchor="end">{last / 3600:.2f} h</text>'
        )
        for column, name in enumerate(names):
            points = " ".join(
                f"{LEFT + (WIDTH - 20 - LEFT) * one.at_s / last:.1f},"
                f"{top + PANEL * (1 - getattr(one, name) / most):.1f}"
                for one in moments
            )
            body.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}"/>')
            x = WIDTH - 260 + 130 * column
            body.append(f'<text x="{x}" y="{top - 4}" fill="{COLOURS[name]}">{WORDS[name]}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="11">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )
