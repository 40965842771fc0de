"""What node types claim to have, against what their machines have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from cluster import catalogue
from cluster.cluster_file import Cluster, NodeType
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping

KINDS = ("launcher", "kuberay")

LEAST_CPUS, LEAST_GIB = 2, 8
"""Of a head."""
PLACES = {"aws": ("InstanceType",), "gcp": ("machineType",), "azure": ("azure_arm_parameters", "vmSize")}
"""Where a node_config names its machine."""
RAYS_OWN = {
    "cpu": "CPU",
    "cpus": "CPU",
    "num_cpus": "CPU",
    "gpu": "GPU",
    "gpus": "GPU",
    "num_gpus": "GPU",
    "memory": "memory",
    "object_store_memory": "object_store_memory",
    "tpu": "TPU",
}
"""What people write, in lower case: the name that Ray knows."""


def check(subject: Subject) -> Iterator[Finding]:
    """Names first, then machines, then the head."""
    cluster = subject.cluster
    if cluster is None:
        return
    for one in (cluster.head, *cluster.workers):
        if subject.kind == "launcher":
            yield from _names(subject, one)
            yield from _bytes(subject, one)
            yield from _without(subject, cluster, one)
        yield from _machine(subject, cluster, one)
    yield from _head(subject, cluster)
    yield from _processors(subject, cluster)


def _names(subject: Subject, one: NodeType) -> Iterator[Finding]:
    for name in one.resources:
        right = RAYS_OWN.get(name.casefold(), name)
        if name != right:
            yield subject.found(
                "error",
                (*one.where, "resources", name),
                f"{name} is a resource of its own to Ray",
                f"trials ask for {right}: this node type never fits them, and is never started",
                f"write {right}",
            )


def _without(subject: Subject, cluster: Cluster, one: NodeType) -> Iterator[Finding]:
    """What nobody says: the machine, and its CPUs."""
    if one.instance is None and cluster.provider in PLACES:
        yield subject.found(
            "error",
            (*one.where, "node_config", *PLACES[cluster.provider]),
            f"{one.name} names no machine type",
            "every launch is refused, or Ray takes one of its own choice",
            f"write {PLACES[cluster.provider][-1]}",
        )
    if one.name != cluster.head.name and one.resources and not one.resources.get("CPU") and one.max_workers:
        yield subject.found(
            "error",
            (*one.where, "resources"),
            f"{one.name} offers no CPU",
            "each rank needs one: no trial fits this node type, and it is never started",
            "write CPU: as many as the machine has",
        )


def _bytes(subject: Subject, one: NodeType) -> Iterator[Finding]:
    for name in ("memory", "object_store_memory"):
        if 0 < one.resources.get(name, 0) < 2**30:
            yield subject.found(
                "error",
                (*one.where, "resources", name),
                f"{name} is {one.resources[name]:g} bytes",
                "trials that ask for memory never fit this node type",
                f"write it in bytes, or drop it: {2**30} is 1 GiB",
            )


def _machine(subject: Subject, cluster: Cluster, one: NodeType) -> Iterator[Finding]:
    if one.instance is None or cluster.provider not in ("aws", "gcp", "azure"):
        return
    machine = catalogue.find(cluster.provider, one.instance)
    where = next((at for at in _places(one) if at in subject.document.lines), one.where)
    if machine is None:
        near = difflib.get_close_matches(one.instance, catalogue.instances(cluster.provider), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        if cluster.provider in catalogue.COMPLETE:
            yield subject.found(
                "error",
                where,
                f"there is no machine type {one.instance}",
                "every launch is refused, and the autoscaler tries for ever",
                f"correct it{hint}",
            )
        else:
            yield subject.found(
                "warning",
                where,
                f"{one.instance} is not in the catalogue, so that its resources cannot be compared",
                "a misspelt type is refused at every launch",
                f"make sure that it exists{hint}",
            )
        return
    gpus = machine.gpus or _attached(one)
    for name, has in (("CPU", machine.vcpus), ("GPU", gpus), ("memory", machine.memory_gib * 2**30)):
        claimed = one.resources.get(name, 0)
        if claimed > has:
            unit = 2**30 if name == "memory" else 1
            said, real = f"{claimed / unit:g}", f"{has / unit:g}{' GiB' if name == 'memory' else ''}"
            yield subject.found(
                "error",
                (*one.where, "resources", name),
                f"{one.name} claims {said} {name}; {one.instance} has {real}",
                "Ray packs trials onto it that do not fit: they crowd each other, or crash",
                f"write at most {has:g}",
            )
    if gpus and one.resources and not one.resources.get("GPU") and one.name != cluster.head.name:
        yield subject.found(
            "warning",
            (*one.where, "resources"),
            f"{one.instance} has {gpus} GPUs ({machine.gpu}); {one.name} claims none",
            "trials that ask for a GPU never start it, and its price is paid for the CPUs",
            f"write GPU: {gpus}",
        )
    yield from _unused(subject, cluster, one, gpus, machine.vcpus)
    if one.spot and not machine.spot:
        yield subject.found(
            "error",
            where,
            f"{one.instance} cannot be had from the spot market",
            "every launch is refused",
            "take another type, or drop the request for spot",
        )


def _unused(subject: Subject, cluster: Cluster, one: NodeType, gpus: int, cpus: int) -> Iterator[Finding]:
    """What is paid for and offered to nobody."""
    if one.name == cluster.head.name:
        return
    where = (*one.where, "resources")
    if 0 < one.resources.get("GPU", 0) < gpus:
        yield subject.found(
            "error",
            (*where, "GPU"),
            f"{one.name} claims {one.resources['GPU']:g} of {gpus} GPUs of {one.instance}",
            "the others are paid for, and no trial ever gets them",
            f"write GPU: {gpus}",
        )
    if "CPU" in one.resources and one.resources["CPU"] * 4 < cpus:
        yield subject.found(
            "warning",
            (*where, "CPU"),
            f"{one.name} claims {one.resources['CPU']:g} of {cpus} CPUs of {one.instance}",
            "trials that ask for CPUs do not fit, though there are some",
            f"write CPU: {cpus}",
        )


def _places(one: NodeType) -> Iterator[tuple[str | int, ...]]:
    config = (*one.where, "node_config")
    yield (*config, "InstanceType")
    yield (*config, "machineType")
    yield (*config, "azure_arm_parameters", "vmSize")
    yield one.where


def _attached(one: NodeType) -> int:
    """GPUs added to a machine of GCP that has none of its own."""
    added = one.config.get("guestAccelerators")
    counts = [mapping(each).get("acceleratorCount") for each in added] if isinstance(added, list) else []
    return sum(count for count in counts if isinstance(count, int))


def _head(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    head = cluster.head
    if cluster.provider in ("local", "kuberay"):
        return  # those say it in their start commands and rayStartParams
    if "CPU" not in head.resources or head.resources["CPU"] > 0:
        yield subject.found(
            "warning",
            (*head.where, "resources", "CPU"),
            f"the head offers {head.resources.get('CPU', 'all its')} CPUs to trials",
            "trials slow the driver and the autoscaler, and one that fills the memory ends the sweep",
            "write resources: {CPU: 0} for the head's node type",
        )
    machine = catalogue.find(cluster.provider, head.instance or "")
    if machine is not None and (machine.vcpus < LEAST_CPUS or machine.memory_gib < LEAST_GIB):
        yield subject.found(
            "warning",
            (*head.where, "node_config"),
            f"the head's {head.instance} has {machine.vcpus} CPUs and {machine.memory_gib:g} GiB",
            "the driver, the search and the autoscaler run there: it is out of memory with a few nodes",
            f"take a machine of {LEAST_CPUS} CPUs and {LEAST_GIB} GiB at least",
        )
    if head.resources.get("GPU") or (machine is not None and machine.gpus + _attached(head)):
        yield subject.found(
            "warning",
            (*head.where, "node_config"),
            "the head has a GPU",
            "it runs as long as the cluster does, whether trials run or not",
            "take a machine without one",
        )


def _processors(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    head = catalogue.find(cluster.provider, cluster.head.instance or "")
    for one in cluster.workers:
        machine = catalogue.find(cluster.provider, one.instance or "")
        if head is not None and machine is not None and head.arm != machine.arm:
            yield subject.found(
                "error",
                one.where,
                f"{one.name} and the head have processors of different kinds, ARM and x86",
                "one machine image and one set of wheels cannot serve both",
                "take machines of one kind",
            )
