"""Dollars: what nodes cost, and who used them.

    bill of a node   = $/h x (end - begin)
    boot             = its part before the node was up
    a trial's part   = $/h x its share of the node's resources x the time it held them
    idle             = the rest

A trial's share of a node is its largest part of any of the node's resources (a trial with the only GPU and a
quarter of the CPUs keeps everybody else off: its share is 1). Where shares add up to more than 1, because one
trial has the CPUs and another the GPU, each is cut in proportion. So every second of every node is paid for
once: boot + idle + trials is the bill.

Times are seconds from any common start; prices are dollars an hour.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """A trial held part of a node for a while."""

    trial: str
    share: float
    """Of the node, in (0, 1]; see `share`."""
    begin: float
    end: float


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeBill:
    """One node from the moment it costs money to the moment it does not."""

    name: str
    price: float
    """$/h, its disks included."""
    begin: float
    up: float
    """When trials could run on it; `end` for a node that never came up."""
    end: float
    uses: Sequence[Use] = ()

    def __post_init__(self) -> None:
        if not self.begin <= self.up <= self.end:
            raise ValueError(
                f"node {self.name} begins at {self.begin}, is up at {self.up} and ends at {self.end}; "
                "it must begin, come up and end in this order"
            )
        for use in self.uses:
            if not (self.up <= use.begin <= use.end <= self.end and 0 < use.share <= 1):
                raise ValueError(
                    f"trial {use.trial} holds {use.share} of node {self.name} from {use.begin} to {use.end}; "
                    f"a share lies in (0, 1], and the node is up from {self.up} to {self.end}"
                )

    @property
    def dollars(self) -> float:
        """What the node costs in all."""
        return self.price * (self.end - self.begin) / HOUR_S


@dataclass(frozen=True, slots=True)
class Ledger:
    """Who spent what; `trials[...]`, `boot` and `idle` add up to `total`."""

    total: float = 0.0
    boot: float = 0.0
    idle: float = 0.0
    trials: Mapping[str, float] = field(default_factory=dict)
    """Dollars by trial."""

    def cents(self) -> dict[str, int]:
        """Whole cents: "total", "boot", "idle", then every trial; the parts add up to the total exactly.

        Each part is cut to cents, and the cents that are left go to the largest remainders.
        """
        parts = {"boot": self.boot, "idle": self.idle, **self.trials}
        total = round(100 * self.total)
        cut = {name: math.floor(100 * value + 1e-6) for name, value in parts.items()}
        order = sorted(parts, key=lambda name: cut[name] - 100 * parts[name])
        for name in order[: total - sum(cut.values())]:
            cut[name] += 1
        return {"total": total, **cut}


def ledger(nodes: Iterable[NodeBill]) -> Ledger:
    """Split the bills of all nodes."""
    total = boot = idle = 0.0
    trials: dict[str, float] = defaultdict(float)
    for node in nodes:
        total += node.dollars
        boot += node.price * (node.up - node.begin) / HOUR_S
        spent, unused = _split(node)
        idle += unused
        for trial, dollars in spent.items():
            trials[trial] += dollars
    return Ledger(total=total, boot=boot, idle=idle, trials=dict(trials))


def share(bundle: Mapping[str, float], node: Mapping[str, float]) -> float:
    """The largest part that a trial's resources on a node are of any of the node's, at most 1.

    Raises:
        ValueError: the node has none of what the trial holds.
    """
    parts = [amount / node[name] for name, amount in bundle.items() if amount > 0 and node.get(name)]
    if not parts:
        raise ValueError(f"a trial holds {dict(bundle)} of a node that has {dict(node)}")
    return min(1.0, max(parts))


def _split(node: NodeBill) -> tuple[dict[str, float], float]:
    """Dollars by trial, and of nobody, from the moment the node was up."""
    changes: list[tuple[float, int, float]] = []  # when, which use, by how much its share changes
    for i, use in enumerate(node.uses):
        changes += [(use.begin, i, use.share), (use.end, i, -use.share)]
    changes.sort(key=lambda one: one[0])
    spent: dict[str, float] = defaultdict(float)
    held: dict[int, float] = {}
    idle, now = 0.0, node.up
    for when, i, change in [*changes, (node.end, -1, 0.0)]:
        dollars = node.price * (when - now) / HOUR_S
        if dollars:
            taken = math.fsum(held.values())
            scale = dollars / max(1.0, taken)
            for j, part in held.items():
                spent[node.uses[j].trial] += part * scale
            idle += dollars * max(0.0, 1.0 - taken)
        now = when
        if change > 0:
            held[i] = change
        else:
            held.pop(i, None)
    return spent, idle
