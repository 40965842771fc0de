"""Google Cloud, through `gcloud`: instances, disks, addresses, and the service account that Ray makes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from cluster.cluster_file import Cluster
from cluster.leftovers.leftover import TAG, Leftover, ask


def find(cluster: Cluster) -> Iterator[Leftover]:
    """What is left in the cluster's project."""
    given = [f"--project={cluster.document['provider'].get('project_id', '')}"]
    ours = f"labels.{TAG}={cluster.name} OR name~^ray-{cluster.name}-"
    for kind, urgent, words, filters in (
        ("instance", True, ["compute", "instances"], ours),
        ("disk", True, ["compute", "disks"], ours),
        ("address", True, ["compute", "addresses"], ours),
        ("service account", False, ["iam", "service-accounts"], "email~^ray-autoscaler"),
    ):
        base = ["gcloud", *words]
        for one in ask([*base, "list", f"--filter={filters}", "--format=json", *given], kind):
            if isinstance(one, Leftover):
                yield one
                continue
            name = str(one.get("email") or one["name"])
            place = [f"--{key}={one[key].rpartition('/')[2]}" for key in ("zone", "region") if key in one]
            remove = shlex.join([*base, "delete", name, *place, *given])
            yield Leftover(kind=kind, name=name, urgent=urgent, remove=remove)
