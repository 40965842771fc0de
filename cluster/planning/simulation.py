"""The clock: trials on nodes, nodes from the autoscaler, every second of every node on the bill.

Events happen in order of time: a trial reports, the cloud answers a launch, a node comes up or is taken
away, the autoscaler looks. Trials of one shape need no search for a place, since a node holds so many
bundles; Ray's placement groups go to the emptiest node first, and the bundles of a trial stay together where
they can.

A trial that ends hands its processes to the next one that waits (Tune's `reuse_actors`), on the same nodes. A
trial whose node is taken away waits again, and goes on from its last report.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cluster.cluster_file import Cluster
from cluster.fitting import held
from cluster.ledger import Use, share
from cluster.planning import autoscaler
from cluster.planning.assumptions import Assumptions
from cluster.planning.work import Moment, Node, Outcome, Work

BATCH = 5
"""Nodes that one call asks the cloud for, given or refused together (AUTOSCALER_MAX_LAUNCH_BATCH)."""
PATIENCE_S = 24 * 3600.0
"""The simulation gives up when for so long no trial reported although some wait."""


@dataclass(slots=True, eq=False)
class _Place:
    """Where a running trial is, since when, and which of its events is the right one."""

    nodes: dict[Node, int]
    since: float
    event: int = -1


class Simulation:
    """One run of some work on a cluster.

    Args:
        cluster: its node types and limits.
        work: what is run.
        bundle, ranks: shape of every trial.
        assumptions: about cloud and Ray.
        seed: of boots, refusals and preemptions.
    """

    def __init__(
        self,
        cluster: Cluster,
        work: Work,
        *,
        bundle: Mapping[str, float],
        ranks: int,
        assumptions: Assumptions,
        seed: int,
    ) -> None:
        self.cluster, self.work, self.assumptions, self.ranks = cluster, work, assumptions, ranks
        self.bundle = {name: amount for name, amount in bundle.items() if amount > 0}
        self.rng = np.random.default_rng([seed, 0xC10D])
        self.now = 0.0
        self.nodes: list[Node] = []
        self.moments: list[Moment] = []
        self.refusals = self.preemptions = 0
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._types = {one.name: one for one in cluster.workers}
        self._holds = {one.name: held(one, self.bundle) for one in (cluster.head, *cluster.workers)}
        self._up: dict[str, dict[Node, None]] = {name: {} for name in self._types}
        self._coming: dict[str, int] = dict.fromkeys(self._types, 0)
        self._queued: dict[str, int] = dict.fromkeys(self._types, 0)
        self._requested: dict[str, int] = dict.fromkeys(self._types, 0)
        self._refused_at: dict[str, float] = {}
        self._places: dict[Any, _Place] = {}
        self._roomy: dict[int, dict[Node, None]] = {}
        self._free = 0
        self._last_report = 0.0
        self._current = -1
        """Number of the event that is happening."""

    def run(self) -> Outcome:
        """From a head that is up, and no worker, to the end of the work and of the last worker."""
        head = Node(self.cluster.head, self._holds[self.cluster.head.name], -self.assumptions.boot_s, up=0.0)
        self.nodes.append(head)
        self._set_free(head, head.holds)
        self._at(0.0, self._update)
        while self._events and not self._over():
            self.now, self._current, happens, what = heapq.heappop(self._events)
            happens(what)
        for trial in list(self._places):
            self._leave(trial)
        for node in self.nodes:
            if node.end == math.inf:
                self._end(node)
        return Outcome(
            nodes=self.nodes,
            makespan_s=self._last_report,
            moments=self.moments,
            refusals=self.refusals,
            preemptions=self.preemptions,
            unplaced=0 if self.work.finished else self.work.waiting(),
        )

    def _over(self) -> bool:
        if not self.work.finished:
            return self.now - self._last_report > PATIENCE_S
        least = sum(one.min_workers for one in self.cluster.workers)
        return sum(map(len, self._up.values())) + sum(self._coming.values()) <= least

    # -- trials --------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Start trials while there is room."""
        while self._free >= self.ranks and (started := self.work.begin()) is not None:
            trial, seconds = started
            self._start(trial, self._take(), seconds + self.assumptions.start_s)

    def _take(self) -> dict[Node, int]:
        """Bundles for one trial, from the emptiest nodes."""
        taken: dict[Node, int] = {}
        need = self.ranks
        while need:
            most = max(free for free, nodes in self._roomy.items() if nodes)
            node = next(iter(self._roomy[most]))
            taken[node] = min(need, most)
            need -= taken[node]
            self._set_free(node, most - taken[node])
        return taken

    def _start(self, trial: Any, nodes: dict[Node, int], seconds: float) -> None:
        self._places[trial] = place = _Place(nodes, self.now)
        for node, bundles in nodes.items():
            node.running[trial] = bundles
        place.event = self._at(self.now + seconds, self._report, trial)

    def _report(self, trial: Any) -> None:
        place = self._places.get(trial)
        if place is None or place.event != self._current:
            return  # its node was taken away before
        self._last_report = self.now
        seconds = self.work.report(trial, self.now)
        if seconds is not None:
            place.event = self._at(self.now + seconds, self._report, trial)
        elif trial in self._places:  # else the work took it away itself
            nodes = self._leave(trial)
            if (started := self.work.begin()) is not None:
                self._start(started[0], nodes, started[1] + self.assumptions.switch_s)
            else:
                self._give_back(nodes)
        self._fill()

    def free(self, trial: Any) -> None:
        """The work takes a running trial off its nodes (PBT pauses one to copy another over it)."""
        if trial in self._places:
            self._give_back(self._leave(trial))

    def _leave(self, trial: Any) -> dict[Node, int]:
        """Write down what it used."""
        place = self._places.pop(trial)
        for node, bundles in place.nodes.items():
            del node.running[trial]
            part = min(1.0, bundles * share(self.bundle, node.kind.resources))
            begin = max(place.since, node.up)
            node.uses.append(Use(trial=self.work.name(trial), share=part, begin=begin, end=self.now))
        return place.nodes

    def _give_back(self, nodes: Mapping[Node, int]) -> None:
        for node, bundles in nodes.items():
            if node.end == math.inf:
                self._set_free(node, node.free + bundles)
                if not node.running:
                    node.idle_since = self.now

    def _set_free(self, node: Node, free: int) -> None:
        self._roomy.get(node.free, {}).pop(node, None)
        self._free += free - node.free
        node.free = free
        if free:
            self._roomy.setdefault(free, {})[node] = None

    # -- nodes ---------------------------------------------------------------------------------------

    def _update(self, _: None) -> None:
        """The autoscaler looks."""
        waiting = self.work.waiting()
        seen = min(waiting, self.assumptions.visible)
        existing = {
            name: len(self._up[name]) + self._coming[name] + self._requested[name] + self._queued[name]
            for name in self._types
        }
        on_their_way = sum((existing[name] - len(self._up[name])) * self._holds[name] for name in self._types)
        for name, one in self._types.items():
            lacking = max(0, one.min_workers - existing[name])
            self._queued[name] += lacking
            existing[name] += lacking
            on_their_way += lacking * self._holds[name]
        packing = autoscaler.pack(
            self.cluster.workers,
            bundle=self.bundle,
            ranks=self.ranks,
            waiting=seen,
            free=self._free + on_their_way,
            nodes=existing,
            most=self.cluster.max_workers,
            recovery={
                name: autoscaler.recovery(self.now - at, self.assumptions.recovery_s)
                for name, at in self._refused_at.items()
            },
        )
        for name, count in packing.launch.items():
            self._queued[name] += count
        self._launch()
        self._stop_idle(existing)
        up = sum(map(len, self._up.values()))
        coming, running = sum(self._coming.values()), len(self._places)
        self.moments.append(Moment(at_s=self.now, up=up, coming=coming, running=running, waiting=waiting))
        pairs = seen * (sum(existing.values()) + sum(packing.launch.values()) / 2)
        self._at(self.now + self.assumptions.update_s + self.assumptions.packing_s * pairs, self._update)

    def _launch(self) -> None:
        """Ask the cloud for as many of the queued nodes as may be asked for now."""
        asked = autoscaler.allowed_now(
            self._queued,
            sum(self._requested.values()),
            {name: len(nodes) for name, nodes in self._up.items()},
            speed=self.cluster.upscaling_speed,
            cap=self.cluster.launches,
        )
        for name, count in asked.items():
            self._queued[name] -= count
            self._requested[name] += count
            for first in range(0, count, BATCH):
                batch = (name, min(BATCH, count - first))
                self._at(self.now + self.assumptions.request_s, self._answered, batch)

    def _answered(self, batch: tuple[str, int]) -> None:
        """The cloud gives the nodes, or has none."""
        name, count = batch
        kind = self._types[name]
        self._requested[name] -= count
        if kind.spot and self.rng.random() < self.assumptions.refused:
            self.refusals += 1
            self._refused_at[name] = self.now
            self._queued[name] = 0  # thought over at the next update: cluster.providers.fallback
            return
        self._coming[name] += count
        for _ in range(count):
            node = Node(kind, self._holds[name], self.now)
            self.nodes.append(node)
            self._at(self.now + self.assumptions.boot(self.rng), self._came_up, node)

    def _came_up(self, node: Node) -> None:
        name = node.kind.name
        self._coming[name] -= 1
        self._refused_at.pop(name, None)
        self._up[name][node] = None
        node.up = node.idle_since = self.now
        self._set_free(node, node.holds)
        if node.kind.spot and (lifetime := self.assumptions.lifetime(self.rng)) < math.inf:
            self._at(self.now + lifetime, self._taken, node)
        self._fill()

    def _taken(self, node: Node) -> None:
        """The cloud takes a spot node away."""
        if node.end < math.inf:
            return
        self.preemptions += 1
        trials = list(node.running)
        elsewhere = [self._leave(trial) for trial in trials]
        self._end(node)
        for nodes in elsewhere:
            self._give_back(nodes)
        for trial in trials:
            self.work.lost(trial)
        self._fill()

    def _stop_idle(self, existing: Mapping[str, int]) -> None:
        """Give back what has had no work for too long, but for `min_workers`."""
        for name, kind in self._types.items():
            limit = kind.idle_timeout_s if kind.idle_timeout_s is not None else self.cluster.idle_timeout_s
            spare = existing[name] - kind.min_workers
            idle = [
                node for node in self._up[name] if not node.running and self.now - node.idle_since > limit
            ]
            for node in sorted(idle, key=lambda node: node.idle_since)[: max(0, spare)]:
                self._end(node)

    def _end(self, node: Node) -> None:
        self._set_free(node, 0)
        node.end = self.now
        node.up = min(node.up, self.now)
        self._up.get(node.kind.name, {}).pop(node, None)

    def _at(self, when: float, happens: Callable[[Any], None], what: Any = None) -> int:
        number = next(self._numbers)
        heapq.heappush(self._events, (when, number, happens, what))
        return number
