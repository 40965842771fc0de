"""Sees the cluster's nodes come and go, and says so in the journal with what they cost (`store.bill`)."""

import time
from collections.abc import Iterator, Mapping

import ray
from ray.autoscaler.v2.sdk import get_cluster_status

from cluster.ledger import share
from cluster.planning.cost import prices_of
from cluster.prices import Prices
from sweeps.loop import room
from sweeps.loop.conductor import Conductor
from sweeps.spec import Sweep
from sweeps.store.bill import Bill

LOOK_S = 5.0
"""How often the cluster is asked; Ray's autoscaler decides as often."""


class Meter:
    """Watches the nodes of one session.

    Args:
        conductor: writes the journal.
        bill: is shown what it writes.
        prices: $/h of a node by the name of its type.
        rank: resources of a trial's rank.
    """

    def __init__(
        self, conductor: Conductor, bill: Bill, prices: Mapping[str, float], rank: Mapping[str, float]
    ) -> None:
        self.conductor, self.bill, self.prices, self.rank = conductor, bill, prices, rank
        self._nodes: dict[str, tuple[str, str]] = {}  # state and type, as last written down
        self._called: dict[str, str] = {}  # the cloud's name -> the journal's
        self._names: dict[str, str] = {}
        self._resources: dict[str, Mapping[str, float]] = {}
        self._looked = -LOOK_S

    def spent(self) -> float:
        """Dollars of the whole sweep up to now."""
        return self.bill.total(time.time())

    def look(self, now: float, force: bool = False) -> bool:
        """Write down what has changed, at most every LOOK_S unless it is forced; whether it looked."""
        if now - self._looked < LOOK_S and not force:
            return False
        self._looked = now
        seen = {name: (state, kind) for name, state, kind in self._seen()}
        for name, (state, kind) in seen.items():
            if self._nodes.get(name) != (state, kind) and kind in self.prices:
                self._nodes[name] = state, kind
                self.conductor.node(name, state, kind, self.prices[kind])
        for name in self._nodes.keys() - seen.keys():
            del self._nodes[name]
            self.conductor.node(name, "gone")
        return True

    def placed(self, trial: str, ranks: Mapping[str, int]) -> None:
        """A trial is about to train with so many ranks on each of these nodes (Ray's ids)."""
        if not ranks.keys() <= self._names.keys():
            self.look(time.monotonic(), force=True)
        names = {self._names[node]: node for node in ranks if node in self._names}
        if self.bill.holds(trial) == names.keys():
            return
        shares = {}
        for name, node in names.items():
            held = {kind: ranks[node] * amount for kind, amount in self.rank.items()}
            shares[name] = share(held, self._resources[node])
        self.conductor.placed(trial, shares)

    def _seen(self) -> Iterator[tuple[str, str, str]]:
        """Name, state and type of each node that costs money now."""
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        starting = {node.instance_id: node.ray_node_type_name for node in status.pending_nodes}
        for node in (*status.active_nodes, *status.idle_nodes):
            clouds = node.instance_id or str(node.node_id)
            if clouds not in self._called:
                self._called[clouds] = self._name_before(node.ray_node_type_name, starting) or clouds
            name = self._called[clouds]
            self._names[str(node.node_id)] = name
            self._resources[str(node.node_id)] = node.total_resources()
            yield name, "up", node.ray_node_type_name
        for name, kind in starting.items():
            if name not in self._called.values():  # else it is up, which the autoscaler has not seen yet
                yield name, "starting", kind

    def _name_before(self, kind: str, starting: Mapping[str, str]) -> str | None:
        """Under which name a node that is up now was starting, if it was.

        Ray's autoscaler numbers nodes itself until they join, and does not say which became which: it is the
        oldest of its type, and all of a type cost the same.
        """
        known = [(name, its) for name, (state, its) in self._nodes.items() if state == "starting"]
        new = [(name, its) for name, its in starting.items() if self._nodes and name not in self._nodes]
        for name, its in (*known, *new):
            if its == kind and name not in self._called.values():
                return name
        return None


def hourly(sweep: Sweep) -> dict[str, float]:
    """$/h of a node of each type of the sweep's cluster; empty where nobody knows its YAML.

    Raises:
        ValueError, FileNotFoundError: a price is not known, or a file of prices cannot be read.
    """
    cluster = room.largest(sweep) if sweep.address is not None else None
    if cluster is None or not cluster.document:
        return {}
    known = prices_of(cluster, Prices.load(sweep.prices))
    return {name: price.own for name, price in known.items()}
