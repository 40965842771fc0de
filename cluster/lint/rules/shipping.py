"""What is copied to the nodes: whether it is there, and whether code reaches late nodes too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cluster import access_token
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping

KINDS = ("launcher",)

ROOT = Path(__file__).parents[3]
"""Of the project, where its own YAMLs are meant to be used."""
HEAVY = (".git", ".venv", "node_modules")


def check(subject: Subject) -> Iterator[Finding]:
    """Local paths are those of this machine, relative ones from the folder where `ray up` is typed."""
    mounts = mapping(subject.content.get("file_mounts"))
    for remote, local in mounts.items():
        where = ("file_mounts", remote)
        path = Path(str(local)).expanduser()
        if path == Path(access_token.FILE).expanduser().parent:
            continue  # `starling cluster up` makes it
        if not (path.exists() or (ROOT / path).exists()):
            if str(local).startswith("~"):
                yield subject.found(
                    "edit",
                    where,
                    f"{local} is not on this machine yet",
                    "`ray up` stops when it reads it",
                    "make it, or drop the mount",
                )
            else:
                yield subject.found(
                    "error",
                    where,
                    f"there is no {local}",
                    f"`ray up` stops when it reads it; relative paths begin at {os.getcwd()}",
                    "correct the path",
                )
        elif path.is_dir() and any((path / heavy).exists() for heavy in HEAVY):
            yield subject.found(
                "warning",
                where,
                f"{local} holds {' or '.join(HEAVY)}",
                "Ray reads every byte of it at each `ray up`, and copies it to every node",
                "mount its packages",
            )
    image = mapping(subject.content.get("docker")).get("image")
    if not mounts and not image and not subject.content.get("cluster_synced_files"):
        yield subject.found(
            "warning",
            ("file_mounts",),
            "nothing is copied to the nodes",
            "trials fail on every node with ModuleNotFoundError, unless the machine image has the package",
            "mount sweeps, trainables, search_algs and cluster, and install them in setup_commands",
        )
    auth = mapping(subject.content.get("auth"))
    for key in ("ssh_private_key", "ssh_public_key"):
        if key in auth and not Path(str(auth[key])).expanduser().exists():
            yield subject.found(
                "edit",
                ("auth", key),
                f"{auth[key]} is not on this machine yet",
                "`ray up` cannot log in",
                "make the key with the script in cluster/access, or name another",
            )
