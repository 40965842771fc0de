"""Cluster files read for mistakes before they cost money: `lint` finds them, `text` and `to_json` show them.

What is checked is in `cluster/lint/rules`, a family of rules a file; a file put there is a family more. Each
has `KINDS`, the kinds of file it reads, and `check(subject)`, which yields findings.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cluster import cluster_file
from cluster.lint import rules
from cluster.lint.finding import LEVELS, Finding, Kind, Level, Subject
from cluster.yaml_lines import Document, documents

__all__ = ["LEVELS", "Finding", "Level", "families", "lint", "text", "to_json"]


def families() -> list[str]:
    """Every family of rules, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(rules.__path__))


def lint(path: str | os.PathLike[str]) -> list[Finding]:
    """Everything found in a YAML of Ray's launcher or KubeRay, a NetworkPolicy or a Slurm script, by line.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is neither of these; the sentence says what was expected.
    """
    path = Path(path)
    found: list[Finding] = []
    for subject in _subjects(path):
        if subject.kind in ("launcher", "kuberay") and subject.cluster is None:
            found.append(_unreadable(subject))
        for name in families():
            family = importlib.import_module(f"cluster.lint.rules.{name}")
            if subject.kind in family.KINDS:
                found += [replace(one, rule=name) for one in family.check(subject)]
    found.sort(key=lambda one: (one.line, LEVELS.index(one.level)))
    told = set()
    once = []
    for one in found:  # a place that several node types take over by an alias is spoken of once
        place = (one.line, one.rule, one.key.split(".")[-1], one.why)
        if place not in told:
            told.add(place)
            once.append(one)
    return once


def text(findings: Iterable[Finding], path: str | os.PathLike[str] = "") -> str:
    """For people: each finding with its line, why and fix; last, how many there are of each level."""
    findings = list(findings)
    shown = []
    for one in findings:
        place = f"{os.fspath(path)}:{one.line}" if path else f"line {one.line}"
        shown.append(
            f"{place}: {one.level}: {one.key}: {one.what}" if one.key else f"{place}: {one.level}: {one.what}"
        )
        shown.append(f"    why: {one.why}")
        shown.append(f"    fix: {one.fix}")
    counts = {level: sum(one.level == level for one in findings) for level in LEVELS}
    names = {
        "error": "errors",
        "warning": "warnings",
        "edit": "values to fill in",
        "skipped": "checks left out",
    }
    shown.append(
        ", ".join(f"{counts[level]} {names[level]}" for level in LEVELS if counts[level]) or "nothing found"
    )
    return "\n".join(shown)


def to_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """For programs: a list of plain objects."""
    return [asdict(one) for one in findings]


def _subjects(path: Path) -> Iterator[Subject]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no cluster file {os.fspath(path)!r}")
    content = path.read_text()
    if content.startswith("#!") or re.search(r"^#SBATCH ", content, re.MULTILINE):
        nothing = Document(content={}, lines={}, repeated=())
        yield Subject(path=path, kind="slurm", text=content, document=nothing, cluster=None)
        return
    any_of_ours = False
    for document in documents(path):
        if document.content.get("kind") == "NetworkPolicy":
            any_of_ours = True
            yield Subject(path=path, kind="policy", text=content, document=document, cluster=None)
        if document.kind is None:
            continue
        any_of_ours = True
        kind: Kind = "launcher" if document.kind == "launcher" else "kuberay"
        try:
            cluster = cluster_file.cluster(path, document)
        except ValueError:
            cluster = None  # said by _unreadable
        yield Subject(path=path, kind=kind, text=content, document=document, cluster=cluster)
    if not any_of_ours:
        cluster_file.load(path)  # raises, and says what was expected


def _unreadable(subject: Subject) -> Finding:
    try:
        cluster_file.cluster(subject.path, subject.document)
    except ValueError as error:
        place, _, what = str(error).removeprefix(f"{subject.path}:").partition(": ")
        line = int(place) if place.isdigit() else 1
        return subject.found_in_line(
            "error",
            line,
            what or str(error),
            "the rest of the file cannot be judged",
            "correct it, then lint again",
        )
    raise AssertionError("the document was read the second time, and not the first")
