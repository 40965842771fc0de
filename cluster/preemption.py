"""Watches on a spot node for the notice that it will be taken away, and drains it, so that its trials move.

    python -m cluster.preemption aws|gcp|azure >> ~/preemption.log 2>&1 &

stands in a YAML's worker start commands after `ray start`. The cloud's metadata service is asked every few
seconds; Ray is imported only when the notice is there, so that a watcher costs 15 MB. A drained node gets no
new work; the driver of a sweep sees the drain within a second, and each trial with a rank there goes on
elsewhere after its next checkpoint (`sweeps.loop.moves`). What the clouds say, and how long before:

    AWS    spot/instance-action 120 s; events/recommendations/rebalance earlier, and sometimes in vain
    GCP    instance/preempted 30 s
    Azure  a scheduled event `Preempt` 30 s
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """That this node will go."""

    why: str
    deadline: float | None
    """When, in seconds since 1970; None: the cloud does not say."""


class Metadata:
    """A cloud's metadata service, asked directly, whatever proxies there are.

    Args:
        base: its address, without a path.
    """

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, headers: Mapping[str, str], method: str = "GET") -> str | None:
        """The answer's text; None where there is nothing (404).

        Raises:
            OSError: nobody answers, or with another error.
        """
        request = urllib.request.Request(self.base + path, headers=dict(headers), method=method)
        try:
            with self._opener.open(request, timeout=2) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


def aws(metadata: Metadata) -> Notice | None:
    """The instance metadata service, version 2 (EC2 user guide, `Spot Instance interruption notices`)."""
    life = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = {"X-aws-ec2-metadata-token": metadata.ask("/latest/api/token", life, "PUT") or ""}
    action = metadata.ask("/latest/meta-data/spot/instance-action", token)
    if action:
        said = json.loads(action)
        at = datetime.fromisoformat(said["time"]).timestamp()
        return Notice(why=f"spot interruption ({said['action']})", deadline=at)
    if metadata.ask("/latest/meta-data/events/recommendations/rebalance", token):
        return Notice(why="spot rebalance recommendation", deadline=None)
    return None


def gcp(metadata: Metadata) -> Notice | None:
    """Compute Engine's metadata server (`Preemption process` of Spot VMs)."""
    said = metadata.ask("/computeMetadata/v1/instance/preempted", {"Metadata-Flavor": "Google"})
    if said is not None and said.strip() == "TRUE":
        return Notice(why="spot preemption", deadline=time.time() + 30)
    return None


def azure(metadata: Metadata) -> Notice | None:
    """Azure's scheduled events, which list those of neighbours as well."""
    header = {"Metadata": "true"}
    said = metadata.ask("/metadata/scheduledevents?api-version=2020-07-01", header)
    events = [one for one in json.loads(said or "{}").get("Events", []) if one["EventType"] == "Preempt"]
    if not events:
        return None
    name = metadata.ask("/metadata/instance/compute/name?api-version=2021-02-01&format=text", header)
    for event in events:
        if name in event["Resources"]:
            at = event.get("NotBefore")
            deadline = parsedate_to_datetime(at).timestamp() if at else time.time() + 30
            return Notice(why="spot preemption", deadline=deadline)
    return None


CLOUDS: dict[str, tuple[Callable[[Metadata], Notice | None], str, float]] = {
    "aws": (aws, "http://169.254.169.254", 5.0),
    "gcp": (gcp, "http://metadata.google.internal", 1.0),
    "azure": (azure, "http://169.254.169.254", 1.0),
}
"""How each is asked, where, and every how many seconds."""


def drain(address: str, node: str, notice: Notice) -> None:
    """Tell Ray that a node will be taken away: it gets no new work, and who runs there can see it.

    Args:
        address: of the cluster's GCS, host:port.
        node: Ray's id of the node, in hex.

    Raises:
        RuntimeError: Ray refuses.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
    from ray.core.generated import autoscaler_pb2

    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")  # type: ignore[attr-defined]
    deadline_ms = 0 if notice.deadline is None else int(notice.deadline * 1000)
    accepted, refusal = GcsClient(address=address).drain_node(node, reason, notice.why, deadline_ms)
    if not accepted:
        raise RuntimeError(f"Ray does not drain node {node}: {refusal}")


def own_node(address: str) -> str:
    """Ray's id of the node on this machine, in hex: by the launcher's instance id, or else the IP address.

    Raises:
        LookupError: there is none in the cluster.
    """
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled

    mine = os.environ.get("RAY_CLOUD_INSTANCE_ID")
    here = ray.util.get_node_ip_address()
    nodes: dict[Any, Any] = GcsClient(address=address).get_all_node_info()
    for node, about in nodes.items():
        alive = about.state == 0  # GcsNodeInfo.ALIVE
        if alive and (about.instance_id == mine if mine else about.node_manager_address == here):
            return str(node.hex())
    raise LookupError(f"no node of the cluster at {address} is {mine or here}")


def watch(cloud: str, base: str | None = None, address: str = "auto") -> None:
    """Ask for ever, and drain this node when a notice comes; again if a more definite one follows.

    Args:
        cloud: aws, gcp or azure.
        base: the metadata service's address; None: where that cloud has it.
        address: of the Ray cluster; `auto`: the one of this machine.
    """
    notice_of, usual, every_s = CLOUDS[cloud]
    metadata = Metadata(base or usual)
    told: str | None = None
    silent = False
    while True:
        try:
            notice, silent = notice_of(metadata), False
        except (OSError, ValueError) as error:
            if not silent:
                print(f"the metadata service of {cloud} does not answer: {error}; it is asked on", flush=True)
            notice, silent = None, True
        if notice is not None and notice.why != told:
            try:
                _drain_own(address, notice)
                told = notice.why
            except Exception as error:  # Ray may just be starting, or be gone; the next round tries again
                print(f"{notice.why}: not drained yet: {error}", file=sys.stderr, flush=True)
        time.sleep(every_s)


def _drain_own(address: str, notice: Notice) -> None:
    from ray._private.services import canonicalize_bootstrap_address_or_die

    where = canonicalize_bootstrap_address_or_die(address)
    node = own_node(where)
    drain(where, node, notice)
    left = "" if notice.deadline is None else f", {notice.deadline - time.time():.0f} s left"
    print(f"{notice.why}: node {node} drains{left}", flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m cluster.preemption", description=__doc__)
    parser.add_argument("cloud", choices=list(CLOUDS))
    parser.add_argument("--metadata", metavar="URL", help="another metadata service, for tests")
    parser.add_argument("--address", default="auto", help="of the Ray cluster (default: this machine's)")
    given = parser.parse_args(words)
    watch(given.cloud, given.metadata, given.address)


if __name__ == "__main__":
    main()
