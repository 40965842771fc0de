"""What a Kubernetes pod template asks for: the part of it that says how large a Ray node is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

GPU = "nvidia.com/gpu"
"""Kubernetes' name of the resource."""


def pod(group: Any) -> Mapping[str, Any]:
    """The pod that a head or worker group describes; empty where it describes none."""
    return mapping(mapping(mapping(group).get("template")).get("spec"))


def containers(group: Any) -> list[Mapping[str, Any]]:
    """Those of its pod; the first one runs Ray."""
    found = pod(group).get("containers")
    return [mapping(one) for one in found] if isinstance(found, list) else []


def selected(group: Any) -> str | None:
    """The machine that the pod asks for, where its node selector names one."""
    found = mapping(pod(group).get("nodeSelector")).get("node.kubernetes.io/instance-type")
    return None if found is None else str(found)


def is_spot(group: Any) -> bool:
    """Whether its node selector asks for machines that may be taken away (all clouds' labels say "spot")."""
    return "spot" in str(pod(group).get("nodeSelector", "")).lower()


def resources(group: Any) -> dict[str, float]:
    """CPU, GPU and memory of its first container's limits; `rayStartParams` go before them.

    Raises:
        ValueError: a limit is no quantity.
    """
    first = next(iter(containers(group)), {})
    limits = mapping(mapping(first.get("resources")).get("limits"))
    found = {}
    if "cpu" in limits:
        found["CPU"] = quantity(limits["cpu"])
    if "memory" in limits:
        found["memory"] = quantity(limits["memory"])
    if GPU in limits:
        found["GPU"] = quantity(limits[GPU])
    started = mapping(mapping(group).get("rayStartParams"))
    for key, kind in (("num-cpus", "CPU"), ("num-gpus", "GPU")):
        if key in started:
            found[kind] = float(str(started[key]))
    return found


def environment(around: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a container or KubeRay's autoscalerOptions set to a value written there."""
    found = around.get("env")
    variables = [mapping(one) for one in found] if isinstance(found, list) else []
    return {str(one.get("name")): one["value"] for one in variables if "value" in one}


def mapping(value: Any) -> Mapping[str, Any]:
    """The value itself, or an empty one where a file has something else there."""
    return value if isinstance(value, Mapping) else {}


UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGT", 1)
}


def quantity(value: str | float) -> float:
    """A Kubernetes quantity: `500m` is 0.5, `4Gi` is 4294967296.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(value))
    if found is None or found[2] not in UNITS:
        raise ValueError(f"{value!r} is no Kubernetes quantity; write for example 500m, 4 or 16Gi")
    return float(found[1]) * UNITS[found[2]]
