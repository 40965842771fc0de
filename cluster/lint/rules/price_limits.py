"""The most that is to be paid for a spot machine: a number, and not below what one costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cluster.cluster_file import NodeType
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping
from cluster.prices import Prices
from cluster.yaml_lines import Where

KINDS = ("launcher",)

TOO_LITTLE = 0.5
"""Of the price in prices.csv, which moves."""


def check(subject: Subject) -> Iterator[Finding]:
    """Of AWS's and Azure's spot types; GCP has no such limit."""
    cluster = subject.cluster
    if cluster is None or cluster.provider not in ("aws", "azure"):
        return
    for one in (cluster.head, *cluster.workers):
        where, limit = _limit(one)
        if limit is None or limit == -1:
            continue
        try:
            dollars = float(limit)
        except (TypeError, ValueError):
            yield subject.found(
                "error",
                where,
                f"the limit is {limit!r}",
                "every launch is refused",
                "write dollars an hour, or drop it",
            )
            continue
        price = _price(cluster.provider, cluster.region, one.instance or "")
        if dollars <= 0 or (price is not None and dollars < TOO_LITTLE * price):
            known = f"; {one.instance} costs about ${price:g}" if price is not None else ""
            yield subject.found(
                "error",
                where,
                f"at most ${dollars:g} an hour for {one.name}{known}",
                "no such machine is ever had, and the twin is paid for instead",
                "drop the limit: the price without spot is one already",
            )


def _limit(one: NodeType) -> tuple[Where, Any]:
    config: Where = (*one.where, "node_config")
    aws = mapping(mapping(one.config.get("InstanceMarketOptions")).get("SpotOptions"))
    azure = mapping(mapping(one.config.get("azure_arm_parameters")).get("billingProfile"))
    if "maxPrice" in azure:
        return (*config, "azure_arm_parameters", "billingProfile"), azure["maxPrice"]
    return (*config, "InstanceMarketOptions", "SpotOptions", "MaxPrice"), aws.get("MaxPrice")


def _price(cloud: str, region: str | None, instance: str) -> float | None:
    """Of a spot machine; None if nobody wrote it down."""
    try:
        return Prices.load().find(cloud, region, instance).spot
    except ValueError:
        return None
