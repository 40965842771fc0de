"""Azure with a spot market that falls back (see `cluster.providers.fallback`), and with access of your own.

Ray 2.60 deploys an identity that may change everything in the resource group and a network open to the world
on port 22, whatever the YAML says, and `ray down` deletes what the YAML names. Where it names an identity, a
security group and a subnet (those of `cluster/access/azure.sh`), they are used, and stay.
"""

from __future__ import annotations

from typing import Any

from ray.autoscaler._private._azure import config as azure_config
from ray.autoscaler._private._azure.node_provider import AzureNodeProvider

from cluster.providers.fallback import FallsBack

OWN = ("subscription_id", "unique_id", "msi", "nsg", "subnet")
"""Keys of `provider` that Ray would otherwise fill in."""
KEPT = "own_access"
"""The mark, in the head's copy of the YAML, of access that is not Ray's to delete."""


class FallbackAzureNodeProvider(FallsBack, AzureNodeProvider):
    """Ray's provider of Azure VMs. A deployment without capacity fails as a whole; no count is returned."""

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """What `ray up` prepares: of your own access only the keys, else all that Ray makes."""
        if not all(cluster_config["provider"].get(name) for name in OWN):
            return AzureNodeProvider.bootstrap_config(cluster_config)
        config: dict[str, Any] = azure_config._configure_key_pair(cluster_config)
        config["provider"][KEPT] = True
        return config

    def cleanup_cluster_resources(self) -> None:
        """What `ray down` deletes beside the nodes: nothing of yours."""
        if not self.provider_config.get(KEPT):
            super().cleanup_cluster_resources()  # type: ignore[no-untyped-call]  # Ray has no annotations
