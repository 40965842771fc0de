"""A cloud as Ray's autoscaler sees one, whose nodes are raylets on this machine.

It is Ray's own fake provider with what a cloud has besides: nodes take time to boot, launches may be refused,
spot nodes are taken away after a notice. It lives in the autoscaler's process and writes down what happens.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import NODE_KIND_WORKER, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

from cluster import preemption
from cluster.providers import fallback
from cluster.simulate.scenario import Scenario

OBJECT_STORE_BYTES = 100_000_000


class PlayedCloud(FakeMultiNodeProvider):
    """One cloud; `provider_config` is what `local_cluster.autoscaling_config` writes."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        if provider_config["falls_back"]:
            fallback.install()
        super().__init__(provider_config, cluster_name)
        self._nodes[self._head_node_id]["tags"][TAG_RAY_USER_NODE_TYPE] = provider_config["head_type"]
        self.scenario = Scenario.from_dict(provider_config["scenario"])
        self.left = dict(self.scenario.refuse)
        self.preempt = list(self.scenario.preempt_s)
        self.spot = set(provider_config["spot_types"])
        self.notice_s = self.scenario.scaled(provider_config["notice_s"])
        self.log = Path(provider_config["events"])
        self._names: dict[str, str] = {}
        self._kinds: Counter[str] = Counter()
        self._wanted_id: str | None = None

    def create_node_with_resources_and_labels(
        self,
        node_config: dict[str, Any],
        tags: dict[str, str],
        count: int,
        resources: dict[str, float],
        labels: dict[str, str],
    ) -> None:
        """Launch nodes, which boot in the background.

        Raises:
            ShortOfCapacity: the scenario has fewer; those are kept.
        """
        kind = tags[TAG_RAY_USER_NODE_TYPE]
        with self.lock:
            granted = min(count, self.left.get(kind, count))
            rays: Any = super()
            for _ in range(granted):
                node = rays._next_hex_node_id()
                self._kinds[kind] += 1
                self._names[node] = f"{kind}-{self._kinds[kind]}"
                self._nodes[node] = {"tags": {**tags, TAG_RAY_NODE_KIND: NODE_KIND_WORKER}}
                self._write("starting", node, type=kind)
                self._later(self.scenario.scaled(self.scenario.boot_s), self._boot, node, resources, labels)
            if kind in self.left:
                self.left[kind] -= granted
            if granted < count:
                self._write("refused", type=kind, count=count - granted)
                raise fallback.ShortOfCapacity(f"{granted} of {count} nodes of type {kind} are to be had")

    def _boot(self, node: str, resources: dict[str, float], labels: dict[str, str]) -> None:
        """Start the node's raylet, unless the node was given back meanwhile."""
        with self.lock:
            if node not in self._nodes:
                return
            tags = self._nodes[node]["tags"]
            self._wanted_id = node
            memory = {"object_store_memory": OBJECT_STORE_BYTES}
            rays: Any = super()
            try:
                rays._create_node_with_resources_and_labels({}, tags, 1, {**resources, **memory}, labels)
            except Exception:  # Ray's word for a raylet that takes more than 30 s, as on a busy machine
                del self._nodes[node]
                self._write("gone", node, why="did not start")
                return
            self._write("up", node)
            if self.preempt and tags[TAG_RAY_USER_NODE_TYPE] in self.spot:
                self._later(self.scenario.scaled(self.preempt.pop(0)), self._give_notice, node)

    def _next_hex_node_id(self) -> str:
        """The id that the booting node has had since its launch."""
        assert self._wanted_id is not None
        return self._wanted_id

    def _give_notice(self, node: str) -> None:
        """What the watcher on the node would do, and later what the cloud does."""
        if node not in self._nodes:
            return
        self._write("notice", node)
        notice = preemption.Notice(why="spot interruption (simulated)", deadline=time.time() + self.notice_s)
        preemption.drain(str(self._gcs_address), node, notice)
        self._later(self.notice_s, self._take_away, node)

    def _take_away(self, node: str) -> None:
        import psutil  # type: ignore[import-untyped]  # Ray brings it, and shows it once imported

        with self.lock:
            taken: Any = self._nodes.pop(node, None)
            if taken is not None:
                raylet = psutil.Process(taken["node"].all_processes["raylet"][0].process.pid)
                for process in (raylet, *raylet.children(recursive=True)):  # its trials live on for seconds
                    process.kill()
                taken["node"].kill_all_processes(check_alive=False, allow_graceful=False)
                self._write("gone", node, why="preempted")

    def is_running(self, node_id: str) -> bool:
        """Whether it has booted."""
        with self.lock:
            return node_id == self._head_node_id or "node" in self._nodes.get(node_id, {})

    def _terminate_node(self, node: dict[str, Any]) -> None:
        """The autoscaler gives a node back."""
        rays: Any = super()
        if "node" in node:
            rays._terminate_node(node)

    def terminate_node(self, node_id: str) -> None:
        """As Ray's; a node that was just taken away is no error."""
        with self.lock:
            rays: Any = super()
            if node_id in self._nodes:
                rays.terminate_node(node_id)
                self._write("gone", node_id, why="given back")

    def _later(self, seconds: float, call: Any, *words: Any) -> None:
        timer = threading.Timer(seconds, call, words)
        timer.daemon = True
        timer.start()

    def _write(self, event: str, node: str | None = None, **more: Any) -> None:
        line = {"t": time.time(), "event": event, **more}
        if node is not None:
            line |= {"node": self._names[node], "type": self._names[node].rpartition("-")[0]}
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
