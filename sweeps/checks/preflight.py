"""What a sweep needs of the place where it runs: a trainable, CPUs and GPUs, a storage it may write, data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cluster import cluster_file
from cluster.cluster_file import Cluster
from cluster.fitting import fit
from sweeps.checks.agreement import corners

if TYPE_CHECKING:
    from sweeps.spec import Sweep


def preflight(sweep: Sweep, cluster: Cluster | None = None) -> list[str]:
    """What keeps a sweep from running here, a sentence each; empty if nothing does.

    Args:
        cluster: as large as it becomes, once that is known. None: what `sweep.cluster` says, else this
            machine, or with an `address` no check of resources.
    """
    if sweep.trainable is None:
        return ["trainable: is not named; give --trainable NAME, or for a script a key `program: train.py`."]
    problems = _resources(sweep, cluster) + _storage(sweep.storage)
    if not sweep.metrics:
        problems.append(
            "metric: is missing, and the trainable has none of its own; name the reported value to improve, "
            "and its mode."
        )
    program = sweep.program()
    if program is not None:
        found = [text for config in corners(sweep.search_space()) for text in program.obstacles(config)]
        problems += [f"{program.name}: {text}" for text in dict.fromkeys(found)]
        try:
            program.trainable(sweep.ranks, sweep.cpus_per_rank, sweep.gpus_per_rank)
        except ValueError as error:
            problems.append(f"{program.name}: {error}")
    return problems


def _resources(sweep: Sweep, cluster: Cluster | None) -> list[str]:
    if cluster is None and sweep.cluster is not None:
        try:
            cluster = cluster_file.load(sweep.cluster)
        except (ValueError, OSError) as error:
            return [f"cluster: {error}"]
    if cluster is not None:
        why = fit(cluster, sweep.bundle, sweep.ranks).obstacles
        return [f"ranks: no trial ever fits on {cluster.name}: {'; '.join(why)}."] if why else []
    if sweep.address is not None:
        return []
    there = {"CPU": os.cpu_count() or 1, "GPU": _gpus() if sweep.gpus_per_rank else 0}
    problems = []
    for kind, key in (("CPU", "cpus_per_rank"), ("GPU", "gpus_per_rank")):
        each = getattr(sweep, key)
        needed, has = sweep.ranks * each, there[kind]
        if needed > has:
            problems.append(
                f"ranks: one trial takes ranks * {key} = {sweep.ranks} * {each:g} = {needed:g} {kind}s, and "
                f"this machine has {has:g}; lower ranks or {key}, or name a larger cluster with address."
            )
    return problems


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


def _storage(uri: str) -> list[str]:
    from sweeps.store import storage

    try:
        storage.open_folder(uri).check_writable()
    except (ValueError, OSError) as error:
        return [str(error)]
    return []
