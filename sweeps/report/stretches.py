"""Where trials were, and when: stretches of time on a machine, from the journal's events.

A stretch begins when the trial is placed, where the journal says so (of clusters with prices), else as long
before its first report as that report says it has trained. It ends with the trial's end, pause, failure or
move, or with the session. A driver that is killed leaves no word of its end: the last event before counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Stretch:
    """A trial on one machine, from `begin` to `end` in seconds since 1970."""

    trial: str
    host: str
    begin: float
    end: float
    why: str
    """What ended it: completed, stopped, failed, paused, moved, or "": it goes on, or the session ended."""


@dataclass(slots=True)
class Node:
    """A machine of a cluster whose prices are known; times in seconds since 1970."""

    name: str
    type: str
    price: float
    """Dollars an hour."""

    begin: float
    up: float | None = None
    end: float | None = None


@dataclass(slots=True)
class Whereabouts:
    """All stretches of a sweep, its sessions, its nodes and PBT's copies."""

    stretches: list[Stretch] = field(default_factory=list)
    sessions: list[tuple[float, float]] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    copies: list[tuple[float, str, str]] = field(default_factory=list)
    """When, which trial was overwritten, by which."""

    ended: dict[str, float] = field(default_factory=dict)
    """When each trial ended."""

    @property
    def begin(self) -> float | None:
        """When the first session began; None before."""
        return self.sessions[0][0] if self.sessions else None

    @property
    def seconds(self) -> float:
        """How long the sessions took together."""
        return sum(end - begin for begin, end in self.sessions)


@dataclass(slots=True)
class _Trial:
    hosts: tuple[str, ...] = ()
    begin: float | None = None
    trained: float = 0.0
    """Its time_total_s of the last report."""

    free: float = 0.0
    """When its last stretch ended."""


def whereabouts(events: Iterable[Mapping[str, Any]]) -> Whereabouts:
    """What a journal's events tell of places and times."""
    fold = _Fold()
    for event in events:
        fold.take(event)
    fold.close(fold.last)
    return fold.found


class _Fold:
    def __init__(self) -> None:
        self.found = Whereabouts()
        self.last = 0.0
        self._opened: float | None = None
        self._trials: dict[str, _Trial] = {}
        self._nodes: dict[str, Node] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        kind, now = event["event"], event["t"]
        if kind == "opened":
            self.close(self.last)
            self._opened = now
        elif kind == "closed":
            self.close(now)
        elif kind == "node":
            self._node(event, now)
        elif kind == "placed":
            trial = self._trial(event)
            self._leave(event["trial"], now, "moved")
            trial.hosts, trial.begin = tuple(event["shares"]), now
        elif kind == "reported":
            self._report(event, now)
        elif kind == "moved":
            self._leave(event["trial"], now, "moved")
        elif kind == "failed":
            self._leave(event["trial"], now, "failed")
        elif kind == "ended":
            self._leave(event["trial"], now, event["state"])
            self.found.ended[event["trial"]] = now
        self.last = max(self.last, now)

    def close(self, now: float) -> None:
        """A session ends: whatever ran then runs no more."""
        if self._opened is None:
            return
        for name in self._trials:
            self._leave(name, now, "")
        for node in self._nodes.values():
            node.end = now
        self._nodes.clear()
        self.found.sessions.append((self._opened, now))
        self._opened = None

    def _trial(self, event: Mapping[str, Any]) -> _Trial:
        return self._trials.setdefault(event["trial"], _Trial())

    def _report(self, event: Mapping[str, Any], now: float) -> None:
        trial = self._trial(event)
        total = event["metrics"].get("time_total_s")
        if trial.begin is None:
            before = now - (total - trial.trained) if isinstance(total, int | float) else now
            trial.begin = max(min(before, now), trial.free, self._opened or 0.0)
            trial.hosts = (str(event.get("host") or "unknown"),)
        elif not trial.hosts:
            trial.hosts = (str(event.get("host") or "unknown"),)
        trial.trained = float(total) if isinstance(total, int | float) else trial.trained
        for copy in event.get("copied") or ():
            self.found.copies.append((now, copy["trial"], copy["donor"]))
        if event.get("decision") == "PAUSE":
            self._leave(event["trial"], now, "paused")

    def _leave(self, name: str, now: float, why: str) -> None:
        trial = self._trials.get(name)
        if trial is None or trial.begin is None:
            return
        for host in trial.hosts:
            self.found.stretches.append(Stretch(name, host, trial.begin, now, why))
        trial.begin, trial.free = None, now

    def _node(self, event: Mapping[str, Any], now: float) -> None:
        name = event["node"]
        if event["state"] == "gone":
            if (node := self._nodes.pop(name, None)) is not None:
                node.end = now
            return
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = Node(name, event.get("type", ""), event["price"], now)
            self.found.nodes.append(node)
        if event["state"] == "up" and node.up is None:
            node.up = now
