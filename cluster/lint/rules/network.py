"""Who can reach the cluster: security groups, the dashboard, and the token that Ray asks for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cluster.cluster_file import Cluster, NodeType
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("launcher",)

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN = "RAY_AUTH_MODE=token"


def check(subject: Subject) -> Iterator[Finding]:
    """Open rules wherever they are written; then what Ray opens unless it is told otherwise."""
    yield from _open(subject, (), subject.content)
    cluster = subject.cluster
    if cluster is not None:
        yield from {"aws": _aws, "gcp": _gcp, "azure": _azure}.get(cluster.provider, _nothing)(
            subject, cluster
        )
    options = str(mapping(subject.content.get("docker")).get("run_options", ""))
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        commands = subject.content.get(key)
        for i, one in enumerate(commands if isinstance(commands, list) else []):
            if not re.search(r"\bray start\b", str(one)):
                continue
            where: Where = (key, i)
            found = re.search(r"--dashboard-host[= ]['\"]?(\S+)", str(one))
            if found and found[1].strip("'\"") not in LOOPBACK:
                yield subject.found(
                    "error",
                    where,
                    found[0],
                    "who reaches port 8265 runs what he likes on the cluster, and reads its logs",
                    "write --dashboard-host=127.0.0.1, and reach it through SSH: `ray dashboard FILE`",
                )
            if TOKEN not in str(one).partition("ray start")[0] and TOKEN not in options:
                yield subject.found(
                    "error",
                    where,
                    f"`ray start` without {TOKEN}",
                    "whoever reaches one of Ray's ports runs code there (CVE-2023-48022)",
                    f"put {TOKEN} before `ray start`, on its line: in other commands it has no effect",
                )


def _open(subject: Subject, where: Where, value: Any) -> Iterator[Finding]:
    """Rules that let the world in: AWS and Azure name an address, GCP has a list of them."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("CidrIp", "CidrIpv6", "sourceAddressPrefix") and is_world(inner):
                yield _world(subject, (*where, key), f"{key} is {inner}")
            yield from _open(subject, (*where, key), inner)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            if where and where[-1] in ("sourceRanges", "sourceAddressPrefixes") and is_world(inner):
                yield _world(subject, (*where, i), f"sourceRanges has {inner}")
            yield from _open(subject, (*where, i), inner)


def is_world(address: Any) -> bool:
    """Whether it stands for everybody, or for so many that it comes to the same."""
    if address in ("*", "Internet", "Any"):
        return True
    try:
        network = ipaddress.ip_network(str(address), strict=False)
    except ValueError:
        return False
    return network.prefixlen < (8 if network.version == 4 else 32) or (
        network.version == 4 and network.prefixlen < 16 and not network.is_private
    )


def _world(subject: Subject, where: Where, what: str) -> Finding:
    return subject.found(
        "error", where, what, "the whole world may connect", "write your own address with /32"
    )


def _aws(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    yield from _apart(subject, cluster)
    for one in (cluster.head, *cluster.workers):
        if not one.config.get("SecurityGroupIds") and not _interface(one, "NetworkInterfaces", "Groups"):
            yield subject.found(
                "error",
                (*one.where, "node_config", "SecurityGroupIds"),
                f"{one.name} names no security group of yours",
                "Ray makes one that lets the world in at port 22, whatever provider.security_group says",
                "write SecurityGroupIds; cluster/access/aws.sh makes the group",
            )


def _apart(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    """A group's rules hold among its members; machines without a common one do not reach each other."""
    head = _groups(cluster.head)
    for one in cluster.workers:
        if head and _groups(one) and not head & _groups(one):
            yield subject.found(
                "error",
                (*one.where, "node_config", "SecurityGroupIds"),
                f"{one.name} has no security group in common with the head",
                "neither reaches the other: the node never joins, and is paid for",
                "write the head's group there too",
            )


def _groups(one: NodeType) -> set[str]:
    found = one.config.get("SecurityGroupIds")
    cards = one.config.get("NetworkInterfaces")
    inside = [mapping(card).get("Groups") for card in cards] if isinstance(cards, list) else []
    return {str(group) for each in (found, *inside) if isinstance(each, list) for group in each}


def _gcp(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    yield from _subnetworks(subject, cluster)
    yield from _reachable(subject, cluster)
    for one in (cluster.head, *cluster.workers):
        if re.search(r"'(?:sub)?network': '(?:\S*/)?default'", str(one.config.get("networkInterfaces"))):
            yield subject.found(
                "warning",
                (*one.where, "node_config", "networkInterfaces"),
                f"{one.name} is in the default network",
                "its rules let the whole world in at port 22, unless somebody took them away",
                "take a network of your own: cluster/access/gcp.sh makes it",
            )
    for one in (cluster.head, *cluster.workers):
        if not (
            _interface(one, "networkInterfaces", "subnetwork")
            or _interface(one, "networkInterfaces", "network")
        ):
            yield subject.found(
                "error",
                (*one.where, "node_config", "networkInterfaces"),
                f"{one.name} names no network of yours",
                "Ray takes a subnet of the project; the default network lets the whole world in at port 22",
                "write networkInterfaces; cluster/access/gcp.sh makes the network and its rules",
            )


def _subnetworks(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    for one in (cluster.head, *cluster.workers):
        found = one.config.get("networkInterfaces")
        for i, each in enumerate(found if isinstance(found, list) else []):
            named = mapping(each).get("subnetwork")
            if named and not re.search(
                r"(^|/)(projects/[^/]+/)?regions/[^/]+/subnetworks/[^/]+$", str(named)
            ):
                yield subject.found(
                    "error",
                    (*one.where, "node_config", "networkInterfaces", i, "subnetwork"),
                    f"{named} is no subnetwork's path",
                    "every launch is refused",
                    "write projects/PROJECT/regions/REGION/subnetworks/NAME",
                )


def _reachable(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    """Compute Engine gives a public address to those alone that ask for one."""
    if mapping(subject.content.get("provider")).get("use_internal_ips") is True:
        return
    for one in (cluster.head, *cluster.workers):
        found = one.config.get("networkInterfaces")
        if (
            isinstance(found, list)
            and found
            and not any(mapping(each).get("accessConfigs") for each in found)
        ):
            yield subject.found(
                "error",
                (*one.where, "node_config", "networkInterfaces"),
                f"{one.name} gets no public address",
                "`ray up` waits for one for ever, and pip reaches nothing",
                "write accessConfigs: [{type: ONE_TO_ONE_NAT}], or use_internal_ips: true with a NAT",
            )


def _azure(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    for key in ("nsg", "subnet"):
        if not mapping(subject.content.get("provider")).get(key):
            yield subject.found(
                "error",
                ("provider", key),
                f"provider names no {key} of yours",
                "Ray makes a network security group that lets the whole world in at port 22",
                f"write {key}; cluster/access/azure.sh makes it",
            )


def _nothing(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    return iter(())


def _interface(one: NodeType, key: str, inner: str) -> Any:
    found = one.config.get(key)
    return found and isinstance(found, list) and all(mapping(each).get(inner) for each in found)
