"""How machines are kept: metadata service, ids, tags, what they leave behind, whether they can be ended."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.cluster_file import NodeType
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping

KINDS = ("launcher",)

IDS = {
    "ImageId": r"ami-[0-9a-f]{8}([0-9a-f]{9})?",
    "SubnetIds": r"subnet-[0-9a-f]{8}([0-9a-f]{9})?",
    "SecurityGroupIds": r"sg-[0-9a-f]{8}([0-9a-f]{9})?",
}
"""What EC2's ids look like."""


def check(subject: Subject) -> Iterator[Finding]:
    """AWS asks for it by keys; GCP and Azure guard the metadata service anyway."""
    cluster = subject.cluster
    if cluster is None:
        return
    provider = mapping(subject.content.get("provider"))
    if cluster.provider == "aws":
        for one in (cluster.head, *cluster.workers):
            yield from _metadata(subject, one)
            yield from _end(subject, one)
            yield from _ids(subject, one)
    if cluster.provider == "aws":
        for one in (cluster.head, *cluster.workers):
            if missing := _untagged(one):
                yield subject.found(
                    "warning",
                    (*one.where, "node_config", "TagSpecifications"),
                    f"{' and '.join(missing)} of {one.name} have no tag of yours",
                    "the bill cannot be told apart, and disks that were left cannot be found",
                    "write TagSpecifications for instance and volume, as in cluster/aws.yaml",
                )
    if cluster.provider == "gcp":
        for one in (cluster.head, *cluster.workers):
            if not mapping(one.config.get("tags")).get("items"):
                yield subject.found(
                    "warning",
                    (*one.where, "node_config", "tags"),
                    f"{one.name} has no network tag",
                    "rules of the firewall that go by a tag do not reach it",
                    "write tags: {items: [starling]}, as cluster/access/gcp.sh has it",
                )
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


def _untagged(one: NodeType) -> list[str]:
    """Kinds of things of a node that get no tag, or one without name or value."""
    found = one.config.get("TagSpecifications")
    tagged = set()
    for each in map(mapping, found if isinstance(found, list) else []):
        tags = each.get("Tags")
        if isinstance(tags, list) and tags and all({"Key", "Value"} <= set(mapping(tag)) for tag in tags):
            tagged.add(each.get("ResourceType") if isinstance(each.get("ResourceType"), str) else None)
    return [f"{kind}s" for kind in ("instance", "volume") if kind not in tagged]


def _metadata(subject: Subject, one: NodeType) -> Iterator[Finding]:
    where = (*one.where, "node_config", "MetadataOptions")
    options = mapping(one.config.get("MetadataOptions"))
    if options.get("HttpTokens") != "required":
        yield subject.found(
            "error",
            where,
            f"{one.name} does not require IMDSv2",
            "a request forged through any program on the node reads the role's keys",
            "write MetadataOptions: {HttpTokens: required, HttpEndpoint: enabled}",
        )
    if options.get("HttpEndpoint", "enabled") != "enabled":
        yield subject.found(
            "error",
            where,
            f"{one.name} has no metadata service",
            "it gets no keys of its role, and hears no notice of preemption",
            "write HttpEndpoint: enabled",
        )
    hops = options.get("HttpPutResponseHopLimit", 1)
    if isinstance(hops, int) and not 1 <= hops <= 2:
        yield subject.found(
            "warning",
            where,
            f"HttpPutResponseHopLimit is {hops}",
            "the role's keys travel further than the machine and a container on it",
            "write 1, or 2 with docker",
        )


def _end(subject: Subject, one: NodeType) -> Iterator[Finding]:
    where = (*one.where, "node_config")
    spot = mapping(mapping(one.config.get("InstanceMarketOptions")).get("SpotOptions"))
    if spot.get("SpotInstanceType") == "persistent":
        yield subject.found(
            "error",
            (*where, "InstanceMarketOptions"),
            f"{one.name} asks for spot persistently",
            "EC2 starts anew what the autoscaler ends, and it is paid for until somebody finds it",
            "write SpotInstanceType: one-time",
        )
    if spot.get("InstanceInterruptionBehavior") in ("stop", "hibernate"):
        yield subject.found(
            "warning",
            (*where, "InstanceMarketOptions"),
            f"machines of {one.name} that are taken away are kept",
            "their disks are paid for until somebody finds them",
            "write InstanceInterruptionBehavior: terminate",
        )
    if one.config.get("DisableApiTermination") is True:
        yield subject.found(
            "error",
            (*where, "DisableApiTermination"),
            f"{one.name} cannot be ended",
            "the autoscaler tries for ever, and it is paid for ever",
            "drop it",
        )
    market = mapping(one.config.get("InstanceMarketOptions")).get("MarketType")
    reservation = mapping(one.config.get("CapacityReservationSpecification"))
    if market == "capacity-block" and not reservation.get("CapacityReservationTarget"):
        yield subject.found(
            "error",
            (*where, "InstanceMarketOptions"),
            f"{one.name} is to come from a capacity block, and names none",
            "EC2 refuses the launch",
            "write CapacityReservationSpecification with its id",
        )
    if mapping(one.config.get("Placement")).get("Tenancy") in ("dedicated", "host"):
        yield subject.found(
            "warning",
            (*where, "Placement"),
            f"machines of {one.name} are nobody else's",
            "that costs extra by the hour, and there is no spot",
            "drop Tenancy",
        )


def _ids(subject: Subject, one: NodeType) -> Iterator[Finding]:
    where = (*one.where, "node_config")
    for key, form in IDS.items():
        found = one.config.get(key)
        for value in found if isinstance(found, list) else [found]:
            text = str(value)
            known = not value or re.search(r"REPLACE|resolve:ssm|(?i:^latest_dlami$)", text)
            if not known and not re.fullmatch(form, text):
                yield subject.found(
                    "error",
                    (*where, key),
                    f"{text} is no id of EC2",
                    "every launch is refused",
                    f"write {form.partition('[')[0]}... as `cluster/access/aws.sh` prints it",
                )
    if not one.config.get("SubnetIds") and not {"SubnetId", "NetworkInterfaces"} & set(one.config):
        yield subject.found(
            "error",
            (*where, "SubnetIds"),
            f"{one.name} names no subnet",
            "Ray takes those of the default network, where your security group is not",
            "write SubnetIds: [subnet-...], one for each zone",
        )
    if "SubnetId" in one.config and "NetworkInterfaces" not in one.config:
        yield subject.found(
            "error",
            (*where, "SubnetId"),
            "SubnetId, which Ray writes itself",
            "Ray looks for SubnetIds; without it, it takes any subnet of the default network",
            "write SubnetIds: [subnet-...]",
        )
