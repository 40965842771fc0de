"""What is copied to the nodes: whether it is there, and whether code reaches late nodes too."""

from __future__ import annotations

import fnmatch
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cluster import access_token
from cluster.lint.commands import commands
from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest
from cluster.pods import mapping

KINDS = ("launcher",)

ROOT = Path(__file__).parents[3]
"""Of the project, where its own YAMLs are meant to be used."""
HEAVY = (".git", ".venv", "node_modules")
LIBRARIES = ("aws", "gcp", "azure")
"""Extras of the package, with what the autoscaler on the head needs of a cloud."""


def check(subject: Subject) -> Iterator[Finding]:
    """Local paths are those of this machine, relative ones from the folder where `ray up` is typed."""
    mounts = mapping(subject.content.get("file_mounts"))
    for remote, local in mounts.items():
        yield from _local(subject, remote, str(local))
        yield from _remote(subject, str(remote))
    yield from _excluded(subject, mounts)
    yield from _installed(subject, mounts)
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


def _local(subject: Subject, remote: Any, local: str) -> Iterator[Finding]:
    where = ("file_mounts", remote)
    path = Path(local).expanduser()
    if path == Path(access_token.FILE).expanduser().parent:
        return  # `starling cluster up` makes it
    if path == Path(access_token.FILE).expanduser():
        yield subject.found(
            "error",
            where,
            "the token's file is mounted by itself",
            "Ray's copy of a single file loses its mode: every user of the machine reads the token",
            "mount its folder",
        )
    elif not (path.exists() or (ROOT / path).exists()):
        if local.startswith("~"):
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


def _remote(subject: Subject, remote: str) -> Iterator[Finding]:
    user = mapping(subject.content.get("auth")).get("ssh_user")
    home = re.match(r"/(?:home/([^/]+)|(root))(/|$)", remote)
    docker = mapping(subject.content.get("docker"))
    if home and not docker and (home[1] or home[2]) != user:
        yield subject.found(
            "error",
            ("file_mounts", remote),
            f"{remote} is in the home of {home[1] or home[2]}; ssh_user is {user}",
            "the copy is refused, and the node is never ready",
            "write ~/...",
        )
    if not remote.startswith(("~", "/")):
        yield subject.found(
            "error",
            ("file_mounts", remote),
            f"{remote} is no full path",
            "where it lands depends on who copies it",
            "write ~/...: the path on the nodes is before the colon, the one here after it",
        )


def _excluded(subject: Subject, mounts: Mapping[str, Any]) -> Iterator[Finding]:
    patterns = subject.content.get("rsync_exclude")
    names = [Path(str(local)).name for local in mounts.values()]
    for i, pattern in enumerate(patterns if isinstance(patterns, list) else []):
        bare = str(pattern).removeprefix("**/").strip("/")
        hit = next(
            (name for name in [*names, "module.py"] if bare in ("**", "*") or fnmatch.fnmatch(name, bare)),
            None,
        )
        if hit:
            yield subject.found(
                "error",
                ("rsync_exclude", i),
                f"{pattern} leaves out {hit}",
                "what trials need does not reach the nodes",
                "write what is not needed: **/__pycache__",
            )


def _installed(subject: Subject, mounts: Mapping[str, Any]) -> Iterator[Finding]:
    """Paths that pip is given, against what is mounted; the package's own parts and extras."""
    there = {_home(str(remote)).rstrip("/"): str(local) for remote, local in mounts.items()}
    extras: set[str] = set()
    project = False
    for where, command in commands(subject.content):
        for install in re.finditer(r"\bpip3? install ([^;&|]+)", command):
            for path, inside in re.findall(r"((?:~|\$HOME)/[\w./-]+)(?:\[([\w,-]+)\])?", _home(install[1])):
                wanted = path.rstrip("/")
                inner = any(one.startswith(wanted + "/") for one in there)
                outer = any(wanted == one or wanted.startswith(one + "/") for one in there)
                if there and not inner and not outer:
                    yield subject.found(
                        "error",
                        where,
                        f"pip is given {path}, which file_mounts do not bring",
                        "the command fails on every node",
                        f"mount it, or correct it{nearest(wanted, there, shown=0)}",
                    )
                if inner and f"{wanted}/pyproject.toml" not in there and wanted not in there:
                    yield subject.found(
                        "error",
                        ("file_mounts",),
                        f"{wanted}/pyproject.toml is not mounted, and pip is given {wanted}",
                        "the command fails on every node",
                        f"write {wanted}/pyproject.toml: pyproject.toml",
                    )
                if f"{wanted}/pyproject.toml" in there:
                    project = True
                    extras |= set(filter(None, inside.split(",")))
                    yield from _parts(subject, where, wanted, there)
                    for extra in set(filter(None, inside.split(","))) - set(
                        _project().get("optional-dependencies", {})
                    ):
                        yield subject.found(
                            "error",
                            where,
                            f"the package has no extra {extra!r}",
                            "pip installs it without, and only says so",
                            f"correct it{nearest(extra, _project().get('optional-dependencies', {}))}",
                        )
    cluster = subject.cluster
    if project and cluster is not None and cluster.provider in LIBRARIES and cluster.provider not in extras:
        yield subject.found(
            "error",
            ("setup_commands",),
            f"the extra {cluster.provider} is not installed",
            "the autoscaler on the head cannot load its provider: no worker is ever started",
            f"write ~/starling[{cluster.provider}]",
        )


def _parts(
    subject: Subject, where: tuple[str | int, ...], folder: str, there: Mapping[str, str]
) -> Iterator[Finding]:
    if (ROOT / there[f"{folder}/pyproject.toml"]).resolve() != (ROOT / "pyproject.toml").resolve():
        return
    needed = [*_packages(), str(_project().get("readme", ""))]
    for part in filter(None, needed):
        if f"{folder}/{part}" not in there:
            yield subject.found(
                "error",
                ("file_mounts",),
                f"{folder}/{part} is not mounted",
                "pip cannot build the package, on any node",
                f"write {folder}/{part}: {part}",
            )


def _project() -> Mapping[str, Any]:
    return mapping(_pyproject().get("project"))


def _packages() -> list[str]:
    """The folders that it is built from."""
    found = mapping(mapping(_pyproject().get("tool")).get("setuptools")).get("packages")
    return sorted({str(one).partition(".")[0] for one in found}) if isinstance(found, list) else []


@cache
def _pyproject() -> Mapping[str, Any]:
    file = ROOT / "pyproject.toml"
    return tomllib.loads(file.read_text()) if file.exists() else {}


def _home(text: str) -> str:
    return re.sub(r"\$\{?HOME\}?", "~", text)
