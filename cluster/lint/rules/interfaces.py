"""Network cards of AWS's machines with several, and EFA on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cluster import catalogue
from cluster.cluster_file import Cluster, NodeType
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("launcher",)

CARDS = {
    "p4d.24xlarge": 4,
    "p4de.24xlarge": 4,
    "p5.48xlarge": 32,
    "p5e.48xlarge": 32,
    "p5en.48xlarge": 16,
    "p6-b200.48xlarge": 8,
    "g6e.48xlarge": 4,
    "g6e.24xlarge": 2,
}
"""Network cards of the machines that have several."""
EFA = ("efa", "efa-only")
INSIDE = {
    "SecurityGroupIds": "Groups",
    "SubnetIds": "SubnetId",
    "SubnetId": "SubnetId",
    "SecurityGroups": "Groups",
}
"""Key of the whole machine: where it goes when there are NetworkInterfaces."""


def check(subject: Subject) -> Iterator[Finding]:
    """Of every node type that names its NetworkInterfaces."""
    cluster = subject.cluster
    if cluster is None or cluster.provider != "aws":
        return
    for one in (cluster.head, *cluster.workers):
        found = one.config.get("NetworkInterfaces")
        if isinstance(found, list) and found:
            where = (*one.where, "node_config", "NetworkInterfaces")
            yield from _cards(subject, where, one, [mapping(each) for each in found])
            for key, instead in INSIDE.items():
                if one.config.get(key):
                    yield subject.found(
                        "error",
                        (*one.where, "node_config", key),
                        f"{key} beside NetworkInterfaces",
                        "EC2 refuses both together",
                        f"write {instead} in each of NetworkInterfaces",
                    )
            yield from _public(subject, cluster, where, one, found)


def _cards(
    subject: Subject, where: Where, one: NodeType, cards: list[Mapping[str, Any]]
) -> Iterator[Finding]:
    machine = catalogue.find("aws", one.instance or "")
    most = CARDS.get(one.instance or "", 1)
    seen: set[tuple[str, str]] = set()
    for i, card in enumerate(cards):
        index, device = card.get("NetworkCardIndex", 0), card.get("DeviceIndex")
        if (str(index), str(device)) in seen:
            yield _refused(
                subject, (*where, i), f"network card {index} has device {device} twice", "number them"
            )
        seen.add((str(index), str(device)))
        if isinstance(index, int) and index >= most and machine is not None:
            yield _refused(
                subject,
                (*where, i),
                f"network card {index} of {one.instance}, which has {most}",
                f"count from 0 to {most - 1}",
            )
        if index and device == 0:
            yield _refused(
                subject,
                (*where, i),
                f"network card {index} is device 0, as the first is",
                "write DeviceIndex: 1",
            )
        if index == 0 and card.get("InterfaceType") == "efa-only":
            yield _refused(
                subject,
                (*where, i),
                "the first card is efa-only, without an address",
                "write InterfaceType: efa",
            )
        if card.get("InterfaceType") in EFA and machine is not None and not machine.efa:
            yield _refused(subject, (*where, i), f"{one.instance} has no EFA", "drop InterfaceType")
        for key in ("Groups", "SubnetId"):
            if not card.get(key):
                yield subject.found(
                    "error",
                    (*where, i),
                    f"a network card of {one.name} has no {key}",
                    "EC2 takes the default one, which is not yours to trust",
                    f"write {key}",
                )
    if not any(card.get("DeviceIndex") == 0 for card in cards):
        yield _refused(subject, where, "no network card is device 0", "give the first DeviceIndex: 0")
    efa = sum(card.get("InterfaceType") in EFA for card in cards)
    if efa and efa < most:
        yield subject.found(
            "warning",
            where,
            f"{efa} of {most} network cards of {one.instance} carry EFA",
            "ranks on several nodes wait for the rest of the bandwidth, which is paid for",
            "name them all",
        )


def _public(
    subject: Subject, cluster: Cluster, where: Where, one: NodeType, found: list[Any]
) -> Iterator[Finding]:
    if len(found) > 1:
        for i, card in enumerate(found):
            if mapping(card).get("AssociatePublicIpAddress") is True:
                yield _refused(
                    subject,
                    (*where, i),
                    "a public address on a machine with several network cards",
                    "drop it; the machines reach the internet by a NAT gateway",
                )
        if mapping(subject.content.get("provider")).get("use_internal_ips") is not True:
            yield subject.found(
                "error",
                ("provider", "use_internal_ips"),
                f"{one.name} has several network cards, and so no public address",
                "`ray up` waits for one for ever",
                "write use_internal_ips: true",
            )


def _refused(subject: Subject, where: Where, what: str, fix: str) -> Finding:
    return subject.found("error", where, what, "EC2 refuses the launch, for ever", fix)
