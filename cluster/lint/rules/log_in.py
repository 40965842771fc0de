"""How one logs in to the machines: user, key, and the way to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cluster.cluster_file import Cluster
from cluster.lint.commands import commands
from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest
from cluster.pods import mapping

KINDS = ("launcher",)

NOT_UBUNTUS = ("ec2-user", "centos", "admin", "fedora", "core", "root", "ray")
USERS = ("ubuntu", "azureuser", "debian", *NOT_UBUNTUS)
"""Users of images; one that is nearly one of them is misspelt."""
KEYS = ("ssh_private_key", "ssh_public_key")


def check(subject: Subject) -> Iterator[Finding]:
    """Of the clouds that are reached by SSH."""
    cluster = subject.cluster
    auth = mapping(subject.content.get("auth"))
    if cluster is None or cluster.provider not in ("aws", "gcp", "azure", "local"):
        return
    yield from _user(subject, cluster, auth)
    yield from _files(subject, auth)
    if cluster.provider == "azure" and ("ssh_private_key" in auth) != ("ssh_public_key" in auth):
        yield subject.found(
            "error",
            ("auth",),
            "one half of the SSH key is named",
            "`ray up` refuses it",
            "name both, or neither",
        )
    if cluster.provider == "local" and not auth.get("ssh_private_key"):
        yield subject.found(
            "warning",
            ("auth", "ssh_private_key"),
            "no key is named",
            "the head cannot log in to the workers with the keys of your agent",
            "write ssh_private_key",
        )
    if "ssh_private_key" in auth:
        yield from _known_there(subject, cluster, auth)
    elif cluster.provider == "aws" and "KeyName" in cluster.head.config:
        yield subject.found(
            "warning",
            ("auth", "ssh_private_key"),
            "KeyName without ssh_private_key",
            "Ray makes a key of its own, and puts its name in the place of yours",
            "write ssh_private_key, or drop KeyName",
        )
    keys = {str(one.config.get("KeyName")) for one in (cluster.head, *cluster.workers)}
    if cluster.provider == "aws" and len(keys) > 1:
        yield subject.found(
            "error",
            (*cluster.workers[-1].where, "node_config", "KeyName"),
            f"node types have different keys: {', '.join(sorted(keys))}",
            "`ray up` and the head log in everywhere with the one key of auth",
            "write one KeyName",
        )
    if auth.get("ssh_proxy_use_node_id") and "%h" not in str(auth.get("ssh_proxy_command")):
        yield subject.found(
            "error",
            ("auth", "ssh_proxy_command"),
            "ssh_proxy_use_node_id without a command that takes it",
            "SSH looks for a host of the instance's name",
            "write %h in ssh_proxy_command",
        )
    proxy = str(auth.get("ssh_proxy_command", ""))
    if "start-session" in proxy and auth.get("ssh_proxy_use_node_id") is not True:
        yield subject.found(
            "error",
            ("auth", "ssh_proxy_use_node_id"),
            "Session Manager is given an address",
            "it knows machines by their id alone",
            "write ssh_proxy_use_node_id: true",
        )


def _user(subject: Subject, cluster: Cluster, auth: Mapping[str, Any]) -> Iterator[Finding]:
    user = auth.get("ssh_user")
    if not user:
        yield subject.found(
            "error",
            ("auth", "ssh_user"),
            "auth names no ssh_user",
            "`ray up` cannot log in",
            "write ssh_user",
        )
        return
    ubuntu = any(re.search(r"\bapt(-get)?\b", one) for _, one in commands(subject.content))
    if cluster.provider != "local" and (user == "root" or (ubuntu and user in NOT_UBUNTUS)):
        yield subject.found(
            "error",
            ("auth", "ssh_user"),
            f"ssh_user is {user}",
            "the commands are Ubuntu's (apt-get), whose images let in the user ubuntu",
            "write ssh_user: ubuntu",
        )
    if user not in USERS and get_close_matches(str(user), USERS, n=1, cutoff=0.8):
        yield subject.found(
            "error",
            ("auth", "ssh_user"),
            f"ssh_user is {user}",
            "`ray up` cannot log in as somebody who is not there",
            f"correct it{nearest(user, USERS, shown=0)}",
        )
    for one in (cluster.head, *cluster.workers) if cluster.provider == "gcp" else ():
        blocked = any(item.get("key") == "block-project-ssh-keys" for item in _items(one.config))
        if not blocked and any(item.get("key") == "ssh-keys" for item in _items(one.config)):
            yield subject.found(
                "warning",
                (*one.where, "node_config", "metadata"),
                f"the project's keys open {one.name} too",
                "whoever has a key to any machine of the project logs in, where the token lies",
                'write {key: block-project-ssh-keys, value: "TRUE"}',
            )
        for i, item in enumerate(_items(one.config)):
            named = str(item.get("value", "")).partition(":")[0]
            at = (*one.where, "node_config", "metadata", "items", i)
            if item.get("key") == "ssh-keys" and named != user:
                yield subject.found(
                    "error",
                    at,
                    f"the key is {named}'s; ssh_user is {user}",
                    "`ray up` cannot log in",
                    f"write {user}:PUBLIC KEY",
                )
            if item.get("key") == "enable-oslogin" and str(item.get("value")).lower() == "true":
                yield subject.found(
                    "error",
                    at,
                    "OS Login is on",
                    "it ignores ssh-keys: `ray up` cannot log in",
                    "drop it, or write FALSE",
                )


def _files(subject: Subject, auth: Mapping[str, Any]) -> Iterator[Finding]:
    for key in KEYS:
        path = str(auth.get(key, ""))
        public = path.endswith(".pub")
        if (
            path
            and public != (key == "ssh_public_key")
            and not (key == "ssh_public_key" and Path(path).suffix)
        ):
            yield subject.found(
                "error",
                ("auth", key),
                f"{key} is {path}",
                "that is the other half of the key",
                "name the private half as ssh_private_key, the .pub file as ssh_public_key",
            )
        if key == "ssh_public_key" and path and path == auth.get("ssh_private_key"):
            yield subject.found(
                "error",
                ("auth", key),
                "both halves of the key are one file",
                "nobody can log in",
                "name the .pub file",
            )
        if re.match(r"/(home|Users|root)\b", path) and not path.startswith(str(Path.home()) + "/"):
            yield subject.found(
                "warning",
                ("auth", key),
                f"{path} is in a home that is not yours",
                "it is there on one machine alone",
                "write ~/.ssh/...",
            )
        if path and not path.startswith(("~", "/")):
            yield subject.found(
                "warning",
                ("auth", key),
                f"{path} is looked for in the folder where `ray up` is typed",
                "a key within a repository is soon in version control",
                "keep it in ~/.ssh, mode 0600",
            )


def _known_there(subject: Subject, cluster: Cluster, auth: Mapping[str, Any]) -> Iterator[Finding]:
    for one in (cluster.head, *cluster.workers):
        if cluster.provider == "aws" and not {"KeyName", "UserData"} & set(one.config):
            yield subject.found(
                "error",
                (*one.where, "node_config", "KeyName"),
                f"{one.name} has no KeyName",
                "`ray up` refuses a key of yours that it does not find there",
                "write the name under which EC2 has the key",
            )
        if cluster.provider == "aws" and str(one.config.get("KeyName", "")).endswith((".pem", ".pub")):
            yield subject.found(
                "error",
                (*one.where, "node_config", "KeyName"),
                f"KeyName is {one.config['KeyName']}",
                "EC2 knows keys by their names, not by their files",
                "write it without the ending",
            )
        if cluster.provider == "gcp" and not any(
            item.get("key") == "ssh-keys" for item in _items(one.config)
        ):
            yield subject.found(
                "warning",
                (*one.where, "node_config", "metadata"),
                f"{one.name} is not given the key's public half",
                "nobody can log in, unless the project has it for all its machines",
                "write metadata: {items: [{key: ssh-keys, value: USER:PUBLIC KEY}]}",
            )


def _items(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = mapping(config.get("metadata")).get("items")
    return [mapping(one) for one in found] if isinstance(found, list) else []
