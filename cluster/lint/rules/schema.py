"""Ray's own schema of a launcher file; keys given twice, of older versions, and missing with `external`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema

from cluster.lint import installed_ray
from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest
from cluster.pods import mapping

KINDS = ("launcher",)

GIVEN_UP = {
    "head_node": "available_node_types with head_node_type",
    "worker_nodes": "available_node_types",
    "min_workers": "min_workers of each node type",
    "initial_workers": "min_workers of each node type",
    "autoscaling_mode": "upscaling_speed",
    "target_utilization_fraction": "upscaling_speed",
}
"""Old key: what took its place."""
NEEDED_BY_EXTERNAL = (
    "max_workers",
    "auth",
    "head_node_type",
    "available_node_types",
    "file_mounts",
    "cluster_synced_files",
    "file_mounts_sync_continuously",
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
"""Ray fills these from defaults for its own providers; for `external` it looks them up and fails."""


def check(subject: Subject) -> Iterator[Finding]:
    """Every deviation, not only the first."""
    content = subject.content
    local = subject.cluster is not None and subject.cluster.provider == "local"
    for where, _ in subject.document.repeated:
        yield subject.found(
            "error",
            where,
            f"{where[-1]} is there twice",
            "YAML keeps the last one without a word",
            "keep one of the two",
        )
    for key, instead in GIVEN_UP.items():
        if content.get(key) and not (local and key == "min_workers"):
            yield subject.found(
                "error",
                (key,),
                f"{key} is a key of older versions of Ray",
                "Ray 2.60 ignores or refuses it",
                f"write {instead}",
            )
    for key in ("available_node_types", "head_node_type"):
        if local and key in content:
            yield subject.found(
                "error",
                (key,),
                f"{key} is not for machines reached by SSH",
                "`ray up` refuses it: they are all of one kind to Ray",
                "remove it; what a machine has, Ray finds out there",
            )
    for error in jsonschema.Draft7Validator(schema()).iter_errors(content):
        yield from _deviation(subject, error)
    if mapping(content.get("provider")).get("type") == "external":
        for key in NEEDED_BY_EXTERNAL:
            if key not in content:
                yield subject.found(
                    "error",
                    (key,),
                    f"{key} is missing",
                    "a provider of type external gets no defaults from Ray",
                    f"write {key}, empty if there is nothing to say",
                )


@cache
def schema() -> dict[str, Any]:
    """Ray's, of the installed version, read without importing Ray."""
    return installed_ray.read("autoscaler/ray-schema.json")


def _deviation(subject: Subject, error: jsonschema.ValidationError) -> Iterator[Finding]:
    where = tuple(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.schema, dict):
        known = error.schema.get("properties", {})
        for key in error.instance:
            if key not in known and key not in GIVEN_UP:
                yield subject.found(
                    "error",
                    (*where, key),
                    f"Ray knows no key {key!r} here",
                    "`ray up` refuses the file",
                    f"correct or remove it{nearest(key, known)}",
                )
        return
    yield subject.found(
        "error",
        where,
        error.message,
        "`ray up` refuses the file",
        f"Ray's schema says: {error.validator} {error.validator_value!r}",
    )
