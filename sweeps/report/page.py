"""The page: its frame, the headline, the sections that a sweep has, and their figures as data."""

from __future__ import annotations

import json
import re
import secrets
import time
from importlib import import_module
from importlib.resources import files
from string import Template

from plotly.offline import get_plotlyjs
from plotly.utils import PlotlyJSONEncoder

from sweeps.report.markup import Html, counted, escape, join, tag
from sweeps.report.material import ENDED, Material
from sweeps.report.sections import Section
from sweeps.report.sections.costs import spent_by_state, unit_of
from sweeps.report.sections.timeline import duration

SECTIONS = (
    "best", "certificate", "history", "pareto", "parallel", "importances", "slices", "contour", "curves",
    "diagnosis", "pictures", "timeline", "costs", "failures", "manifest",
)  # fmt: skip
"""Files of `sweeps.report.sections`, in the page's order."""

_STATES = {
    "finished": "finished", "running": "still running", "crashed": "cut off", "new": "not begun",
    "target": "target reached", "time_budget": "time is up", "max_cost": "money is spent",
    "failures": "stopped by failures", "metric": "stopped: the metric is missing",
}  # fmt: skip


def render(material: Material) -> str:
    """The whole page as HTML, in need of nothing else."""
    made = [(name, found) for name in SECTIONS if (found := _section(name, material)) is not None]
    figures = {name: one.figure for name, one in made if one.figure is not None}
    here = files("sweeps.report")
    return Template((here / "page.html").read_text()).substitute(
        title=escape(f"{material.results.folder.name}: sweep report"),
        style=(here / "page.css").read_text(),
        script=(here / "page.js").read_text(),
        plotly=_plotly(),
        nonce=secrets.token_urlsafe(
            16
        ),  # only these two scripts run, and nothing is fetched: the page's policy
        name=escape(material.results.folder.name),
        state=_badge(material.state),
        about=escape(_about(material)),
        tiles=join(_tile(name, value, small) for name, value, small in _tiles(material)),
        links=join(tag("a", one.title, href=f"#{name}") for name, one in made),
        sections=join(_drawn(name, one) for name, one in made),
        figures=_data(figures),
        made=escape(time.strftime("%Y-%m-%d %H:%M:%S %Z")),
    )


def _plotly() -> str:
    """Plotly's JavaScript; an address of pictures for maps is taken apart, so that a search finds none."""
    return re.sub(r'\bsrc="(https?:)//', r'src="\1"+"//', get_plotlyjs())


def _section(name: str, material: Material) -> Section | None:
    found: Section | None = import_module(f"sweeps.report.sections.{name}").section(material)
    return found


def _drawn(name: str, one: Section) -> Html:
    figure = Html()
    if one.figure is not None:
        height = int(one.figure.layout.height or 400)
        room = tag("div", id=f"figure-{name}", class_="figure", style=f"height:{height}px")
        figure = tag("div", room, class_="wide")
    says = tag("p", one.says, class_="says") if one.says else Html()
    return tag("section", tag("h2", one.title), says, figure, one.body, id=name)


def _data(figures: dict[str, object]) -> str:
    """Figures as JSON that no word of a user can end: "<" is written as its code."""
    told = {name: _plain(json.loads(json.dumps(f, cls=PlotlyJSONEncoder))) for name, f in figures.items()}
    return json.dumps(told, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", " ")


def _plain(figure: dict[str, object]) -> dict[str, object]:
    """Without the template, which the page has its own of, light or dark."""
    layout = figure.get("layout")
    if isinstance(layout, dict):
        layout.pop("template", None)
    return {"data": figure.get("data"), "layout": layout}


def _badge(state: str) -> Html:
    kind = "good" if state in ("finished", "target") else "live" if state == "running" else "bad"
    return tag("span", _STATES.get(state, state), class_=f"badge {kind}")


def _about(material: Material) -> str:
    modes = material.results.manifest.objectives
    wanted = ", ".join(f"{m} {'large' if mode == 'max' else 'small'}" for m, mode in modes.items())
    spec = (material.results.folder.read("spec.yaml") or b"").decode(errors="replace")
    facts = [f"Wanted: {wanted}"]
    for key in ("trainable", "search", "scheduler"):
        if found := re.search(rf"(?m)^{key}: (\S.*)$", spec):
            facts.append(f"{key} {found[1]}")
    return "; ".join(facts) + "."


def _tiles(material: Material) -> list[tuple[str, str, str]]:
    counts = material.results.status()
    ended, total = sum(counts.get(state, 0) for state in ENDED), material.results.total
    best = material.best
    places = material.whereabouts
    found = [
        (f"best {material.metric}", f"{best.value:.5g}" if best and best.value is not None else "none yet",
         f"trial {best.id}" if best else ""),
        ("trials ended", f"{ended:,}" + (f" of {total:,}" if total is not None else ""),
         ", ".join(f"{n:,} {state}" for state, n in counts.items() if n)),
    ]  # fmt: skip
    if places.sessions:
        hosts = len({s.host for s in places.stretches})
        found.append(("time", duration(places.seconds), counted(hosts, "machine") if hosts else ""))
    bill = material.results.dollars
    if bill is not None:
        unused = bill["boot"] + bill["idle"]
        found.append(("cost", f"${bill['total']:,.2f}", f"${unused:,.2f} starting or idle"))
    elif spent := sum(spent_by_state(material).values()):
        found.append((unit_of(material), f"{spent:,.3g}", "no prices known"))
    return found


def _tile(name: str, value: str, small: str) -> Html:
    told = tag("span", small, class_="small")
    return tag("div", tag("span", name, class_="name"), tag("b", value), told, class_="tile")
