"""The model of Kubernetes' pods and network policies and of KubeRay's objects: `kubernetes.csv`, a key a row.

Kubernetes' rows (Apache-2.0) come from the models of its Python client, for version 1.37; KubeRay's from the
field reference that its project makes from the same types as its CRD, for version 1.7, which 1.6 shares but
for a few keys.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cluster import pods
from cluster.nearest import nearest
from cluster.yaml_lines import Where

FILE = Path(__file__).with_name("kubernetes.csv")
PLAIN: dict[str, tuple[type | tuple[type, ...], str]] = {
    "text": (str, "text: put it in quotes"),
    "integer": (int, "a whole number, without quotes"),
    "number": ((int, float), "a number, without quotes"),
    "boolean": (bool, "true or false, without quotes"),
}
RANGES = {
    "containerPort": (1, 65_535),
    "hostPort": (0, 65_535),
    "port": (1, 65_535),
    "weight": (1, 100),
    "backoffLimit": (0, 2**31 - 1),
    "replicas": (0, 2**31 - 1),
    "priority": (-(2**31), 10**9),
    "defaultMode": (0, 0o777),
    "terminationGracePeriodSeconds": (0, 2**31 - 1),
}
"""Numbers that Kubernetes accepts."""
NEW = {
    ("RayClusterSpec", "historyServerOptions"),
    ("RayClusterSpec", "networkPolicy"),
    ("RayClusterSpec", "tlsOptions"),
    ("HeadGroupSpec", "ingressOptions"),
    ("AutoscalerOptions", "command"),
    ("AutoscalerOptions", "args"),
    ("GcsFaultToleranceOptions", "backend"),
    ("GcsFaultToleranceOptions", "storage"),
}
"""Not yet in KubeRay 1.6."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """What an object may hold under one key."""

    value: str
    """A plain type, an object's name, list[...], map[...], `quantity`, `any`, or words between |."""
    required: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Deviation:
    """A place where a file departs from the model."""

    where: Where
    what: str
    fix: str
    dropped: bool
    """Kubernetes drops it without a word; otherwise it refuses the file."""


@cache
def objects() -> dict[str, dict[str, Key]]:
    """Every object's keys."""
    found: dict[str, dict[str, Key]] = defaultdict(dict)
    with FILE.open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["object"]][row["key"]] = Key(value=row["value"], required=row["required"] == "yes")
    return dict(found)


def deviations(where: Where, value: Any, kind: str) -> Iterator[Deviation]:
    """Unknown and missing keys, values of another type, words that are not allowed; however deep."""
    if value is None or kind == "any":
        return
    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        yield from _list(where, value, inner[1])
    elif inner := re.fullmatch(r"map\[(.*)\]", kind):
        if not isinstance(value, Mapping):
            yield _wrong(where, value, "a mapping")
        else:
            for key, one in value.items():
                yield from deviations((*where, key), one, inner[1])
    elif kind == "quantity":
        yield from _quantity(where, value)
    elif kind in PLAIN:
        right, words = PLAIN[kind]
        if not isinstance(value, right) or (kind != "boolean" and isinstance(value, bool)):
            yield _wrong(where, value, words)
    elif "|" in kind:
        if value not in kind.split("|"):
            yield _wrong(where, value, f"one of {', '.join(filter(None, kind.split('|')))}")
    elif kind in objects():
        yield from _object(where, value, kind)


def _list(where: Where, value: Any, kind: str) -> Iterator[Deviation]:
    if not isinstance(value, list):
        yield _wrong(where, value, "a list")
        return
    for i, one in enumerate(value):
        yield from deviations((*where, i), one, kind)


def _object(where: Where, value: Any, kind: str) -> Iterator[Deviation]:
    if not isinstance(value, Mapping):
        yield _wrong(where, value, "a mapping")
        return
    known = objects()[kind]
    for key, one in value.items():
        if key not in known:
            yield Deviation(
                where=(*where, key),
                what=f"Kubernetes knows no key {key!r} in {where[-1] if where else kind}",
                fix=f"correct, move or remove it{nearest(key, known)}",
                dropped=True,
            )
        elif (kind, key) in NEW:
            yield Deviation(
                where=(*where, key),
                what=f"{key} came with KubeRay 1.7",
                fix="make sure that the operator is as new",
                dropped=True,
            )
        else:
            yield from deviations((*where, key), one, known[key].value)
            low, high = RANGES.get(key, (None, None))
            if isinstance(one, int) and low is not None and high is not None and not low <= one <= high:
                yield _wrong((*where, key), one, f"a number from {low} to {high}")
    for key, what in known.items():
        if what.required and value.get(key) is None:
            yield Deviation(
                where=(*where, key),
                what=f"{where[-1] if where else kind} has no {key}",
                fix=f"write {key}",
                dropped=False,
            )


def _quantity(where: Where, value: Any) -> Iterator[Deviation]:
    try:
        pods.quantity(value)
    except ValueError as error:
        yield Deviation(
            where=where,
            what=str(error).partition(";")[0],
            fix="write for example 500m, 4 or 16Gi",
            dropped=False,
        )


def _wrong(where: Where, value: Any, words: str) -> Deviation:
    return Deviation(where=where, what=f"{where[-1]} is {value!r}", fix=f"write {words}", dropped=False)
