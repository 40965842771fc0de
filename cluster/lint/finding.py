"""What lint says about one place of a file, and what is linted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cluster.cluster_file import Cluster
from cluster.yaml_lines import Document, Where, nearest_line

Level = Literal["error", "warning", "edit", "skipped"]
LEVELS: tuple[Level, ...] = ("error", "warning", "edit", "skipped")
"""error: fails, costs or exposes what nobody wants; warning: works, and is worse than it could be; edit: a
value of yours is still to be filled in; skipped: a check was left out here."""

Kind = Literal["launcher", "kuberay", "policy", "slurm"]
"""Ray's launcher; a RayCluster or RayJob; a NetworkPolicy; a batch script."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One remark."""

    level: Level
    line: int
    """Counted from 1."""
    key: str
    """Where in the file, as `available_node_types.gpu.max_workers`; empty for the whole."""
    what: str
    """What is there."""
    why: str
    """What follows from it."""
    fix: str
    """What to write instead."""
    rule: str = ""
    """The family of rules that found it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A file under examination: one YAML document of it, or a batch script."""

    path: Path
    kind: Kind
    text: str
    """The whole file."""
    document: Document
    """Empty for a batch script."""
    cluster: Cluster | None
    """None for a batch script and a policy, and where the document has not the form of a cluster."""

    @property
    def content(self) -> Any:
        """The document's mapping."""
        return self.document.content

    def found(self, level: Level, where: Where, what: str, why: str, fix: str) -> Finding:
        """A finding at a key; where it is missing, at the nearest one around it."""
        return Finding(
            level=level,
            line=nearest_line(self.document.lines, where),
            key=".".join(map(str, where)),
            what=what,
            why=why,
            fix=fix,
        )

    def found_in_line(self, level: Level, line: int, what: str, why: str, fix: str) -> Finding:
        """A finding in a line of the text, with the key that it belongs to."""
        lines = self.document.lines
        nearest = max((number for number in lines.values() if number <= line), default=0)
        there = [where for where, number in lines.items() if number == nearest]
        inside = [
            where for where in there if where[: len(there[0])] == there[0]
        ]  # not where an alias repeats it
        where = max(inside, key=len, default=())
        key = ".".join(map(str, where))
        return Finding(level=level, line=line, key=key, what=what, why=why, fix=fix)
