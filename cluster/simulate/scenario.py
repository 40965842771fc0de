"""What the played cloud does, and how fast its clock runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cluster.cluster_file import Cluster

NOTICE_S = {"aws": 120.0, "gcp": 30.0, "azure": 30.0}
"""Seconds from a preemption's notice to the end of the node."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """One simulation. All seconds are the cloud's, of which `speed` pass while a trial trains for one."""

    boot_s: float = 150.0
    """From a node's launch until Ray runs on it."""
    preempt_s: tuple[float, ...] = ()
    """How long after it is up the first spot node gets its notice; the second spot node; ..."""
    refuse: Mapping[str, int] = field(default_factory=dict)
    """Node types, and how many nodes of each there are in all; further ones are refused."""
    speed: float = 10.0

    def __post_init__(self) -> None:
        wrong = []
        if self.boot_s < 0:
            wrong.append(f"boot is {self.boot_s:g}; it must be 0 s or more.")
        if any(after < 0 for after in self.preempt_s):
            wrong.append(f"preempt is {min(self.preempt_s):g}; it must be 0 s or more.")
        if self.speed <= 0:
            wrong.append(f"speed is {self.speed:g}; it must be above 0.")
        if wrong:
            raise ValueError(" ".join(wrong))

    def scaled(self, seconds: float) -> float:
        """The cloud's seconds in the trials'."""
        return seconds / self.speed

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `from_dict` in another process."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scenario:
        """What `to_dict` gave, perhaps through JSON."""
        return cls(**{**values, "preempt_s": tuple(values["preempt_s"])})


def refusals(cluster: Cluster, words: Sequence[str], no_spot: bool) -> dict[str, int]:
    """What `--refuse TYPE[:N]` (there are only N nodes, or none) and `--no-spot` mean on this cluster.

    Raises:
        ValueError: there is no such node type, or N is no number of nodes.
    """
    found = {one.name: 0 for one in cluster.workers if one.spot and no_spot}
    known = [one.name for one in cluster.workers]
    for word in words:
        name, _, count = word.partition(":")
        if name not in known:
            has = ", ".join(known)
            raise ValueError(f"--refuse: {cluster.path} has no worker type {name!r}; it has {has}")
        if count and not count.isdigit():
            raise ValueError(f"--refuse: {word!r}: after the colon, how many nodes there are; as {name}:1")
        found[name] = int(count or 0)
    return found


def check(cluster: Cluster, scenario: Scenario) -> None:
    """Refuse what cannot be played.

    Raises:
        ValueError: with the reason.
    """
    if cluster.provider == "local":
        raise ValueError(f"{cluster.path}: its machines are always there; there is nothing to simulate")
    if cluster.provider == "kuberay" and scenario.refuse:
        raise ValueError(
            f"{cluster.path}: Kubernetes does not refuse a pod, it lets it wait; simulate without refusals"
        )
    bare = [one.name for one in cluster.workers if not one.resources]
    if bare:
        raise ValueError(
            f"{cluster.path}: {', '.join(bare)}: the `resources` are not written down, so that no such node "
            "can be played; write for example {CPU: 8, GPU: 1}"
        )
    if scenario.preempt_s and not any(one.spot for one in cluster.workers):
        raise ValueError(f"--preempt: only spot nodes are taken away, and {cluster.path} has none")
