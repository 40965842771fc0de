"""Compute Engine's own pitfalls: GPUs, spot, service accounts and images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cluster import catalogue
from cluster.cluster_file import NodeType
from cluster.lint.commands import commands
from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest
from cluster.pods import mapping

KINDS = ("launcher",)

ACCELERATORS = (
    "nvidia-tesla-t4",
    "nvidia-tesla-v100",
    "nvidia-tesla-p100",
    "nvidia-tesla-p4",
    "nvidia-tesla-a100",
    "nvidia-a100-80gb",
    "nvidia-l4",
    "nvidia-h100-80gb",
    "nvidia-h100-mega-80gb",
    "nvidia-h200-141gb",
    "nvidia-b200",
    "nvidia-rtx-pro-6000",
)
BARE = re.compile(r"(?:ubuntu-os|debian|cos|centos|rocky-linux|rhel|suse|fedora-coreos|windows)-cloud/")
"""Projects whose images come without NVIDIA's driver."""
ATTACHABLE = "n1"
"""The family that takes GPUs of one's choice; others have theirs built in, or none."""
SCOPE = "https://www.googleapis.com/auth/"


def check(subject: Subject) -> Iterator[Finding]:
    """Of every node type."""
    cluster = subject.cluster
    if cluster is None or cluster.provider != "gcp":
        return
    for one in (cluster.head, *cluster.workers):
        yield from _accelerators(subject, one)
        yield from _scheduling(subject, one)
        yield from _accounts(subject, one)
        yield from _images(subject, one)
        if one.config.get("deletionProtection") is True:
            yield subject.found(
                "error",
                (*one.where, "node_config", "deletionProtection"),
                f"{one.name} is protected from deletion",
                "the autoscaler cannot end it, and it is paid for ever",
                "drop it",
            )


def _accelerators(subject: Subject, one: NodeType) -> Iterator[Finding]:
    where = (*one.where, "node_config", "guestAccelerators")
    found = one.config.get("guestAccelerators")
    family = (one.instance or "").rpartition("/")[2].partition("-")[0]
    machine = catalogue.find("gcp", one.instance or "")
    for i, each in enumerate(map(mapping, found if isinstance(found, list) else [])):
        kind, count = str(each.get("acceleratorType", "")).rpartition("/")[2], each.get("acceleratorCount")
        if kind not in ACCELERATORS:
            yield subject.found(
                "error",
                (*where, i),
                f"Compute Engine has no accelerator {kind!r}",
                "every launch is refused",
                f"correct it{nearest(kind, ACCELERATORS)}",
            )
        if not isinstance(count, int) or count not in (1, 2, 4, 8, 16):
            yield subject.found(
                "error",
                (*where, i),
                f"acceleratorCount is {count!r}",
                "every launch is refused",
                "write 1, 2, 4 or 8",
            )
        built_in = machine.gpu.rpartition(" ")[2].lower() if machine is not None and machine.gpus else ""
        if built_in and built_in not in kind.replace("-", ""):
            yield subject.found(
                "error",
                (*where, i),
                f"{kind} on {one.instance}, which has its own {machine.gpu if machine else ''}",
                "every launch is refused",
                "drop guestAccelerators, or take an n1 machine",
            )
        if family != ATTACHABLE and machine is not None and not machine.gpus:
            yield subject.found(
                "error",
                (*where, i),
                f"{one.instance} takes no GPUs",
                "every launch is refused",
                "take an n1 machine, or one with GPUs built in: g2, a2, a3",
            )


