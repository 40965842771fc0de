"""Regions and zones: whether they exist, agree wherever the file names one, and have the machines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster import catalogue
from cluster.cluster_file import Cluster
from cluster.lint.commands import texts
from cluster.lint.finding import Finding, Subject
from cluster.lint.regions import regions
from cluster.nearest import nearest
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("launcher",)

NAMED = {
    "aws": r"(?:--region[= ]|AWS_(?:DEFAULT_)?REGION=|arn:aws:(?:ec2|ssm|secretsmanager|kms):)([a-z0-9-]+)",
    "gcp": r"(?:--region[= ]|\bregions/)([a-z0-9-]+)|(?:--zone[= ]|\bzones/)([a-z0-9-]+)",
    "azure": r"(?:--location[= ])([a-z0-9]+)",
}
"""Where a text names a region, or GCP's zone."""


def check(subject: Subject) -> Iterator[Finding]:
    """The provider's own, then those in other places."""
    cluster = subject.cluster
    if cluster is None or cluster.provider not in NAMED or not isinstance(cluster.region, str):
        return
    key = "location" if cluster.provider == "azure" else "region"
    known = regions(cluster.provider)
    where: Where = ("provider", key)
    if cluster.region not in known:
        squeezed = re.sub(r"[^a-z0-9]", "", cluster.region.lower())
        meant = next((name for name in known if name.replace("-", "") == squeezed), None)
        yield subject.found(
            "error",
            where,
            f"{cluster.provider} has no {key} {cluster.region!r}",
            "`ray up` fails; a zone is written in availability_zone",
            f"correct it; did you mean {meant!r}?"
            if meant
            else f"correct it{nearest(cluster.region, known, shown=0)}",
        )
        return
    yield from _zones(subject, cluster)
    if cluster.provider == "aws":
        yield from _offered(subject, cluster)
    for at, text in texts(subject.content):
        if at[-1] == "AvailabilityZone" and cluster.provider == "aws" and not text.startswith(cluster.region):
            yield subject.found(
                "error",
                at,
                f"zone {text} is not in {cluster.region}",
                "every launch is refused",
                f"write a zone of {cluster.region}, or drop it",
            )
        for found in re.finditer(NAMED[cluster.provider], text):
            named = found[1] or re.sub(r"-[a-z]$", "", found[2])
            if named in known and named != cluster.region:
                yield subject.found(
                    "error",
                    at,
                    f"this names {found[1] or found[2]}; the cluster is in {cluster.region}",
                    "what is kept in one region is not found in another",
                    f"write {cluster.region} in both, or the other in both",
                )


def _zones(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    assert cluster.region is not None
    where: Where = ("provider", "availability_zone")
    zones = mapping(subject.content.get("provider")).get("availability_zone")
    letters = regions(cluster.provider)[cluster.region].zones
    if zones is None or cluster.provider == "azure":
        return
    for zone in filter(None, re.split(r"[,\s]+", str(zones))):
        dash = "-" if cluster.provider == "gcp" else ""
        right = [f"{cluster.region}{dash}{letter}" for letter in sorted(letters)]
        if zone not in right and right:
            yield subject.found(
                "error",
                where,
                f"{cluster.region} has no zone {zone}",
                "every launch is refused",
                f"write one of {', '.join(right)}",
            )


def _offered(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    assert cluster.region is not None
    families = regions("aws")[cluster.region].gpu_families
    for one in cluster.workers:
        machine = catalogue.find("aws", one.instance or "")
        family = (one.instance or "").partition(".")[0]
        if families and machine is not None and machine.gpus and family not in families:
            yield subject.found(
                "warning",
                (*one.where, "node_config", "InstanceType"),
                f"{cluster.region} had no {family} when this catalogue was made (2026)",
                "every launch is refused where there is none",
                f"take another region, or one of {', '.join(sorted(families))}",
            )
