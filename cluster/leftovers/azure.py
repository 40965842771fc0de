"""Azure, through `az`: what the YAML's resource group has with the cluster's tag or name."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from cluster.cluster_file import Cluster
from cluster.leftovers.leftover import TAG, Leftover, ask

BILLED = ("virtualMachines", "disks", "publicIPAddresses")


def find(cluster: Cluster) -> Iterator[Leftover]:
    """Ray tags the machines; their disks, and the network and identity around them, only have its names."""
    group = str(cluster.document["provider"].get("resource_group", ""))
    words = ["az", "resource", "list", "--resource-group", group, "--output", "json"]
    for one in ask(words, "resource"):
        if isinstance(one, Leftover):
            yield one
            continue
        named = one["name"].startswith(f"ray-{cluster.name}-")
        if named or (one.get("tags") or {}).get(TAG) == cluster.name:
            kind = str(one["type"]).rpartition("/")[2]
            remove = shlex.join(["az", "resource", "delete", "--ids", one["id"]])
            yield Leftover(kind=kind, name=one["name"], urgent=kind in BILLED, remove=remove)
