"""A cluster that does not grow: the nodes that are up, for `cluster.fitting`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from cluster.cluster_file import Cluster, NodeType


def standing(nodes: Iterable[Mapping[str, float]], name: str = "the running cluster") -> Cluster:
    """Nodes by their resources, those with the same CPUs and GPUs as one type.

    Args:
        nodes: total resources of each, as Ray gives them: `{"CPU": 8.0, "GPU": 1.0, "memory": ...}`.
        name: what messages call it.
    """
    kinds = Counter((node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes)
    workers = tuple(
        NodeType(
            name=f"{count} node{'s' * (count > 1)}",
            resources={"CPU": cpus, "GPU": gpus},
            min_workers=count,
            max_workers=count,
            instance=None,
            spot=False,
        )
        for (cpus, gpus), count in sorted(kinds.items())
    )
    return Cluster(
        path=Path(),
        name=name,
        provider="running",
        region=None,
        head=NodeType(
            name="no head", resources={}, min_workers=0, max_workers=0, instance=None, spot=False
        ),
        workers=workers,
        max_workers=sum(kinds.values()),
        upscaling_speed=0.0,
        idle_timeout_s=float("inf"),
        launches=0,
        document={},
        lines={},
    )
