"""One Python and one Ray on all machines: Ray refuses nodes of another, and environments do not fit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version

from cluster.lint.commands import texts
from cluster.lint.finding import Finding, Subject

KINDS = ("launcher", "kuberay")

SAID = re.compile(r"\bpython3\.(\d+)|\bpython:3\.(\d+)|-py3(\d{1,2})\b|python=+3\.(\d+)")
LEAST = 10
"""Python 3.10 is the oldest that Ray 2.60 runs on."""


def check(subject: Subject) -> Iterator[Finding]:
    """Every mention of a Python, in commands and images."""
    places = [
        (where, int(next(filter(None, found.groups()))))
        for where, text in texts(subject.content)
        for found in SAID.finditer(text)
    ]
    for where, text in texts(subject.content):
        found = re.search(r"rayproject/ray(?:-\w+)?:(\d+\.\d+\.\d+)", text)
        if found and found[1] != version("ray"):
            yield subject.found(
                "error",
                where,
                f"an image of Ray {found[1]}; this machine has {version('ray')}",
                "head, nodes and this machine must have the same",
                f"take an image of {version('ray')}",
            )
    if not places:
        return
    usual = Counter(minor for _, minor in places).most_common(1)[0][0]
    for where, minor in dict.fromkeys(places):
        if minor != usual:
            yield subject.found(
                "error",
                where,
                f"Python 3.{minor}; elsewhere it is 3.{usual}",
                "head and nodes must have the same, and a package of one is not found by the other",
                f"write 3.{usual} everywhere",
            )
        elif minor < LEAST:
            yield subject.found(
                "error", where, f"Python 3.{minor}", "Ray 2.60 has no wheels for it", "write 3.12 everywhere"
            )
