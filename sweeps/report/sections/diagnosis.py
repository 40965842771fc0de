"""What the learning curves tell: findings with their evidence, and the next thing to try."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sweeps.diagnosis import Finding, diagnose
from sweeps.report.markup import Html, counted, folded, join, pairs, tag
from sweeps.report.material import Material
from sweeps.report.sections import Section

SHOWN = 3
"""Findings of each label that are told in full, the most certain first."""

NAMED = 40
"""Others of a label whose trials are named."""


def section(material: Material) -> Section | None:
    """Findings of `sweeps.diagnosis`, grouped by label; None where there are none."""
    return told(diagnose(material.results), len(material))


def told(findings: Sequence[Finding], trials: int) -> Section | None:
    """The section for these findings of a sweep of so many trials."""
    if not findings:
        return None
    groups: dict[str, list[Finding]] = {}
    for one in sorted(findings, key=lambda one: -one.confidence):
        groups.setdefault(one.label, []).append(one)
    parts = [_group(label, found) for label, found in sorted(groups.items(), key=lambda g: -len(g[1]))]
    says = f"{counted(len(findings), 'finding')} in {counted(trials, 'trial')}, the most frequent first."
    return Section(title="Diagnosis", says=says, body=tag("div", *parts, class_="findings"))


def _group(label: str, found: list[Finding]) -> Html:
    head = tag("h3", label.replace("_", " "), " ", tag("span", counted(len(found), "trial"), class_="count"))
    cards = [_finding(one) for one in found[:SHOWN]]
    rest = found[SHOWN:]
    names = ", ".join(f"{one.trial or 'the sweep'} ({one.confidence:.0%})" for one in rest[:NAMED])
    names += ", ..." * (len(rest) > NAMED)
    more = [folded(f"{len(rest)} more", tag("p", names))] if rest else []
    return tag("div", head, *cards, *more, class_="card")


def _finding(one: Finding) -> Html:
    evidence = [(name.replace("_", " "), _number(value)) for name, value in one.evidence.items()]
    return join([
        tag("p", tag("b", str(one.trial or "the sweep")), f" ({one.confidence:.0%} sure): ", one.text),
        tag("p", tag("span", "Next: ", class_="next"), one.next_step) if one.next_step else "",
        folded("evidence", pairs(evidence)) if evidence else "",
    ])  # fmt: skip


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    return str(value)
