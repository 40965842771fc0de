"""How the machines themselves are kept: metadata service, disks, what stays behind."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import catalogue
from cluster.cluster_file import NodeType
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping

KINDS = ("launcher",)


def check(subject: Subject) -> Iterator[Finding]:
    """AWS asks for it by keys; GCP and Azure encrypt every disk and guard the metadata service anyway."""
    cluster = subject.cluster
    if cluster is None:
        return
    provider = mapping(subject.content.get("provider"))
    if cluster.provider == "aws":
        for one in (cluster.head, *cluster.workers):
            yield from _aws(subject, one)
    if cluster.provider == "gcp":
        for one in (cluster.head, *cluster.workers):
            yield from _gcp(subject, one)
    if cluster.provider in ("aws", "gcp", "azure") and provider.get("cache_stopped_nodes") is not False:
        yield subject.found(
            "warning",
            ("provider", "cache_stopped_nodes"),
            "nodes that are not needed are stopped, not ended"
            if "cache_stopped_nodes" in provider
            else "cache_stopped_nodes is missing, and true by default",
            "a stopped node's disk is paid for until somebody finds it",
            "write cache_stopped_nodes: false",
        )


def _aws(subject: Subject, one: NodeType) -> Iterator[Finding]:
    where = (*one.where, "node_config")
    if mapping(one.config.get("MetadataOptions")).get("HttpTokens") != "required":
        yield subject.found(
            "error",
            (*where, "MetadataOptions"),
            f"{one.name} does not require IMDSv2",
            "a request forged through any program on the node reads the role's keys",
            "write MetadataOptions: {HttpTokens: required, HttpEndpoint: enabled}",
        )
    disks = one.config.get("BlockDeviceMappings")
    for i, disk in enumerate(disks if isinstance(disks, list) else []):
        ebs = mapping(mapping(disk).get("Ebs"))
        if ebs and ebs.get("Encrypted") is not True:
            yield subject.found(
                "error",
                (*where, "BlockDeviceMappings", i),
                f"disk {mapping(disk).get('DeviceName', i)} of {one.name} is not encrypted",
                "data, tokens and checkpoints lie on it in the clear",
                "write Encrypted: true",
            )
        if ebs and ebs.get("DeleteOnTermination") is False:
            yield subject.found(
                "warning",
                (*where, "BlockDeviceMappings", i),
                f"disk {mapping(disk).get('DeviceName', i)} of {one.name} outlives its node",
                "it is paid for until somebody finds it",
                "write DeleteOnTermination: true",
            )
    if not disks:
        yield subject.found(
            "error",
            (*where, "BlockDeviceMappings"),
            f"{one.name} leaves its disk to the image",
            "it is as small as the image allows, and not encrypted",
            "write BlockDeviceMappings with VolumeSize and Encrypted: true",
        )


def _gcp(subject: Subject, one: NodeType) -> Iterator[Finding]:
    where = (*one.where, "node_config", "scheduling")
    found = one.config.get("scheduling")
    rules = [mapping(each) for each in (found if isinstance(found, list) else [found])]
    machine = catalogue.find("gcp", one.instance or "")
    gpus = "guestAccelerators" in one.config or (machine is not None and machine.gpus)
    if gpus and all(each.get("onHostMaintenance") != "TERMINATE" for each in rules):
        yield subject.found(
            "error",
            where,
            f"{one.name} has GPUs and no onHostMaintenance: TERMINATE",
            "Compute Engine cannot move machines with GPUs, and refuses the launch",
            "write scheduling: {onHostMaintenance: TERMINATE}",
        )
    if any(each.get("preemptible") is True for each in rules):
        yield subject.found(
            "warning",
            where,
            f"{one.name} is preemptible, the old form of spot",
            "it is ended after 24 hours in any case",
            "write provisioningModel: SPOT with instanceTerminationAction: DELETE",
        )
    if not mapping(one.config.get("tags")).get("items"):
        yield subject.found(
            "warning",
            (*one.where, "node_config", "tags"),
            f"{one.name} has no network tag",
            "rules of the firewall that go by a tag do not reach it",
            "write tags: {items: [starling]}, as cluster/access/gcp.sh has it",
        )
