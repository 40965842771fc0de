"""What each provider needs to know before it can start anything, and that its parts agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from cluster.cluster_file import Cluster
from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest
from cluster.pods import mapping

KINDS = ("launcher",)

NEEDED = {
    "aws": ("region",),
    "gcp": ("project_id", "region", "availability_zone"),
    "azure": ("location", "resource_group"),
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


def check(subject: Subject) -> Iterator[Finding]:
    """The provider itself, then how one logs in to its machines."""
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
    zone, region = str(provider.get("availability_zone", "")), str(provider.get("region", ""))
    for one in filter(None, re.split(r",\s*", zone)):
        if (
            region
            and cluster is not None
            and cluster.provider in ("aws", "gcp")
            and not one.startswith(region)
        ):
            yield subject.found(
                "error",
                ("provider", "availability_zone"),
                f"zone {one} is not in region {region}",
                "every launch is refused",
                f"write a zone of {region}",
            )
    yield from _log_in(subject, cluster)


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


def _log_in(subject: Subject, cluster: Cluster | None) -> Iterator[Finding]:
    auth = mapping(subject.content.get("auth"))
    if cluster is None or cluster.provider not in ("aws", "gcp", "azure", "local"):
        return
    if not auth.get("ssh_user"):
        yield subject.found(
            "error",
            ("auth", "ssh_user"),
            "auth names no ssh_user",
            "`ray up` cannot log in",
            "write ssh_user",
        )
    if cluster.provider == "azure" and ("ssh_private_key" in auth) != ("ssh_public_key" in auth):
        yield subject.found(
            "error",
            ("auth",),
            "one half of the SSH key is named",
            "`ray up` refuses it",
            "name both, or neither",
        )
    if "ssh_private_key" not in auth:
        return
    for one in (cluster.head, *cluster.workers):
        if cluster.provider == "aws" and not {"KeyName", "UserData"} & set(one.config):
            yield subject.found(
                "error",
                (*one.where, "node_config", "KeyName"),
                f"{one.name} has no KeyName",
                "`ray up` refuses a key of yours that it does not find there",
                "write the name under which EC2 has the key",
            )
        if cluster.provider == "gcp" and "ssh-keys" not in str(one.config.get("metadata")):
            yield subject.found(
                "warning",
                (*one.where, "node_config", "metadata"),
                f"{one.name} is not given the key's public half",
                "nobody can log in, unless the project has it for all its machines",
                "write metadata: {items: [{key: ssh-keys, value: USER:PUBLIC KEY}]}",
            )