def _scheduling(subject: Subject, one: NodeType) -> Iterator[Finding]:
    where = (*one.where, "node_config", "scheduling")
    found = one.config.get("scheduling")
    rules = [mapping(each) for each in (found if isinstance(found, list) else [found])]
    machine = catalogue.find("gcp", one.instance or "")
    gpus = "guestAccelerators" in one.config or (machine is not None and machine.gpus)
    if gpus and all(rule.get("onHostMaintenance") != "TERMINATE" for rule in rules):
        yield subject.found(
            "error",
            where,
            f"{one.name} has GPUs and no onHostMaintenance: TERMINATE",
            "Compute Engine cannot move machines with GPUs, and refuses the launch",
            "write scheduling: {onHostMaintenance: TERMINATE}",
        )
    if any(rule.get("preemptible") is True for rule in rules):
        yield subject.found(
            "warning",
            where,
            f"{one.name} is preemptible, the old form of spot",
            "it is ended after 24 hours in any case",
            "write provisioningModel: SPOT with instanceTerminationAction: DELETE",
        )
    if not one.spot:
        if any("instanceTerminationAction" in rule and "maxRunDuration" not in rule for rule in rules):
            yield subject.found(
                "error",
                where,
                f"instanceTerminationAction on {one.name}, which is not spot",
                "Compute Engine refuses the launch",
                "drop it, or write provisioningModel: SPOT",
            )
        return
    if any(rule.get("automaticRestart", one.name) is not False for rule in rules):
        yield subject.found(
            "error",
            where,
            f"{one.name} is a spot type without automaticRestart: false",
            "Compute Engine refuses the launch",
            "write automaticRestart: false",
        )
    if not any(
        rule.get("instanceTerminationAction") == "DELETE" or rule.get("preemptible") for rule in rules
    ):
        yield subject.found(
            "warning",
            where,
            f"a machine of {one.name} that is taken away is only stopped",
            "its disk is paid for until somebody finds it",
            "write instanceTerminationAction: DELETE",
        )


def _accounts(subject: Subject, one: NodeType) -> Iterator[Finding]:
    found = one.config.get("serviceAccounts")
    for i, account in enumerate(map(mapping, found if isinstance(found, list) else [])):
        where = (*one.where, "node_config", "serviceAccounts", i)
        email = str(account.get("email", ""))
        if email == "default" or email.endswith(
            ("-compute@developer.gserviceaccount.com", "@appspot.gserviceaccount.com")
        ):
            yield subject.found(
                "error",
                where,
                f"{one.name} has the project's default account",
                "it is Editor of the whole project, unless somebody took that away",
                "write an account of its own; cluster/access/gcp.sh makes it",
            )
        elif "REPLACE" not in email and not re.fullmatch(
            r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com", email
        ):
            yield subject.found(
                "error",
                where,
                f"{email or 'nothing'} is no service account's address",
                "every launch is refused",
                "write NAME@PROJECT.iam.gserviceaccount.com",
            )
        scopes = account.get("scopes")
        listed: list[Any] = scopes if isinstance(scopes, list) else []
        if not listed:
            yield subject.found(
                "error",
                where,
                "the service account has no scopes",
                "its machine may use none of the cloud's interfaces: no node, no bucket",
                f"write scopes: [{SCOPE}cloud-platform]",
            )
        for scope in listed:
            if not str(scope).startswith(SCOPE):
                yield subject.found(
                    "error",
                    where,
                    f"scope {scope}",
                    "the short form is gcloud's; Compute Engine refuses it",
                    f"write {SCOPE}{scope}",
                )
        if listed and not any(str(scope).endswith("cloud-platform") for scope in listed):
            yield subject.found(
                "warning",
                where,
                f"{one.name} has narrow scopes",
                "they cut off what its account's roles allow, results in a bucket and secrets among it",
                f"write scopes: [{SCOPE}cloud-platform], and say by roles what it may do",
            )


def installs_driver(subject: Subject) -> bool:
    """Whether a command does what the image does not."""
    return any(
        re.search(r"nvidia-driver|install_gpu_driver|cuda-drivers|ubuntu-drivers", one)
        for _, one in commands(subject.content)
    )


def _images(subject: Subject, one: NodeType) -> Iterator[Finding]:
    disks = one.config.get("disks")
    for i, disk in enumerate(map(mapping, disks if isinstance(disks, list) else [])):
        made = mapping(disk.get("initializeParams"))
        image = made.get("sourceImage")
        where = (*one.where, "node_config", "disks", i, "initializeParams", "sourceImage")
        if disk.get("boot") is True and not image and not disk.get("source"):
            yield subject.found(
                "error", where, f"{one.name} names no image", "every launch is refused", "write sourceImage"
            )
        elif image and BARE.search(str(image)) and one.resources.get("GPU") and not installs_driver(subject):
            yield subject.found(
                "warning",
                where,
                f"the image {str(image).rpartition('/')[2]} comes without NVIDIA's driver",
                "trials find no GPU, on machines that have them",
                "take one of ubuntu-os-accelerator-images; cluster/access/gcp.sh image prints it",
            )
        elif image and not re.search(r"(^|/)(projects/[^/]+/)?global/images/[^/]+", str(image)):
            yield subject.found(
                "error",
                where,
                f"{image} is no image's path",
                "every launch is refused",
                "write projects/PROJECT/global/images/NAME",
            )
