"""Which trial was on which machine, and when."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime

import numpy as np
import plotly.graph_objects as go

from sweeps.report import looks
from sweeps.report.markup import counted
from sweeps.report.material import Material
from sweeps.report.sections import Section
from sweeps.report.stretches import Stretch, Whereabouts

BARS = 1500
"""Stretches that are drawn one by one; beyond, how many trials each machine had at a time."""

BINS = 240
_COLOURS = {"moved": "#b58bd6", "paused": "#b58bd6", "": looks.STATES["running"]}
_WORDS = {"moved": "moved away", "": "went on, or cut off"}


def figure(material: Material) -> go.Figure:
    """A bar a stretch of a trial on a machine, trials side by side on lines of their own."""
    places = material.whereabouts
    return _bars(material, places) if len(places.stretches) <= BARS else _load(places)


def section(material: Material) -> Section | None:
    """The timeline, where any trial has been seen anywhere."""
    places = material.whereabouts
    if not places.stretches:
        return None
    hosts = {one.host for one in places.stretches}
    trials = len({one.trial for one in places.stretches})
    says = (
        f"{counted(trials, 'trial')} on {counted(len(hosts), 'machine')}, {duration(places.seconds)} in all"
    )
    if len(places.sessions) > 1:
        says += f", in {len(places.sessions)} sessions"
    says += f"; at one time {counted(_most(places.stretches), 'trial')} at most."
    if places.nodes and len(places.stretches) <= BARS:
        says += " Behind the trials: amber a node that starts, grey one that is up."
    if len(places.stretches) > BARS:
        says += f" More than {BARS:,} bars cannot be told apart: the colour is how many trials a machine had."
    return Section(title="Timeline", says=says, figure=figure(material))


def duration(seconds: float) -> str:
    """`42 s`, `7 min 3 s`, `2 h 5 min`, `3 d 2 h`."""
    whole = round(seconds)
    for size, word, below, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {word}" + (f" {rest} {lesser}" if rest else "")
    return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"


def _bars(material: Material, places: Whereabouts) -> go.Figure:
    lines, ticks = _lines(places.stretches)
    made = looks.figure(
        min(900, 140 + 22 * (1 + max(lines.values(), default=0))), barmode="overlay", bargap=0.25,
        uniformtext={"minsize": 9, "mode": "hide"},
    )  # fmt: skip
    rows = {trial: i for i, trial in enumerate(material.ids)}
    grouped: dict[str, list[Stretch]] = defaultdict(list)
    for one in places.stretches:
        grouped[one.why].append(one)
    for node in places.nodes:
        for begin, end, colour, what in (
            (node.begin, node.up or node.end, "rgba(224,160,48,0.35)", "starting"),
            (node.up, node.end, "rgba(128,128,128,0.13)", "up"),
        ):
            line = [lines[s] for s in places.stretches if s.host == node.name]
            if begin is not None and end is not None and line:
                made.add_shape(
                    type="rect", layer="below", line={"width": 0}, fillcolor=colour, name=what,
                    x0=_time(begin), x1=_time(end), y0=min(line) - 0.5, y1=max(line) + 0.5,
                )  # fmt: skip
    for why, stretches in sorted(grouped.items()):
        told = [
            looks.label([
                f"trial {s.trial} on {s.host}",
                f"{duration(s.end - s.begin)}, {_WORDS.get(why, why)}",
                *(material.describe(rows[s.trial])[1:2] if s.trial in rows else ()),
            ])
            for s in stretches
        ]  # fmt: skip
        made.add_bar(
            orientation="h",
            base=[_time(s.begin) for s in stretches],
            x=[max(s.end - s.begin, 0.05) * 1000 for s in stretches],
            y=[lines[s] for s in stretches],
            name=_WORDS.get(why, why),
            marker={"color": looks.STATES.get(why, _COLOURS.get(why)), "line": {"width": 0}},
            text=[s.trial for s in stretches] if len(places.stretches) <= 60 else None,
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            constraintext="inside",
            hovertext=told,
            hovertemplate="%{hovertext}<extra></extra>",
        )
    for begin, _ in places.sessions[1:]:
        made.add_vline(x=_time(begin), line={"dash": "dot", "color": "#8a94a6"})
    made.update_xaxes(type="date")
    made.update_yaxes(
        tickvals=[place for place, _ in ticks], ticktext=[looks.words(host, 22) for _, host in ticks],
        autorange="reversed", showgrid=False, automargin=True,
    )  # fmt: skip
    return made


def _load(places: Whereabouts) -> go.Figure:
    """How many trials each machine had, by time: a heat map; beyond 60 machines neighbours are summed up."""
    hosts = sorted({s.host for s in places.stretches})
    begin = min(s.begin for s in places.stretches)
    width = max(max(s.end for s in places.stretches) - begin, 1e-9) / BINS
    parts = np.array_split(np.array(hosts), min(len(hosts), 60))
    row = {host: k for k, part in enumerate(parts) for host in part}
    busy = np.zeros((len(parts), BINS))
    for s in places.stretches:
        first, last = (s.begin - begin) / width, (s.end - begin) / width
        for k in range(int(first), min(math.ceil(last), BINS)):
            busy[row[s.host], k] += max(0.0, min(last, k + 1) - max(first, k))
    names = [part[0] if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in parts]
    made = looks.figure(min(900, max(220, 130 + 22 * len(parts))))
    made.add_heatmap(
        x=[_time(begin + (k + 0.5) * width) for k in range(BINS)],
        y=list(range(len(parts))),
        z=busy.round(2),
        colorscale=[[0, "rgba(128,128,128,0.08)"], *looks.SCALE[1:]],
        colorbar=looks.bar("trials"),
        hovertemplate="%{x}: %{z} trials<extra></extra>",
    )
    made.update_yaxes(
        tickvals=list(range(len(parts))),
        ticktext=[looks.words(name, 22) for name in names],
        autorange="reversed",
        automargin=True,
    )
    return made


def _lines(stretches: list[Stretch]) -> tuple[dict[Stretch, int], list[tuple[float, str]]]:
    """A line for each stretch, so that none on a machine overlap; and where each machine's name goes."""
    lines: dict[Stretch, int] = {}
    ticks: list[tuple[float, str]] = []
    first = 0
    for host in sorted({s.host for s in stretches}):
        free: list[float] = []
        for s in sorted((s for s in stretches if s.host == host), key=lambda s: (s.begin, s.end, s.trial)):
            line = next((k for k, since in enumerate(free) if since <= s.begin + 1e-3), len(free))
            free[line : line + 1] = [s.end]
            lines[s] = first + line
        ticks.append((first + (len(free) - 1) / 2, host))
        first += len(free)
    return lines, ticks


def _most(stretches: list[Stretch]) -> int:
    """Trials that were somewhere at one time, at most."""
    spans: dict[tuple[str, float], float] = {(s.trial, s.begin): s.end for s in stretches}
    steps = sorted([(begin, 1) for _, begin in spans] + [(end, -1) for end in spans.values()])
    now = most = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def _time(t: float) -> str:
    return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
