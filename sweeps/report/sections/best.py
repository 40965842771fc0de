"""The best configuration, and how sure that is."""

from __future__ import annotations

import json
import math

from sweeps.report.certainty import Certainty, certainty
from sweeps.report.markup import Html, counted, folded, join, pairs, table, tag
from sweeps.report.material import Material
from sweeps.report.sections import Section
from sweeps.store import lines

RUNNERS = 5
_WORDS = {
    "clear": "The lead is clear.",
    "likely": "The lead is likely, not certain.",
    "open": "The lead is within chance.",
    "alone": "There is nothing to compare it with.",
    "unknown": "How far such values scatter is not known.",
}


def section(material: Material) -> Section:
    """The best trial's values and configuration, the verdict on its lead, and the runners-up."""
    best, sure = material.best, certainty(material)
    if best is None or sure is None:
        why = "There are no trials yet." if not len(material) else "No trial has a value yet."
        if len(material) and all(state == "failed" for state in material.states):
            why = "Every trial failed before it had a value: see Failures."
        return Section(title="Best configuration", says=why)
    searched = {p.name: p.text(p.values[material.ids.index(best.id)]) for p in material.parameters}
    config = [(name, tag("code", text)) for name, text in searched.items() if text]
    whole = folded("all of its configuration, as JSON", tag("pre", _json(best.row["config"])))
    others = {name: value for name, value in best.metrics.items() if name != material.metric}
    told = [(name, _number(value)) for name, value in sorted(others.items())]
    parts = [
        tag("div", tag("div", tag("h3", "Configuration"), pairs(config), whole, class_="card"),
            tag("div", tag("h3", "How sure"), join(tag("p", line) for line in sentences(material, sure)),
                class_=f"card verdict {sure.verdict}"), class_="two"),
        _runners(material),
        folded("what else its last report says", pairs(told)) if told else Html(),
    ]  # fmt: skip
    says = f"Trial {best.id}, {best.state} after {counted(best.iterations, 'iteration')}"
    says += f": {material.metric} {best.value:.5g}."
    if sure.kind == "seeds":
        whose = "Its configuration" if sure.trial == best.id else f"The configuration of {sure.trial}"
        says += f" {whose} has the best mean over seeds, {sure.value:.5g}."
    if best.checkpoint:
        parts.append(tag("p", "Checkpoint: ", tag("code", best.checkpoint), class_="small"))
    return Section(title="Best configuration", says=says, body=join(parts))


def sentences(material: Material, sure: Certainty) -> list[Html | str]:
    """The verdict and the numbers that it rests on."""
    found: list[Html | str] = [tag("b", _WORDS[sure.verdict])]
    many = "configuration" if sure.kind == "seeds" else "trial"
    if sure.repeats > 1 and sure.kind == "seeds":
        found.append(f"It was run with {sure.repeats} seeds; the mean {material.metric} is {sure.value:.5g}.")
    if sure.gap is not None and sure.runner_up is not None:
        text = f"It is {sure.gap:.3g} better than the next, {sure.runner_up}"
        if sure.ratio is not None and math.isfinite(sure.ratio):
            text += f": {sure.ratio:.1f} standard deviations of such a difference"
        found.append(text + ".")
    if sure.scatter is not None and sure.kind == "seeds":
        found.append(f"One value scatters by {sure.scatter:.3g} from seed to seed (standard deviation).")
    elif sure.scatter is not None:
        found.append(
            f"The last reports of good trials scatter by {sure.scatter:.3g} (standard deviation). "
            "Other seeds would scatter more: this is the least it can be."
        )
    if sure.scatter is not None and sure.rivals:
        are = "is" if sure.alike == 1 else "are"
        found.append(f"{counted(sure.alike, many)} of {sure.rivals:,} compared {are} within chance of it.")
    done = sum(state == "completed" for state in material.states)
    found.append(
        f"{counted(done, 'trial')} completed. The best of many values flatters: "
        "a new run of it will on average be worse."
    )
    if not (sure.kind == "seeds" and sure.verdict == "clear"):
        found.append(join(["To be sure: ", tag("code", f"starling certify {material.results.path}")]))
    return found


def _runners(material: Material) -> Html:
    rows = material.ranking[: RUNNERS + 1]
    shown = [p for p in material.parameters if p.varies][:8]
    cells = [
        [place, material.ids[i], f"{material.values[i]:.5g}", material.states[i], int(material.iterations[i]),
         *(p.text(p.values[i]) for p in shown)]
        for place, i in enumerate(rows, start=1)
    ]  # fmt: skip
    columns = ["", "trial", material.metric, "state", "iterations", *(p.name for p in shown)]
    numbers = [0, 2, 4, *(5 + k for k, p in enumerate(shown) if p.choices is None)]
    return table(columns, cells, numbers=numbers)


def _json(config: str | None) -> str:
    told = lines.decode(config or "{}")
    return json.dumps(told, indent=2, default=str)


def _number(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
