"""What a simulation takes and gives: the work to be done, machines, and what happened."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

from cluster.cluster_file import NodeType
from cluster.ledger import Use


class Work(Protocol):
    """What is run: a sweep. Trials are hashable handles."""

    def waiting(self) -> int:
        """Trials that would start now if there were room."""

    def begin(self) -> tuple[Any, float] | None:
        """The trial that starts next, and its seconds to the next report; None: none wants to."""

    def report(self, trial: Any, now: float) -> float | None:
        """A trial reports. Seconds to its next report; None: it leaves its place (ended or paused)."""

    def lost(self, trial: Any) -> None:
        """Its node is gone: it waits again, and repeats what it did since its last report."""

    def name(self, trial: Any) -> str:
        """For the bill."""

    @property
    def finished(self) -> bool:
        """Whether nothing runs, waits or will come."""


@dataclass(slots=True, eq=False)
class Node:
    """One machine; times in seconds from the moment the head was up."""

    kind: NodeType
    holds: int
    """Bundles that fit on it."""
    begin: float
    """From when it costs money."""
    up: float = math.inf
    end: float = math.inf
    free: int = 0
    """Bundles that would fit on it now."""
    idle_since: float = 0.0
    running: dict[Any, int] = field(default_factory=dict)
    """Bundles of each trial on it."""
    uses: list[Use] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """The cluster at one update of the autoscaler."""

    at_s: float
    up: int
    """Workers."""
    coming: int
    """Workers that boot."""
    running: int
    """Trials."""
    waiting: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What happened."""

    nodes: list[Node]
    """All that ever were, the head first."""
    makespan_s: float
    """From the moment the head was up to the last report."""
    moments: list[Moment]
    refusals: int
    """Launches, of a few nodes each."""
    preemptions: int
    unplaced: int
    """Trials that still waited when nothing more could happen."""
