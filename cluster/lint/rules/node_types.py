"""What the names and labels of node types say, against what they are; and keys in the wrong place."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.lint.commands import texts
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping

KINDS = ("launcher",)

PLAIN_TEXT = re.compile(r"\$\{?[A-Za-z_]\w*\}?|\{\{.*\}\}|%\(\w+\)s")
"""Variables and templates, which nobody fills in outside of a command."""


def check(subject: Subject) -> Iterator[Finding]:
    """Labels, markets, then texts that are taken as they are."""
    cluster = subject.cluster
    if cluster is not None:
        for one in cluster.workers:
            said = f"{one.name} {one.labels.get('market', '')}".lower()
            demand = re.search(r"on.?demand", said)
            if "spot" in said and not demand and not one.spot:
                yield subject.found(
                    "error",
                    one.where,
                    f"{one.name} says spot and asks for none",
                    "every node costs two to three times what was meant",
                    "ask the provider for spot, or call it otherwise",
                )
            if demand and one.spot:
                yield subject.found(
                    "error",
                    one.where,
                    f"{one.name} says on-demand and asks for spot",
                    "there is nothing to fall back to",
                    "drop the request for spot, or call it otherwise",
                )
        if cluster.head.spot:
            yield subject.found(
                "error",
                cluster.head.where,
                "the head is a spot machine",
                "when it is taken away, the cluster and the sweep end with it",
                "take the head on demand",
            )
        if not cluster.workers:
            yield subject.found(
                "error",
                ("available_node_types",),
                "there is no node type beside the head's",
                "the head takes no trials: nothing ever runs",
                "add one",
            )
    for where, text in texts(subject.content):
        commands = any(str(part).endswith("_commands") for part in where)
        in_shell = commands or {"run_options", "UserData", "ssh_proxy_command"} & set(map(str, where))
        if not in_shell and "ssh-keys" not in text and (found := PLAIN_TEXT.search(text)):
            yield subject.found(
                "error",
                where,
                f"{found[0]} is taken as it stands",
                "Ray fills in no variables in this file",
                "write the value itself",
            )
    for name, one in mapping(subject.content.get("available_node_types")).items():
        for key in mapping(mapping(one).get("resources")):
            if re.search(r"(?i)[gt]i?b$|\s", str(key)):
                yield subject.found(
                    "error",
                    ("available_node_types", name, "resources", key),
                    f"{key} is no resource that trials ask for",
                    "Ray schedules nothing by it",
                    "write memory, in bytes",
                )
