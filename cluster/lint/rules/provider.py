"""What each provider needs to know before it can start anything, and that its parts agree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.schema import schema
from cluster.nearest import nearest
from cluster.pods import mapping

KINDS = ("launcher",)

NEEDED = {
    "aws": ("region",),
    "gcp": ("project_id", "region", "availability_zone"),
    "azure": ("location", "resource_group", "subscription_id"),
    "local": ("head_ip", "worker_ips"),
    "external": ("module",),
}
TYPES = (
    "aliyun",
    "aws",
    "azure",
    "external",
    "fake_multinode",
    "gcp",
    "local",
    "readonly",
    "spark",
    "vsphere",
)
ANY = (
    "type",
    "module",
    "cache_stopped_nodes",
    "use_internal_ips",
    "disable_node_updaters",
    "disable_launch_config_check",
    "foreground_node_launch",
    "worker_liveness_check",
    "worker_rpc_drain",
)
KEYS = {
    "aws": ("region", "availability_zone", "aws_credentials", "key_pair", "security_group", "cloudwatch"),
    "gcp": ("project_id", "region", "availability_zone", "gcp_credentials", "_has_tpus"),
    "azure": (
        "location",
        "resource_group",
        "subscription_id",
        "unique_id",
        "msi",
        "msi_name",
        "msi_resource_group",
        "nsg",
        "subnet",
        "subnet_mask",
        "vnet",
        "tags",
        "availability_zone",
        "use_external_head_ip",
    ),
    "local": ("head_ip", "worker_ips", "external_head_ip", "coordinator_address"),
}
"""Keys that Ray's providers read."""

SWITCHES = {
    "disable_node_updaters": "nothing is copied to nodes, installed or started there",
    "foreground_node_launch": "nodes are asked for one after the other, while everything else waits",
    "disable_launch_config_check": "nodes of an older file are kept, though it says otherwise now",
}
"""Keys of the provider that must not be true: what follows."""


def check(subject: Subject) -> Iterator[Finding]:
    """The provider itself, then its keys."""
    provider = mapping(subject.content.get("provider"))
    kind = str(provider.get("type"))
    if kind not in TYPES:
        yield subject.found(
            "error",
            ("provider", "type"),
            f"provider is of type {kind!r}",
            "`ray up` knows no such provider",
            f"correct it{nearest(kind, TYPES)}",
        )
    if kind == "external" and "module" in provider:
        yield from _module(subject, str(provider["module"]))
    cluster = subject.cluster
    for key in {*NEEDED.get(kind, ()), *(NEEDED.get(cluster.provider, ()) if cluster else ())}:
        if not provider.get(key):
            yield subject.found(
                "error", ("provider", key), f"provider has no {key}", "`ray up` stops there", f"write {key}"
            )
    for key, why in SWITCHES.items():
        if provider.get(key) is True:
            yield subject.found("error", ("provider", key), f"{key} is true", why, f"drop {key}")
    if subject.content.get("file_mounts_sync_continuously") is True:
        yield subject.found(
            "warning",
            ("file_mounts_sync_continuously",),
            "mounts are copied again and again while the cluster runs",
            "with hundreds of nodes the head does nothing else, and code changes under running trials",
            "write false",
        )
    if cluster is not None and cluster.provider in KEYS:
        yield from _keys(subject, cluster.provider, provider)


def _keys(subject: Subject, cloud: str, provider: Mapping[str, Any]) -> Iterator[Finding]:
    known = (*ANY, *KEYS[cloud])
    for key in provider:
        if key not in known:
            top = key in schema()["properties"]
            yield subject.found(
                "error",
                ("provider", key),
                f"Ray's {cloud} provider reads no key {key!r}",
                "it is ignored without a word",
                "move it to the left: it is a key of the file"
                if top
                else f"correct or remove it{nearest(key, known)}",
            )


def _module(subject: Subject, name: str) -> Iterator[Finding]:
    """Whether the class is there, by its text: to import it would need the cloud's libraries."""
    module, _, cls = name.rpartition(".")
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        spec = None
    source = Path(spec.origin).read_text() if spec and spec.origin else ""
    classes = re.findall(r"^class (\w+)", source, re.MULTILINE)
    if cls not in classes:
        yield subject.found(
            "error",
            ("provider", "module"),
            f"there is no {name}",
            "neither `ray up` here nor the autoscaler on the head can load it",
            f"correct it{nearest(cls, classes)}",
        )
