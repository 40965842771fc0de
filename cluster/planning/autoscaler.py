"""Which nodes Ray 2.60's autoscaler (v2) asks for, when all that waits are trials of one shape.

Ray packs the waiting placement groups one after the other: onto free resources of nodes that are up or on
their way, then onto new nodes, for each of which it takes the type that scores best. Its loop goes through
every pair of group and node. With equal bundles it does not matter which node takes which, so counting gives
the same answer: `tests/cluster/test_planning.py` compares it with Ray's own `ResourceDemandScheduler`.

The score of a node type for r bundles, compared from left to right, the first of equal types winning:

    no GPU is wasted (the trial has one, or the type has none)
    how many kinds of resources are used
    the least, then the mean over the node's resources of total x (used part)^3
    1, less after a refusal: 0 for ten seconds, then rising to 1 again
    priority
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.cluster_file import NodeType
from cluster.fitting import held

SAFETY_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Packing:
    """What the waiting trials need beyond what there is."""

    launch: Mapping[str, int]
    """New nodes by type."""
    placed: int
    """Of the waiting trials, those that will have a place then."""


def pack(
    types: Sequence[NodeType],
    *,
    bundle: Mapping[str, float],
    ranks: int,
    waiting: int,
    free: int,
    nodes: Mapping[str, int],
    most: int,
    recovery: Mapping[str, float],
) -> Packing:
    """New nodes for waiting trials.

    Args:
        types: of workers, in the file's order.
        bundle, ranks: shape of every trial.
        waiting: trials.
        free: bundles that fit on nodes that are up or on their way.
        nodes: existing ones by type, those on their way included.
        most: workers of all types that there may be.
        recovery: score of types that were refused lately, in [0, 1); others have 1.
    """
    room = {one.name: one.max_workers - nodes.get(one.name, 0) for one in types}
    left = most - sum(nodes.get(one.name, 0) for one in types)
    holds = {one.name: held(one, bundle) for one in types}
    launch: dict[str, int] = {}
    placed = 0
    for _ in range(waiting):
        need, extra, taken = ranks, free, dict[str, int]()
        need, extra = max(0, need - extra), max(0, extra - need)
        while need:
            open_types = [t for t in types if holds[t.name] and room[t.name] > taken.get(t.name, 0)]
            if not open_types or left <= sum(taken.values()):
                break
            best = max(open_types, key=lambda t: score(t, bundle, min(need, holds[t.name]), recovery))
            taken[best.name] = taken.get(best.name, 0) + 1
            extra += max(0, holds[best.name] - need)
            need = max(0, need - holds[best.name])
        if need:
            break  # all or nothing; the next trial has the same shape
        free, placed = extra, placed + 1
        for name, count in taken.items():
            launch[name] = launch.get(name, 0) + count
            room[name] -= count
            left -= count
    return Packing(launch=launch, placed=placed)


def score(
    node: NodeType, bundle: Mapping[str, float], bundles: int, recovery: Mapping[str, float]
) -> tuple[bool, int, float, float, float, int]:
    """How well a new node of this type suits so many bundles; see the top of this file."""
    used = {name: amount * bundles for name, amount in bundle.items() if amount > 0}
    wasted = node.resources.get("GPU", 0) > 0 and not used.get("GPU")
    parts = [
        total * (used.get(name, 0.0) / total) ** 3 for name, total in node.resources.items() if total > 0
    ]
    return (
        not wasted,
        sum(name in node.resources for name in used),
        min(parts, default=0.0),
        sum(parts) / len(parts) if parts else 0.0,
        recovery.get(node.name, 1.0),
        node.priority,
    )


def recovery(since_s: float, whole_s: float) -> float:
    """The score of a node type so long after it was refused."""
    return 0.0 if since_s < min(SAFETY_S, whole_s / 10) else min(1.0, since_s / whole_s)


def allowed_now(
    queued: Mapping[str, int], requested: int, running: Mapping[str, int], *, speed: float, cap: int
) -> dict[str, int]:
    """How many of the queued nodes are asked for in this update, by type.

    Of each type `speed` times those that run, at least one; of all types at most `cap` that the cloud has not
    answered yet.
    """
    out = {}
    for name, count in queued.items():
        wish = max(1, math.ceil(speed * max(running.get(name, 0), 1)))
        out[name] = max(0, min(count, wish, cap - requested))
        requested += out[name]
    return out
