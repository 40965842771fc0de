"""What became of each node of a played cluster: as records, as text and as a picture."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from pathlib import Path

WIDTH = 60
BOOT, UP, LEAVING = "·", "█", "▒"
COLOURS = {"boot": "#c9ced6", "up": "#3b7dd8", "leaving": "#e0872b"}


@dataclass(kw_only=True, slots=True)
class Node:
    """One node; seconds since 1970, None where that did not happen."""

    name: str
    type: str
    starting: float
    up: float | None = None
    notice: float | None = None
    gone: float | None = None
    why: str = ""
    """Why it is gone: given back, or preempted."""


@dataclass(kw_only=True, slots=True)
class Timeline:
    """All nodes in the order of their launch, and the launches that were refused."""

    nodes: list[Node] = field(default_factory=list)
    refused: list[tuple[float, str, int]] = field(default_factory=list)
    """When, of which type, how many nodes."""

    @property
    def start(self) -> float:
        """When the first launch was asked for."""
        return min([node.starting for node in self.nodes] + [t for t, _, _ in self.refused], default=0.0)

    @property
    def end(self) -> float:
        """The last thing that happened."""
        times = [t for node in self.nodes for t in (node.starting, node.up, node.notice, node.gone)]
        return max([t for t in times if t is not None] + [t for t, _, _ in self.refused], default=0.0)

    @property
    def most(self) -> int:
        """Nodes up at the same time at most."""
        ups = [(node.up, 1) for node in self.nodes if node.up is not None]
        ends = [(node.gone, -1) for node in self.nodes if node.up is not None and node.gone is not None]
        most = now = 0
        for _, change in sorted(ups + ends):
            now += change
            most = max(most, now)
        return most


def read(events: Path) -> Timeline:
    """The file that the played cloud wrote; nothing yet where there is none."""
    found: dict[str, Node] = {}
    refused = []
    for line in events.read_text().splitlines() if events.exists() else ():
        event = json.loads(line)
        t, what = event["t"], event["event"]
        if what == "refused":
            refused.append((t, event["type"], event["count"]))
        elif what == "starting":
            found[event["node"]] = Node(name=event["node"], type=event["type"], starting=t)
        else:
            setattr(found[event["node"]], what, t)
            found[event["node"]].why = event.get("why", "")
    return Timeline(nodes=list(found.values()), refused=refused)


def text(timeline: Timeline) -> str:
    """One line a node, a refused launch where it happened; columns are equal parts of the whole time."""
    start, span = timeline.start, max(timeline.end - timeline.start, 1e-9)
    names = [node.name for node in timeline.nodes] + [kind for _, kind, _ in timeline.refused]
    wide = max(map(len, names), default=0)

    def column(t: float) -> int:
        return min(WIDTH - 1, int((t - start) / span * WIDTH))

    rows: list[tuple[float, str]] = []
    for node in timeline.nodes:
        marks = [" "] * WIDTH
        phases = ((node.starting, BOOT), (node.up, UP), (node.notice, LEAVING), (node.gone, " "))
        for when, mark in phases:
            if when is not None:
                at = column(when) + (mark == " ")
                marks[at:] = [mark] * (WIDTH - at)
        until = "" if node.gone is None else f"{node.why} at {node.gone - start:.0f} s"
        rows.append((node.starting, f"{node.name:<{wide}}  {''.join(marks)}  {until}".rstrip()))
    for t, kind, count in timeline.refused:
        rows.append((t, f"{kind:<{wide}}  {' ' * column(t)}x  {count} refused at {t - start:.0f} s"))
    lines = [row for _, row in sorted(rows, key=lambda row: row[0])]
    scale = f"{'':<{wide}}  0 s{'':<{WIDTH - 10}}{span:>5.0f} s"
    legend = f"{'':<{wide}}  {BOOT} boots  {UP} up  {LEAVING} has its notice  x refused"
    return "\n".join([*lines, scale, legend])


def svg(timeline: Timeline, title: str) -> str:
    """The same as a picture, which any browser opens."""
    start, span = timeline.start, max(timeline.end - timeline.start, 1e-9)
    left, right, row = 150, 760, 22
    top = 40

    def x(t: float) -> float:
        return left + (t - start) / span * (right - left)

    parts = []
    for i, node in enumerate(timeline.nodes):
        y = top + i * row
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{html.escape(node.name)}</text>')
        end = node.gone if node.gone is not None else timeline.end
        phases = [(node.starting, "boot"), (node.up, "up"), (node.notice, "leaving")]
        known = [(t, phase) for t, phase in phases if t is not None]
        for (t, phase), (until, _) in zip(known, [*known[1:], (end, "")], strict=True):
            words = f"{phase}: {t - start:.0f} to {until - start:.0f} s"
            parts.append(
                f'<rect x="{x(t):.1f}" y="{y + 2}" width="{max(x(until) - x(t), 0.5):.1f}" height="14" '
                f'fill="{COLOURS[phase]}"><title>{words}</title></rect>'
            )
        parts.append(f'<text x="{x(end) + 6:.1f}" y="{y + 13}" fill="#667">{html.escape(node.why)}</text>')
    bottom = top + len(timeline.nodes) * row
    for t, kind, count in timeline.refused:
        words = f"{count} of {kind} refused at {t - start:.0f} s"
        parts.append(
            f'<g stroke="#c0392b"><title>{html.escape(words)}</title>'
            f'<line x1="{x(t):.1f}" y1="{top - 6}" x2="{x(t):.1f}" y2="{bottom}" stroke-dasharray="2 3"/></g>'
            f'<text x="{x(t) + 3:.1f}" y="{top - 8}" fill="#c0392b">{html.escape(words)}</text>'
        )
    ticks = [start + span * part / 4 for part in range(5)]
    parts += [
        f'<text x="{x(t):.1f}" y="{bottom + 18}" text-anchor="middle">{t - start:.0f} s</text>' for t in ticks
    ]
    style = "font: 12px ui-monospace, Menlo, Consolas, monospace; background: white"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {bottom + 30}" style="{style}">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg>\n"
    )
