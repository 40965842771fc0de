"""A cluster's YAML, read: node types, limits and the line of every key.

Two forms are understood: Ray's cluster launcher (`ray up`, keys as in its schema `ray-schema.json`) and
KubeRay (a `RayCluster`, or a `RayJob` with one inside). Reading checks only what reading needs; the rest is
`starling cluster lint`'s.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cluster import pods
from cluster.pods import mapping
from cluster.yaml_lines import Document, Where, documents, nearest_line

LAUNCHES_DEFAULT = 10
"""Ray's."""
LAUNCHES = re.compile(r"AUTOSCALER_MAX_CONCURRENT_LAUNCHES=(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeType:
    """One kind of node."""

    name: str
    resources: Mapping[str, float]
    """What Ray schedules on it: CPU, GPU, memory in bytes, custom ones. Empty where Ray asks the cloud."""
    min_workers: int
    max_workers: int
    instance: str | None
    """The provider's name of the machine: an AWS instance type, GCP machine type or Azure VM size."""
    spot: bool
    """May be taken away at any time, for a lower price."""
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    """The autoscaler (v2) tries types of higher priority first."""
    idle_timeout_s: float | None = None
    """Seconds without work after which it is given back; None: the cluster's."""
    where: Where = ()
    """Where the file describes it."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """What the provider is told: `node_config`, or KubeRay's pod template."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """What a cluster's YAML says."""

    path: Path
    name: str
    provider: str
    """aws, gcp, azure, local (machines reached by SSH) or kuberay."""
    region: str | None
    head: NodeType
    workers: tuple[NodeType, ...]
    max_workers: int
    """Worker nodes of all types together."""
    upscaling_speed: float
    """Nodes that may be starting at a time, as a multiple of those that run."""
    idle_timeout_s: float
    launches: int
    """Nodes that may be asked for at a time (AUTOSCALER_MAX_CONCURRENT_LAUNCHES; Ray's default is 10)."""
    document: Mapping[str, Any]
    """The file as YAML reads it."""
    lines: Mapping[Where, int]
    """The line of each key and list item, counted from 1."""

    def line(self, where: Where) -> int:
        """Of a key, or where it is missing, of the nearest one around it."""
        return nearest_line(self.lines, where)

    def node_type(self, name: str) -> NodeType:
        """The head's or a worker's, by name.

        Raises:
            KeyError: there is none.
        """
        return next(one for one in (self.head, *self.workers) if one.name == name)


def load(path: str | os.PathLike[str]) -> Cluster:
    """Read a cluster's YAML.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not YAML, or neither of the two forms; the sentence names line and key.
    """
    path = Path(path)
    for document in documents(path):
        if document.kind is not None:
            return cluster(path, document)
    raise ValueError(
        f"{path} is no cluster file: it has neither `available_node_types` (Ray's launcher) nor a `kind` "
        "RayCluster or RayJob (KubeRay)"
    )


def cluster(path: Path, document: Document) -> Cluster:
    """What one document says, which must have a kind.

    Raises:
        ValueError: a value has the wrong form; the sentence names line and key.
    """
    content, lines = document.content, document.lines
    if document.kind == "RayCluster":
        return _kuberay(path, content, content.get("spec"), ("spec",), lines)
    if document.kind == "RayJob":
        inner = mapping(content.get("spec")).get("rayClusterSpec")
        return _kuberay(path, content, inner, ("spec", "rayClusterSpec"), lines)
    return _launcher(path, content, lines)


def _launcher(path: Path, document: Mapping[str, Any], lines: Mapping[Where, int]) -> Cluster:
    read = _Reader(path, lines)
    provider = read.mapping(document, "provider", ())
    kind = _kind(provider)
    if kind == "local":
        head, workers = _own_machines(read, document, provider)
    else:
        head, workers = _rented_machines(read, document)
    starts = document.get("head_start_ray_commands")
    commands = "\n".join(map(str, starts)) if isinstance(starts, list) else ""
    asked = LAUNCHES.search(commands)
    return Cluster(
        path=path,
        name=str(document.get("cluster_name", path.stem)),
        provider=kind,
        region=provider.get("region") or provider.get("location"),
        head=head,
        workers=workers,
        max_workers=int(read.number(document, "max_workers", (), sum(one.max_workers for one in workers))),
        upscaling_speed=read.number(document, "upscaling_speed", (), 1.0),
        idle_timeout_s=60 * read.number(document, "idle_timeout_minutes", (), 5.0),
        launches=int(asked[1]) if asked else LAUNCHES_DEFAULT,
        document=document,
        lines=lines,
    )


def _rented_machines(read: _Reader, document: Mapping[str, Any]) -> tuple[NodeType, tuple[NodeType, ...]]:
    types = read.mapping(document, "available_node_types", ())
    head = document.get("head_node_type")
    if not isinstance(head, str) or head not in types:
        raise ValueError(
            f"{read.path}:{read.line(('head_node_type',))}: head_node_type is {head!r}; it must name one of "
            f"available_node_types: {', '.join(map(str, types))}"
        )
    most = read.number(document, "max_workers", (), 0)
    found = {}
    for name in types:
        where: Where = ("available_node_types", name)
        one = read.mapping(types, name, where[:1])
        config = read.mapping(one, "node_config", where, {})
        resources = read.mapping(one, "resources", where, {})
        idle = read.number(one, "idle_timeout_s", where, math.nan)
        found[name] = NodeType(
            name=str(name),
            resources={key: read.number(resources, key, (*where, "resources"), 0) for key in resources},
            min_workers=int(read.number(one, "min_workers", where, 0)),
            max_workers=int(read.number(one, "max_workers", where, 0 if name == head else most)),
            instance=_instance(config),
            spot=_spot(config),
            labels=dict(read.mapping(one, "labels", where, {})),
            priority=int(read.number(one, "priority", where, 0)),
            idle_timeout_s=None if math.isnan(idle) else idle,
            where=where,
            config=config,
        )
    return found[head], tuple(one for name, one in found.items() if name != head)


def _own_machines(
    read: _Reader, document: Mapping[str, Any], provider: Mapping[str, Any]
) -> tuple[NodeType, tuple[NodeType, ...]]:
    """Ray learns what they have when they join; all are expected at once unless `min_workers` says less."""
    addresses = provider.get("worker_ips")
    count = len(addresses) if isinstance(addresses, list) else 0
    one = NodeType(
        name="head",
        resources={},
        min_workers=0,
        max_workers=0,
        instance=None,
        spot=False,
        where=("provider", "head_ip"),
    )
    least = int(read.number(document, "min_workers", (), count))
    most = int(read.number(document, "max_workers", (), count))
    place: Where = ("provider", "worker_ips")
    return one, (replace(one, name="worker", min_workers=least, max_workers=most, where=place),)


def _kind(provider: Mapping[str, Any]) -> str:
    """The cloud: an external provider names the one it extends as the last word of its module."""
    if provider.get("type") != "external":
        return str(provider.get("type"))
    module = str(provider.get("module", "")).lower()
    return next((name for name in ("aws", "gcp", "azure") if name in module), "external")


def _instance(config: Mapping[str, Any]) -> str | None:
    """AWS says InstanceType, GCP machineType, Azure azure_arm_parameters.vmSize."""
    azure = mapping(config.get("azure_arm_parameters"))
    found = config.get("InstanceType") or config.get("machineType") or azure.get("vmSize")
    return None if found is None else str(found)


def _spot(config: Mapping[str, Any]) -> bool:
    market = mapping(config.get("InstanceMarketOptions"))
    scheduling = config.get("scheduling")
    azure = mapping(config.get("azure_arm_parameters"))
    rules = [mapping(rule) for rule in (scheduling if isinstance(scheduling, list) else [scheduling])]
    return (
        market.get("MarketType") == "spot"
        or any(rule.get("provisioningModel") == "SPOT" or rule.get("preemptible") is True for rule in rules)
        or str(azure.get("priority", "")).lower() == "spot"
    )


def _kuberay(
    path: Path, document: Mapping[str, Any], spec: Any, at: Where, lines: Mapping[Where, int]
) -> Cluster:
    read = _Reader(path, lines)
    if not isinstance(spec, dict):
        raise ValueError(f"{path}:{read.line(at)}: {'.'.join(map(str, at))} must describe a Ray cluster")
    options = read.mapping(spec, "autoscalerOptions", at, {})
    head = read.mapping(spec, "headGroupSpec", at)
    workers = []
    groups = spec.get("workerGroupSpecs")
    for i, group in enumerate(map(mapping, groups if isinstance(groups, list) else [])):
        where: Where = (*at, "workerGroupSpecs", i)
        least = int(read.number(group, "minReplicas", where, 0))
        most = int(read.number(group, "maxReplicas", where, 2**31 - 1))
        idle = read.number(group, "idleTimeoutSeconds", where, math.nan)
        workers.append(
            NodeType(
                name=str(group.get("groupName", i)),
                resources=pods.resources(group),
                min_workers=least,
                max_workers=most,
                instance=pods.selected(group),
                spot=pods.is_spot(group),
                labels=dict(read.mapping(group, "labels", where, {})),
                priority=int(read.number(group, "priority", where, 0)),
                idle_timeout_s=None if math.isnan(idle) else idle,
                where=where,
                config=group,
            )
        )
    return Cluster(
        path=path,
        name=str(mapping(document.get("metadata")).get("name", path.stem)),
        provider="kuberay",
        region=None,
        head=NodeType(
            name="head",
            resources=pods.resources(head),
            min_workers=0,
            max_workers=0,
            instance=pods.selected(head),
            spot=False,
            where=(*at, "headGroupSpec"),
            config=head,
        ),
        workers=tuple(workers),
        max_workers=sum(one.max_workers for one in workers),
        upscaling_speed={"Conservative": 1.0}.get(str(options.get("upscalingMode")), 1000.0),
        idle_timeout_s=read.number(options, "idleTimeoutSeconds", (*at, "autoscalerOptions"), 60.0),
        launches=int(
            str(pods.environment(options).get("AUTOSCALER_MAX_CONCURRENT_LAUNCHES", LAUNCHES_DEFAULT))
        ),
        document=document,
        lines=lines,
    )


class _Reader:
    """Takes values out of mappings and names file, line and key of a bad one."""

    def __init__(self, path: Path, lines: Mapping[Where, int]) -> None:
        self.path, self.lines = path, lines

    def line(self, where: Where) -> int:
        return nearest_line(self.lines, where)

    def mapping(
        self, around: Mapping[str, Any], key: str, where: Where, default: Any = None
    ) -> dict[str, Any]:
        found = around.get(key)
        found = default if found is None else found
        if not isinstance(found, dict):
            raise ValueError(f"{self.path}:{self.line((*where, key))}: {key} must be a mapping, is {found!r}")
        return found

    def number(self, around: Mapping[str, Any], key: str, where: Where, default: float) -> float:
        found = around.get(key)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise ValueError(f"{self.path}:{self.line((*where, key))}: {key} must be a number, is {found!r}")
        return found
