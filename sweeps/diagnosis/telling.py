"""Findings as text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from sweeps.diagnosis.finding import Finding

SHOWN = 3
"""Findings of a label that are told in full."""


def text(findings: Sequence[Finding], trials: int, path: str) -> str:
    """The sweep's own findings, then each label's surest ones; the others by their trials' names."""
    if not findings:
        return "nothing is wrong with the curves"
    whole = [one for one in findings if one.trial is None]
    lines = [f"the sweep: {len(whole)} findings"] if whole else []
    for one in whole:
        lines += _told(one, one.label)
    each: dict[str, list[Finding]] = {}
    for one in sorted(findings, key=lambda one: -one.confidence):
        if one.trial is not None:
            each.setdefault(one.label, []).append(one)
    for label, ones in sorted(each.items(), key=lambda item: -len(item[1])):
        lines += ["", f"{label}: {len(ones)} of {trials} trials"]
        for one in ones[:SHOWN]:
            lines += _told(one, str(one.trial))
        if rest := ones[SHOWN:]:
            names = ", ".join(str(one.trial) for one in rest)
            lines += textwrap.wrap(f"also {names}", 106, initial_indent="  ", subsequent_indent="  ")
    hidden = sum(max(0, len(ones) - SHOWN) for ones in each.values())
    if hidden:
        lines += ["", f"one of them in full: starling diagnose {path} TRIAL"]
    return "\n".join(lines).strip()


def _told(one: Finding, who: str) -> list[str]:
    head = f"  {who}  {one.confidence:.0%}  "
    lines = textwrap.wrap(one.text, 108, initial_indent=head, subsequent_indent=" " * len(head))
    return [*lines, *textwrap.wrap(f"next: {one.next_step}", 108, initial_indent=" " * len(head),
                                   subsequent_indent=" " * len(head))]  # fmt: skip
