"""Google Compute Engine with spot that falls back (`cluster.providers.fallback`) and access of your own.

Ray 2.60 makes a service account with roles in the whole project at each `ray up`, even where the YAML names
another. Where it names one for the head, a network for every type and a key (those of
`cluster/access/gcp.sh`), nothing is made.
"""

from __future__ import annotations

import copy
from typing import Any

from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider

from cluster.providers.fallback import FallsBack


class FallbackGCPNodeProvider(FallsBack, GCPNodeProvider):
    """Ray's provider of Compute Engine nodes. A zone without capacity fails the launch's operation."""

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """What `ray up` prepares: nothing where access is your own, else all that Ray makes."""
        if not _own_access(cluster_config):
            return GCPNodeProvider.bootstrap_config(cluster_config)
        return copy.deepcopy(cluster_config) | {"head_node": {}}  # Ray looks there for what it made


def _own_access(config: dict[str, Any]) -> bool:
    types = config["available_node_types"]
    head = types[config["head_node_type"]]["node_config"]
    return (
        bool(head.get("serviceAccounts"))
        and all(one["node_config"].get("networkInterfaces") for one in types.values())
        and bool(config["auth"].get("ssh_private_key"))
    )
