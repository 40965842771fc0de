"""EC2's own model of RunInstances, as botocore brings it, against every `node_config` of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest
from cluster.yaml_lines import Where

KINDS = ("launcher",)

RAYS = {"SubnetIds": list}
"""Keys that Ray adds to EC2's: it starts each node in one of these subnets."""
FILLED = {"MinCount", "MaxCount"}
"""Keys that EC2 requires and Ray fills in."""
JUDGED_BY_RESOURCES = ("InstanceType",)
"""Enumerations that lag behind; the catalogue of machines knows better."""
TYPES: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "structure": dict,
    "map": dict,
    "list": list,
}
WORDS = {str: "text", bool: "true or false", int: "a whole number", dict: "a mapping", list: "a list"}


def check(subject: Subject) -> Iterator[Finding]:
    """Misspelt keys, values of another type, and words that EC2 does not know, however deep."""
    if subject.cluster is None or subject.cluster.provider != "aws":
        return
    if find_spec("botocore") is None:
        yield subject.found(
            "skipped",
            ("available_node_types",),
            "node_config was not compared with EC2's model",
            "the package botocore, which brings the model, is not installed",
            "pip install 'starling-sweeps[aws]'",
        )
        return
    for one in (subject.cluster.head, *subject.cluster.workers):
        yield from _walk(subject, (*one.where, "node_config"), one.config, _run_instances())


@cache
def _run_instances() -> Any:
    from botocore.session import Session

    return Session().get_service_model("ec2").operation_model("RunInstances").input_shape


def _walk(subject: Subject, where: Where, value: Any, shape: Any) -> Iterator[Finding]:
    kind = TYPES.get(shape.type_name, object)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        yield subject.found(
            "error",
            where,
            f"{where[-1]} is {value!r}",
            "EC2 refuses the launch, for ever",
            f"write {WORDS.get(kind, shape.type_name)}",
        )
    elif shape.type_name == "structure":
        top = shape.name == "RunInstancesRequest"
        known = [*shape.members, *(RAYS if top else ())]
        for key, inner in value.items():
            if top and key in FILLED:
                yield subject.found(
                    "error",
                    (*where, key),
                    f"{key} in a node_config",
                    "Ray writes it itself, and its call with both is refused",
                    "remove it; the node type's min_workers and max_workers say how many",
                )
            elif key in shape.members:
                yield from _walk(subject, (*where, key), inner, shape.members[key])
            elif not (top and isinstance(inner, RAYS.get(key, ()))):
                yield subject.found(
                    "error",
                    (*where, key),
                    f"EC2 knows no key {key!r} in {where[-1]}",
                    "the launch fails, for ever" if top else "EC2's library refuses the launch, for ever",
                    f"correct or remove it{nearest(key, known)}",
                )
        for key in set(shape.required_members) - set(value) - (FILLED if top else set()):
            yield subject.found(
                "error", where, f"{where[-1]} lacks {key}", "EC2 refuses the launch", f"write {key}"
            )
    elif shape.type_name == "list":
        for i, inner in enumerate(value):
            yield from _walk(subject, (*where, i), inner, shape.member)
    elif getattr(shape, "enum", None) and value not in shape.enum and where[-1] not in JUDGED_BY_RESOURCES:
        yield subject.found(
            "error",
            where,
            f"{where[-1]} is {value!r}",
            "EC2 refuses the launch, for ever",
            f"write one of {', '.join(shape.enum[:12])}{nearest(value, shape.enum, shown=0)}",
        )
