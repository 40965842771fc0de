"""Who can reach the cluster: security groups, the dashboard, and the token that Ray asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cluster.cluster_file import Cluster, NodeType
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("launcher",)

WORLD = ("0.0.0.0/0", "::/0", "*", "Internet")
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
            if found := re.search(r"--dashboard-host[= ](?:0\.0\.0\.0|::)", str(one)):
                yield subject.found(
                    "error",
                    where,
                    found[0],
                    "who reaches port 8265 runs what he likes on the cluster, and reads its logs",
                    "write --dashboard-host=127.0.0.1, and reach it through SSH: `ray dashboard FILE`",
                )
            if TOKEN not in str(one) and TOKEN not in options:
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
            if key in ("CidrIp", "CidrIpv6", "sourceAddressPrefix") and inner in WORLD:
                yield _world(subject, (*where, key), f"{key} is {inner}")
            yield from _open(subject, (*where, key), inner)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            if where and where[-1] == "sourceRanges" and inner in WORLD:
                yield _world(subject, (*where, i), f"sourceRanges has {inner}")
            yield from _open(subject, (*where, i), inner)


def _world(subject: Subject, where: Where, what: str) -> Finding:
    return subject.found(
        "error", where, what, "the whole world may connect", "write your own address with /32"
    )


def _aws(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    for one in (cluster.head, *cluster.workers):
        if not one.config.get("SecurityGroupIds") and not _interface(one, "NetworkInterfaces", "Groups"):
            yield subject.found(
                "error",
                (*one.where, "node_config", "SecurityGroupIds"),
                f"{one.name} names no security group of yours",
                "Ray makes one that lets the world in at port 22, whatever provider.security_group says",
                "write SecurityGroupIds; cluster/access/aws.sh makes the group",
            )


def _gcp(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
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
