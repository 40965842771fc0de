"""Trials leave a node that will be taken away, and a trial that lost its node to that has not failed.

A node is leaving once somebody has drained it (on a spot node `cluster.preemption` does, at the cloud's
notice). A trial with a process there goes back into the queue after its next checkpoint, and on another node
goes on from it: nothing is repeated. If the node ends sooner, the trial repeats the steps since its last
checkpoint. Neither counts against `retries`. Ray exempts preemption from that count too, but not in trials
whose ranks are actors of their own: it looks at the outermost error, which there is the trial's.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import ray
from ray._private.state import state
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial
from ray.util.placement_group import placement_group_table

LOOK_S = 1.0
"""How often the cluster is asked which nodes drain."""

PREEMPTED = 3
"""Ray's reason of death AUTOSCALER_DRAIN_PREEMPTED: drained for preemption, and gone after its deadline."""


class Moves:
    """Where trials run, and which of them must leave."""

    def __init__(self) -> None:
        self._leaving: set[str] = set()
        self._nodes: dict[str, Mapping[str, int]] = {}
        self._groups: dict[Any, Mapping[str, int]] = {}
        self._looked = -LOOK_S

    def place(self, trial: Trial, group: Any) -> Mapping[str, int]:
        """A trial is about to train on the nodes of its placement group; how many ranks it has on each."""
        if group.id not in self._groups:
            self._groups[group.id] = Counter(placement_group_table(group)["bundles_to_node_id"].values())
        self._nodes[trial.trial_id] = self._groups[group.id]
        return self._groups[group.id]

    def must_leave(self, trial: Trial) -> bool:
        """Whether one of its nodes is leaving."""
        return bool(self._nodes.get(trial.trial_id, {}).keys() & self.leaving())

    def is_saved(self, trial: Trial) -> bool:
        """Whether it loses nothing if it stops now: its last report, if any, has a checkpoint."""
        reported = (trial.last_result or {}).get("training_iteration", 0)
        saved = trial.latest_checkpoint_result
        return reported == ((saved.metrics or {}).get("training_iteration", 0) if saved else 0)

    def lost_its_node(self, trial: Trial, error: Exception) -> bool:
        """Whether it ended because a node was taken away."""
        if isinstance(error, RayActorError) and error.preempted:
            return True
        self._looked = -LOOK_S
        if self.must_leave(trial):
            return True
        mine = self._nodes.get(trial.trial_id, {})
        return any(one["NodeID"] in mine and one.get("DeathReason") == PREEMPTED for one in ray.nodes())

    def leaving(self) -> set[str]:
        """Ids of the nodes that drain, or have been seen to."""
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            self._leaving.update(state.get_draining_nodes())
        return self._leaving
