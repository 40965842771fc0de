"""Why trials failed, the same reasons together."""

from __future__ import annotations

import re
from collections import Counter

from sweeps.report.markup import counted, folded, join, table, tag
from sweeps.report.material import Material
from sweeps.report.sections import Section

NAMED = 8
SHOWN = 12
"""Reasons of which an example is unfolded."""

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def reason_of(error: str | None) -> str:
    """The last line of an error: what Python says at a traceback's end."""
    lines = [line.strip() for line in (error or "").splitlines() if line.strip()]
    return lines[-1] if lines else "without a reason"


def grouped(material: Material) -> dict[str, list[int]]:
    """Failed trials by reason, the most frequent first; reasons that differ in numbers alone are one."""
    found: dict[str, list[int]] = {}
    for i, row in enumerate(material.rows):
        if row["state"] == "failed":
            found.setdefault(_NUMBER.sub("#", reason_of(row["error"] or row["reason"])), []).append(i)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def section(material: Material) -> Section | None:
    """Failures by reason, and how often trials went on after one; None where nothing failed."""
    groups = grouped(material)
    retried = sum((row["failures"] or 0) > 0 and row["state"] != "failed" for row in material.rows)
    failed = sum(map(len, groups.values()))
    if not failed and not retried:
        return None
    says = f"{counted(failed, 'trial')} of {len(material):,} failed."
    if retried:
        says += f" {counted(retried, 'trial')} went on after a failure."
    rows, texts = [], []
    for number, trials in enumerate(groups.values()):
        first = material.rows[trials[0]]
        names = ", ".join(material.ids[i] for i in trials[:NAMED]) + ", ..." * (len(trials) > NAMED)
        hosts = Counter(material.rows[i]["host"] or "before the first report" for i in trials)
        where = ", ".join(f"{host} ({count})" for host, count in hosts.most_common(3))
        reason = reason_of(first["error"] or first["reason"])
        rows.append([len(trials), tag("code", reason), names, where])
        if number < SHOWN and (first["error"] or "").strip() not in ("", reason):
            texts.append(folded(f"{material.ids[trials[0]]}: the last lines", tag("pre", first["error"])))
    body = join([table(["trials", "reason", "which", "where"], rows, numbers=(0,)), *texts]) if rows else ""
    return Section(title="Failures", says=says, body=body)
