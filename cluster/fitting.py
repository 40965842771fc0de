"""How many trials of one shape a cluster holds at its largest, and why none where none fits.

A trial is `ranks` bundles of the same resources; each bundle lies on one node, the bundles of a trial on any
nodes (Ray's placement strategy PACK). So what counts of a node is how many bundles it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.cluster_file import Cluster, NodeType

EPSILON = 1e-9
"""What a division of resources may lose."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """How many trials fit."""

    trials: int
    """At once, when every node is up that may be; 0: none ever."""
    bundles: Mapping[str, int]
    """Bundles that one node holds, by the name of its type; the head included."""
    obstacles: tuple[str, ...]
    """Why no trial fits, a sentence for each node type that it was compared with; empty where one does."""


def fit(cluster: Cluster, bundle: Mapping[str, float], ranks: int = 1) -> Fit:
    """Compare a trial with every node type.

    Args:
        bundle: resources of one rank, as `{"CPU": 4, "GPU": 1}`.
        ranks: bundles of a trial, at least 1.

    Raises:
        ValueError: the bundle asks for nothing, so that any number of trials would fit.
    """
    need = {name: amount for name, amount in bundle.items() if amount > 0}
    if not need or ranks < 1:
        raise ValueError(
            f"a trial of {ranks} ranks with {dict(bundle)} each takes no resources; give it CPUs or GPUs"
        )
    types = (cluster.head, *cluster.workers)
    holds = {one.name: held(one, need) for one in types}
    most = holds[cluster.head.name]
    left = cluster.max_workers
    for one in sorted(cluster.workers, key=lambda one: -holds[one.name]):
        nodes = min(left, one.max_workers)
        most += nodes * holds[one.name]
        left -= nodes
    if most >= ranks:
        return Fit(trials=most // ranks, bundles=holds, obstacles=())
    if any(holds.values()):
        nodes = min(cluster.max_workers, sum(one.max_workers for one in cluster.workers))
        reason = f"a trial is {ranks} ranks with {amounts(need)} each; all {nodes} workers hold {most}"
        return Fit(trials=0, bundles=holds, obstacles=(reason,))
    return Fit(trials=0, bundles=holds, obstacles=tuple(_too_small(one, need) for one in types))


def held(node: NodeType, bundle: Mapping[str, float]) -> int:
    """How many of these bundles one node of this type holds."""
    return min(int(node.resources.get(name, 0.0) / amount + EPSILON) for name, amount in bundle.items())


def amounts(resources: Mapping[str, float]) -> str:
    """Resources in words: `4 CPU and 1 GPU`."""
    return " and ".join(f"{amount:g} {name}" for name, amount in resources.items()) or "nothing"


def _too_small(node: NodeType, bundle: Mapping[str, float]) -> str:
    machine = f" ({node.instance})" if node.instance else ""
    if not node.resources:
        return f"{node.name}{machine}: its `resources` are not written down, so that nothing is known to fit"
    short = {name: node.resources.get(name, 0.0) for name in bundle}
    return f"{node.name}{machine}: a rank needs {amounts(bundle)}, a node has {amounts(short)}"
