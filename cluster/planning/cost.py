"""What a simulated cluster costs: its own bill, split, and the same nodes all spot and all on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.cluster_file import Cluster
from cluster.ledger import HOUR_S, Ledger, NodeBill, ledger
from cluster.planning.work import Node, Outcome
from cluster.prices import NodePrice, Prices


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Dollars of one run."""

    low: float
    """Had every worker been spot, for the same hours."""
    expected: float
    """As it was simulated: spot until refused, on demand then."""
    high: float
    """Had every worker been on demand."""
    head: float
    """The head's part of each of the three."""
    node_hours: float
    """Of workers."""
    split: Ledger
    """`expected`, by trial, boot and idle time apart; a head that runs no trial is idle."""


def prices_of(cluster: Cluster, prices: Prices) -> dict[str, NodePrice]:
    """The price of each node type, by its name.

    Raises:
        ValueError: one is not known.
    """
    types = [cluster.head, *(one for one in cluster.workers if one.max_workers)]
    return {one.name: prices.node(cluster, one) for one in types}


def cost(outcome: Outcome, prices: Mapping[str, NodePrice]) -> Cost:
    """The bill of a run."""
    head, *workers = outcome.nodes
    low = high = fixed = _dollars(head, prices[head.kind.name].own)
    hours = 0.0
    for node in workers:
        price = prices[node.kind.name]
        low += _dollars(node, price.on_demand if price.spot is None else price.spot)
        high += _dollars(node, price.on_demand)
        hours += (node.end - node.begin) / HOUR_S
    split = ledger(
        NodeBill(
            name=f"{node.kind.name}-{number}",
            price=prices[node.kind.name].own,
            begin=node.begin,
            up=node.up,
            end=node.end,
            uses=node.uses,
        )
        for number, node in enumerate(outcome.nodes)
    )
    return Cost(low=low, expected=split.total, high=high, head=fixed, node_hours=hours, split=split)


def _dollars(node: Node, price: float) -> float:
    return price * (node.end - node.begin) / HOUR_S
