"""Azure's own pitfalls: spot, images, and the ids of what the file refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cluster import catalogue
from cluster.cluster_file import NodeType
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.gcp_machines import installs_driver
from cluster.nearest import nearest
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("launcher",)

UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
GROUP = r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/"
IDS = {
    "msi": GROUP + r"Microsoft\.ManagedIdentity/userAssignedIdentities/[^/]+",
    "nsg": GROUP + r"Microsoft\.Network/networkSecurityGroups/[^/]+",
    "subnet": GROUP + r"Microsoft\.Network/virtualNetworks/[^/]+/subnets/[^/]+",
}
WITH_DRIVER = re.compile(r"(?i)microsoft-dsvm|nvidia|hpc|data-science|dsvm")
PUBLISHERS = (
    "microsoft-dsvm",
    "Canonical",
    "nvidia",
    "almalinux",
    "Debian",
    "RedHat",
    "Oracle",
    "SUSE",
    "resf",
)
"""Publishers of Linux images; one that is nearly one of them is misspelt."""
SPOT_ONLY = ("evictionPolicy", "billingProfile")


def check(subject: Subject) -> Iterator[Finding]:
    """The provider's ids, then every node type."""
    cluster = subject.cluster
    if cluster is None or cluster.provider != "azure":
        return
    yield from _ids(subject, mapping(subject.content.get("provider")))
    for one in (cluster.head, *cluster.workers):
        where = (*one.where, "node_config", "azure_arm_parameters")
        parameters = mapping(one.config.get("azure_arm_parameters"))
        yield from _spot(subject, where, one, parameters)
        yield from _image(subject, where, one, parameters)


def _ids(subject: Subject, provider: Mapping[str, Any]) -> Iterator[Finding]:
    own = str(provider.get("subscription_id", ""))
    if own and "REPLACE" not in own and not re.fullmatch(UUID, own):
        yield subject.found(
            "error",
            ("provider", "subscription_id"),
            f"{own} is no subscription's id",
            "`ray up` fails; a name will not do",
            "write what `az account show --query id` prints",
        )
    for key, form in IDS.items():
        value = provider.get(key)
        if not value:
            continue
        found = re.fullmatch(form, str(value))
        if found is None:
            yield subject.found(
                "error",
                ("provider", key),
                f"{key} is {value}",
                "Azure finds no such thing",
                f"write the whole id, as `cluster/access/azure.sh` prints it, of the form {form}",
            )
        elif own and found[1] != own:
            yield subject.found(
                "error",
                ("provider", key),
                f"{key} is of another subscription than subscription_id",
                "Azure refuses the deployment, or finds nothing",
                "write the same in all of them",
            )


def _spot(subject: Subject, where: Where, one: NodeType, parameters: Mapping[str, Any]) -> Iterator[Finding]:
    priority = parameters.get("priority", "Regular")
    if priority == "Low":
        yield subject.found(
            "error",
            (*where, "priority"),
            "priority is Low",
            "it is for scale sets alone, and was given up",
            "write priority: Spot",
        )
    if priority == "Regular":
        for key in SPOT_ONLY:
            if key in parameters:
                yield subject.found(
                    "error",
                    (*where, key),
                    f"{key} without priority: Spot",
                    "Azure refuses the deployment",
                    f"write priority: Spot, or drop {key}",
                )
    elif parameters.get("evictionPolicy", "Deallocate") != "Delete":
        yield subject.found(
            "warning",
            (*where, "evictionPolicy"),
            "a spot machine that is taken away is only stopped",
            "its disk is paid for until somebody finds it",
            "write evictionPolicy: Delete",
        )
    for key in set(mapping(parameters.get("billingProfile"))) - {"maxPrice"}:
        yield subject.found(
            "error",
            (*where, "billingProfile", key),
            f"Azure knows no key {key!r} in billingProfile",
            "it refuses the deployment, or ignores it",
            "write maxPrice",
        )
    price = mapping(parameters.get("billingProfile")).get("maxPrice", -1)
    if not isinstance(price, int | float) or isinstance(price, bool):
        yield subject.found(
            "error",
            (*where, "billingProfile"),
            f"maxPrice is {price!r}",
            "Azure refuses the deployment",
            "write -1, which is up to the price without spot, or dollars an hour, without quotes",
        )


def _image(subject: Subject, where: Where, one: NodeType, parameters: Mapping[str, Any]) -> Iterator[Finding]:
    machine = catalogue.find("azure", one.instance or "")
    parts = [f"image{part}" for part in ("Publisher", "Offer", "Sku", "Version")]
    missing = [part for part in parts if not parameters.get(part)]
    if missing and "imageId" not in parameters:
        yield subject.found(
            "error",
            (*where, missing[0]),
            f"{missing[0]} is missing",
            "Ray's template puts its own there, of another image",
            "write all four: cluster/access/azure.sh image",
        )
    publisher = str(parameters.get(parts[0], ""))
    if publisher not in PUBLISHERS and (near := nearest(publisher, PUBLISHERS, shown=0)):
        yield subject.found(
            "error",
            (*where, parts[0]),
            f"{publisher} publishes no images",
            "Azure refuses the deployment, for ever",
            f"correct it{near}",
        )
    said = " ".join(str(parameters.get(part, "")) for part in parts[:3])
    bare = not WITH_DRIVER.search(said) and not installs_driver(subject)
    if machine is not None and machine.gpus and not missing and bare:
        yield subject.found(
            "warning",
            (*where, parts[0]),
            f"the image {said} comes without NVIDIA's driver",
            "trials find no GPU",
            "take microsoft-dsvm's ubuntu-hpc, or install the driver in setup_commands",
        )
