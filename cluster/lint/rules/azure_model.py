"""The parameters that Ray's template of an Azure VM takes, against every `azure_arm_parameters`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from cluster.lint import installed_ray
from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest
from cluster.pods import mapping

KINDS = ("launcher",)

NODE_KEYS = ("azure_arm_parameters", "tags")
FILLED = frozenset(
    {
        "vmName",
        "adminUsername",
        "publicKey",
        "vmTags",
        "vmCount",
        "provisionPublicIp",
        "msi",
        "nsg",
        "subnet",
        "zones",
    }
)
"""Parameters that Ray sets itself, over what the file says."""
WORDS = {"priority": ("Regular", "Spot", "Low"), "evictionPolicy": ("Delete", "Deallocate")}
"""Of Azure's Microsoft.Compute/virtualMachines."""
TYPES = {"string": str, "securestring": str, "int": int, "bool": bool, "object": dict, "array": list}


def check(subject: Subject) -> Iterator[Finding]:
    """Misspelt parameters, values of another type, and words that Azure does not know."""
    if subject.cluster is None or subject.cluster.provider != "azure":
        return
    for one in (subject.cluster.head, *subject.cluster.workers):
        where = (*one.where, "node_config")
        for key in one.config:
            if key not in NODE_KEYS:
                yield subject.found(
                    "error",
                    (*where, key),
                    f"Ray takes no {key!r} from an Azure node_config",
                    "it is ignored without a word",
                    f"correct or remove it{nearest(key, NODE_KEYS)}",
                )
        for key, value in mapping(one.config.get("azure_arm_parameters")).items():
            at = (*where, "azure_arm_parameters", key)
            kind = parameters().get(key)
            if kind is None:
                yield subject.found(
                    "error",
                    at,
                    f"Ray's template of a VM has no parameter {key!r}",
                    "Azure refuses the deployment, for ever",
                    f"correct or remove it{nearest(key, parameters())}",
                )
            elif key in FILLED:
                yield subject.found(
                    "warning", at, f"Ray sets {key} itself", "what is written here has no effect", "remove it"
                )
            elif not isinstance(value, TYPES[kind]):
                yield subject.found(
                    "error",
                    at,
                    f"{key} is {value!r}",
                    "Azure refuses the deployment, for ever",
                    f"write a value of type {kind}",
                )
            elif key in WORDS and value not in WORDS[key]:
                yield subject.found(
                    "error",
                    at,
                    f"{key} is {value!r}",
                    "Azure refuses the deployment, for ever",
                    f"write one of {', '.join(WORDS[key])}",
                )


@cache
def parameters() -> dict[str, Any]:
    """Name to type, of the installed Ray; `availability_zone` is read before the template is."""
    found = installed_ray.read("autoscaler/_private/_azure/azure-vm-template.json")["parameters"]
    return {name: one["type"] for name, one in found.items()} | {"availability_zone": "string"}
