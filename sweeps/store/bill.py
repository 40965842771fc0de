"""What a sweep costs, from the journal: nodes that came and went, and which trials held them.

| event    | fields                                                                                          |
|----------|-------------------------------------------------------------------------------------------------|
| `node`   | `node`, `state` (starting, up, gone), `type`, `price` in $/h, its disks included                |
| `placed` | `trial`, `shares`: of each node that its ranks lie on, the part that it holds (`ledger.share`)  |

A node is paid for while a session of the sweep sees it: from the session's begin if it was there before, to
the session's end if it stays. A trial holds its shares until it ends, fails, moves, is paused, or the session
ends. A driver that is killed leaves no word of its end: the last event before counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.ledger import HOUR_S, Ledger, NodeBill, Use, ledger


@dataclass(slots=True)
class _Node:
    price: float
    begin: float
    up: float | None = None
    uses: list[Use] = field(default_factory=list)
    holders: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Trials on it now: since when, and their shares."""


class Bill:
    """`fold` takes the journal's events, in their order; `until` splits the dollars up to a moment."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._places: dict[str, tuple[str, ...]] = {}
        self._spent = Ledger()
        self._last = 0.0
        self.known = False
        """Whether any node has a price: without one there is no bill."""

    def fold(self, event: Mapping[str, Any]) -> None:
        """Take one event in; those that say nothing of nodes or places are passed over."""
        kind, now = event["event"], event["t"]
        if kind == "opened":  # of a session that was killed the last event counts
            self._close(self._last)
        elif kind == "closed":
            self._close(now)
        elif kind == "node":
            self._node(event, now)
        elif kind == "placed":
            self._leave(event["trial"], now)
            self._places[event["trial"]] = tuple(event["shares"])
            for name, share in event["shares"].items():
                if (node := self._nodes.get(name)) is not None and node.up is not None:
                    node.holders[event["trial"]] = (now, share)
        elif kind in ("ended", "failed", "moved") or event.get("decision") == "PAUSE":
            self._leave(event["trial"], now)
        self._last = max(self._last, now)

    def until(self, now: float | None = None) -> Ledger:
        """Dollars up to a moment (seconds since the epoch); None: up to the last event."""
        now = self._last if now is None else max(now, self._last)
        return _sum(self._spent, ledger(self._billed(name, node, now) for name, node in self._nodes.items()))

    def total(self, now: float) -> float:
        """The same in all, without saying for whom: cheap, however many trials there were."""
        return self._spent.total + sum(
            node.price * (max(now, self._last) - node.begin) / HOUR_S for node in self._nodes.values()
        )

    def holds(self, trial: str) -> set[str]:
        """The nodes that it holds parts of now."""
        return set(self._places.get(trial, ()))

    def _node(self, event: Mapping[str, Any], now: float) -> None:
        self.known = True
        name = event["node"]
        if event["state"] == "gone":
            node = self._nodes.pop(name, None)
            if node is not None:
                self._spent = _sum(self._spent, ledger([self._billed(name, node, now)]))
            return
        node = self._nodes.setdefault(name, _Node(price=event["price"], begin=now))
        if event["state"] == "up" and node.up is None:
            node.up = now

    def _leave(self, trial: str, now: float) -> None:
        for name in self._places.pop(trial, ()):
            node = self._nodes.get(name)
            if node is not None and (held := node.holders.pop(trial, None)) is not None:
                node.uses.append(Use(trial=trial, share=held[1], begin=held[0], end=now))

    def _close(self, now: float) -> None:
        parts = [self._billed(name, node, now) for name, node in self._nodes.items()]
        self._spent = _sum(self._spent, ledger(parts))
        self._nodes.clear()
        self._places.clear()

    @staticmethod
    def _billed(name: str, node: _Node, now: float) -> NodeBill:
        under_way = [
            Use(trial=trial, share=share, begin=begin, end=now)
            for trial, (begin, share) in node.holders.items()
        ]
        up = now if node.up is None else node.up
        uses = [*node.uses, *under_way]
        return NodeBill(name=name, price=node.price, begin=node.begin, up=up, end=now, uses=uses)


def read(events: Iterable[Mapping[str, Any]]) -> Ledger:
    """Dollars that a journal tells of, up to its last event."""
    bill = Bill()
    for event in events:
        bill.fold(event)
    return bill.until()


def _sum(a: Ledger, b: Ledger) -> Ledger:
    trials = dict(a.trials)
    for trial, dollars in b.trials.items():
        trials[trial] = trials.get(trial, 0.0) + dollars
    return Ledger(total=a.total + b.total, boot=a.boot + b.boot, idle=a.idle + b.idle, trials=trials)
