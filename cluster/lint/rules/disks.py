"""Disks of the machines: large enough, encrypted, gone with their machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.cluster_file import NodeType
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("launcher",)

LEAST_GB, MOST_GB = 60, 16_000
"""An image with the driver has 30 to 50 GB, torch 10 more; above the second it is a typing error."""
NEEDS_IOPS = ("io1", "io2")
SLOW = ("standard", "sc1", "st1")
ROOTS = ("/dev/sda1", "/dev/xvda")
GCP_TYPES = (
    "pd-standard",
    "pd-balanced",
    "pd-ssd",
    "pd-extreme",
    "hyperdisk-balanced",
    "hyperdisk-extreme",
    "hyperdisk-throughput",
    "hyperdisk-ml",
    "hyperdisk-balanced-high-availability",
    "local-ssd",
)


def check(subject: Subject) -> Iterator[Finding]:
    """Of every node type."""
    cluster = subject.cluster
    if cluster is None or cluster.provider not in ("aws", "gcp", "azure"):
        return
    rule = {"aws": _aws, "gcp": _gcp, "azure": _azure}[cluster.provider]
    for one in (cluster.head, *cluster.workers):
        yield from rule(subject, (*one.where, "node_config"), one)


def _aws(subject: Subject, where: Where, one: NodeType) -> Iterator[Finding]:
    disks = one.config.get("BlockDeviceMappings")
    where = (*where, "BlockDeviceMappings")
    if not disks or not isinstance(disks, list):
        yield subject.found(
            "error",
            where,
            f"{one.name} leaves its disk to the image",
            "it is as small as the image allows, and not encrypted",
            "write BlockDeviceMappings with VolumeSize and Encrypted: true",
        )
        return
    for i, disk in enumerate(map(mapping, disks)):
        yield from _ebs(subject, (*where, i), one, disk)
    names = [mapping(disk).get("DeviceName") for disk in disks]
    if not set(ROOTS) & set(map(str, names)):
        yield subject.found(
            "error",
            (*where, 0),
            f"no disk of {one.name} is the root disk, {ROOTS[0]} of Ubuntu's images",
            "this makes a further disk, which nothing mounts; the root disk stays as the image has it",
            f"write DeviceName: {ROOTS[0]}",
        )
    if len(set(map(str, names))) < len(names):
        yield subject.found(
            "error", where, "two disks have one DeviceName", "EC2 refuses the launch", "give each its own"
        )


def _ebs(subject: Subject, where: Where, one: NodeType, disk: Mapping[str, Any]) -> Iterator[Finding]:
    ebs = mapping(disk.get("Ebs"))
    name = disk.get("DeviceName", where[-1])
    if not ebs:
        if not {"VirtualName", "NoDevice"} & set(disk):
            yield subject.found(
                "error",
                where,
                f"disk {name} says nothing of itself",
                "EC2 refuses the launch",
                "write Ebs with VolumeSize",
            )
        return
    if "VolumeType" not in ebs:
        yield subject.found(
            "warning",
            where,
            f"disk {name} of {one.name} leaves its kind to EC2",
            "that is gp2: dearer than gp3, and slower",
            "write VolumeType: gp3",
        )
    if ebs.get("Encrypted") is not True:
        yield subject.found(
            "error",
            where,
            f"disk {name} of {one.name} is not encrypted",
            "data, tokens and checkpoints lie on it in the clear",
            "write Encrypted: true",
        )
    if ebs.get("DeleteOnTermination") is False:
        yield _stays(subject, where, f"disk {name} of {one.name}", "write DeleteOnTermination: true")
    yield from _size(subject, (*where, "Ebs", "VolumeSize"), one, ebs.get("VolumeSize"), name in ROOTS)
    kind, iops, throughput = ebs.get("VolumeType"), ebs.get("Iops"), ebs.get("Throughput")
    if kind in NEEDS_IOPS and iops is None:
        yield subject.found(
            "error", where, f"{kind} without Iops", "EC2 refuses the launch", "write Iops, or VolumeType: gp3"
        )
    if iops is not None and kind not in (*NEEDS_IOPS, "gp3"):
        yield subject.found(
            "error",
            where,
            f"{kind or 'gp2'} takes no Iops",
            "EC2 refuses the launch",
            "write VolumeType: gp3",
        )
    if (isinstance(iops, int) and not 100 <= iops <= 256_000) or (kind == "gp3" and iops and iops < 3000):
        yield subject.found(
            "error", where, f"Iops is {iops}", "EC2 refuses the launch", "write 3000 to 80000 for gp3"
        )
    if throughput is not None and (kind != "gp3" or not 125 <= throughput <= 2000):
        yield subject.found(
            "error",
            where,
            f"Throughput is {throughput} with VolumeType {kind}",
            "EC2 refuses the launch",
            "write VolumeType: gp3 with 125 to 2000 MiB/s",
        )
    if kind in SLOW:
        yield subject.found(
            "warning",
            where,
            f"{kind} is a slow disk",
            "nodes take minutes more to install, or cannot start from it",
            "write VolumeType: gp3",
        )


def _gcp(subject: Subject, where: Where, one: NodeType) -> Iterator[Finding]:
    disks = one.config.get("disks")
    where = (*where, "disks")
    listed = [mapping(disk) for disk in disks] if isinstance(disks, list) else []
    if not any(disk.get("boot") is True for disk in listed):
        yield subject.found(
            "error",
            where,
            f"{one.name} has no boot disk",
            "Compute Engine refuses the launch",
            "write disks with boot: true",
        )
    for i, disk in enumerate(listed):
        made = mapping(disk.get("initializeParams"))
        if disk.get("autoDelete") is not True:
            yield _stays(subject, (*where, i), f"a disk of {one.name}", "write autoDelete: true")
        at = (*where, i, "initializeParams")
        yield from _size(subject, (*at, "diskSizeGb"), one, made.get("diskSizeGb"), disk.get("boot") is True)
        if "diskType" not in made and not disk.get("source"):
            yield subject.found(
                "warning",
                (*at, "diskType"),
                f"a disk of {one.name} leaves its kind to Compute Engine",
                "that is pd-standard, a slow one: nodes take minutes more to install",
                "write diskType: pd-balanced",
            )
        kind = str(made.get("diskType", GCP_TYPES[0])).rpartition("/")[2]
        if kind not in GCP_TYPES:
            yield subject.found(
                "error",
                (*at, "diskType"),
                f"Compute Engine has no disks of type {kind!r}",
                "every launch is refused",
                f"write one of {', '.join(GCP_TYPES[:5])}",
            )


def _azure(subject: Subject, where: Where, one: NodeType) -> Iterator[Finding]:
    parameters = mapping(one.config.get("azure_arm_parameters"))
    where = (*where, "azure_arm_parameters", "osDiskSize")
    yield from _size(subject, where, one, parameters.get("osDiskSize"), True)


def _size(subject: Subject, where: Where, one: NodeType, size: Any, root: bool) -> Iterator[Finding]:
    try:
        gb = int(size)
    except (TypeError, ValueError):
        if size is None and root:
            yield subject.found(
                "warning",
                where,
                f"{one.name} leaves the size of its disk to the image",
                "it is often too small for torch and data",
                f"write {where[-1]}: 150",
            )
        return
    if root and gb < LEAST_GB:
        yield subject.found(
            "error" if gb < 30 else "warning",
            where,
            f"the disk of {one.name} has {gb} GB",
            "an image with NVIDIA's driver has 30 to 50 GB, torch 10 more: set-up ends with a full disk",
            f"write {where[-1]}: 150",
        )
    if gb > MOST_GB:
        yield subject.found(
            "warning", where, f"the disk of {one.name} has {gb} GB", "each node pays for it", "write it in GB"
        )


def _stays(subject: Subject, where: Where, what: str, fix: str) -> Finding:
    return subject.found(
        "warning", where, f"{what} outlives its node", "it is paid for until somebody finds it", fix
    )
