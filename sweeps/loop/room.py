"""How large a sweep's cluster becomes, which is not what is up now: nodes start where trials wait."""

import socket
from pathlib import Path

import ray

from cluster import cluster_file
from cluster.cluster_file import Cluster
from cluster.fitting import fit
from cluster.standing import standing
from sweeps.spec import Sweep

BOOTSTRAPPED = Path("~/ray_bootstrap_config.yaml")
"""Where `ray up` leaves the cluster's YAML on the head."""


def largest(sweep: Sweep) -> Cluster:
    """The running cluster as it may become: by `sweep.cluster`, else by the YAML that `ray up` left on this
    machine if it is the head; else the nodes that are up, for a cluster that does not grow.

    Raises:
        ValueError, FileNotFoundError: a YAML that cannot be read.
    """
    if sweep.cluster is not None:
        return cluster_file.load(sweep.cluster)
    if _on_the_head() and (file := BOOTSTRAPPED.expanduser()).is_file():
        found = cluster_file.load(file)
        if found.provider != "local":  # what machines of one's own have is known once they have joined
            return found
    return standing(node["Resources"] for node in ray.nodes() if node["Alive"])


def trials_at_once(sweep: Sweep) -> int:
    """How many trials of a sweep fit at once when all nodes are up that may be, at least 1."""
    cluster = largest(sweep) if sweep.address is not None else standing([ray.cluster_resources()])
    return max(1, fit(cluster, sweep.bundle, sweep.ranks).trials)


def _on_the_head() -> bool:
    gcs, _, _ = ray.get_runtime_context().gcs_address.rpartition(":")
    return gcs in {"127.0.0.1", ray.util.get_node_ip_address(), socket.gethostname()}
