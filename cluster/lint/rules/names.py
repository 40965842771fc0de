"""Names that become names of other things in a cloud, and must be allowed there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping

KINDS = ("launcher",)

ANYWHERE = r"[A-Za-z][A-Za-z0-9_-]{0,62}"
GCP = r"[a-z][a-z0-9-]{0,40}"
"""A label of its machines, and the beginning of their names."""
PROJECT = r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"
GROUP = r"[\w().-]{0,89}[\w()-]"


def check(subject: Subject) -> Iterator[Finding]:
    """The cluster's, the project's, the group's, and keys of labels."""
    cloud = subject.cluster.provider if subject.cluster is not None else ""
    name = str(subject.content.get("cluster_name", ""))
    if name and not re.fullmatch(GCP if cloud == "gcp" else ANYWHERE, name):
        yield subject.found(
            "error",
            ("cluster_name",),
            f"the cluster is called {name!r}",
            "tags, security groups and files are called after it: the cloud refuses some of them",
            "write small letters, digits and -, a letter first",
        )
    provider = mapping(subject.content.get("provider"))
    for key, form, why in (
        ("project_id", PROJECT, "Compute Engine knows projects by their ids, not by their titles"),
        ("resource_group", GROUP, "Azure refuses it"),
    ):
        value = str(provider.get(key, ""))
        if value and "REPLACE" not in value and not re.fullmatch(form, value):
            yield subject.found(
                "error", ("provider", key), f"{key} is {value!r}", why, "write the id, without spaces"
            )
    for kind, one in mapping(subject.content.get("available_node_types")).items():
        for label in mapping(mapping(one).get("labels")):
            if str(label).startswith("ray.io/") or not re.fullmatch(
                r"[A-Za-z0-9]([\w./-]*[A-Za-z0-9])?", str(label)
            ):
                yield subject.found(
                    "error",
                    ("available_node_types", kind, "labels", label),
                    f"a label is called {label}",
                    "Ray keeps ray.io/ for itself and refuses other signs: the node does not start",
                    "write letters, digits, - and _",
                )
