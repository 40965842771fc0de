"""Compute Engine's own model of an instance, from google-api-python-client, against GCP's `node_config`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest
from cluster.yaml_lines import Where

KINDS = ("launcher",)

TYPES: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
}
WORDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "object": "a mapping",
    "array": "a list",
}


def check(subject: Subject) -> Iterator[Finding]:
    """Misspelt keys, values of another type, and words that the API does not know, however deep."""
    if subject.cluster is None or subject.cluster.provider != "gcp":
        return
    if find_spec("googleapiclient") is None:
        yield subject.found(
            "skipped",
            ("available_node_types",),
            "node_config was not compared with Compute Engine's model",
            "the package google-api-python-client, which brings the model, is not installed",
            "pip install 'starling-sweeps[gcp]'",
        )
        return
    for one in (subject.cluster.head, *subject.cluster.workers):
        if "acceleratorType" not in one.config:  # else it is a TPU, which is another API's
            yield from _walk(subject, (*one.where, "node_config"), one.config, {"$ref": "Instance"})


@cache
def _schemas() -> dict[str, Any]:
    spec = find_spec("googleapiclient")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    documents = Path(spec.submodule_search_locations[0]) / "discovery_cache" / "documents"
    return json.loads((documents / "compute.v1.json").read_text())["schemas"]


def _walk(subject: Subject, where: Where, value: Any, schema: dict[str, Any]) -> Iterator[Finding]:
    schema = _schemas()[schema["$ref"]] if "$ref" in schema else schema
    kind = schema.get("type", "any")
    if where[-1] == "scheduling" and isinstance(value, list):  # as Ray's own examples have it
        for i, inner in enumerate(value):
            yield from _walk(subject, (*where, i), inner, schema)
        return
    number_as_text = (
        kind == "string" and schema.get("format") in ("int64", "uint64") and isinstance(value, int)
    )
    right = isinstance(value, TYPES.get(kind, object)) or number_as_text
    if kind == "string" and number_as_text is False and schema.get("format") in ("int64", "uint64"):
        right = isinstance(value, str) and value.isdigit()
    if not right or (kind != "boolean" and isinstance(value, bool)):
        yield subject.found(
            "error",
            where,
            f"{where[-1]} is {value!r}",
            "Compute Engine refuses the launch, for ever",
            f"write {WORDS.get(kind, kind)}",
        )
    elif kind == "object" and "properties" in schema:
        for key, inner in value.items():
            if key in schema["properties"]:
                yield from _walk(subject, (*where, key), inner, schema["properties"][key])
            else:
                yield subject.found(
                    "error",
                    (*where, key),
                    f"Compute Engine knows no key {key!r} in {where[-1]}",
                    "the launch is refused, or the key ignored without a word",
                    f"correct or remove it{nearest(key, schema['properties'])}",
                )
    elif kind == "array":
        for i, inner in enumerate(value):
            yield from _walk(subject, (*where, i), inner, schema["items"])
    elif "enum" in schema and value not in schema["enum"]:
        yield subject.found(
            "error",
            where,
            f"{where[-1]} is {value!r}",
            "Compute Engine refuses the launch, for ever",
            f"write one of {', '.join(schema['enum'])}",
        )
