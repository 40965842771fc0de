"""Files of the user's own credentials, which must not be copied to nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.lint.commands import commands
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("launcher",)

FILES = re.compile(
    r"(^|/)(\.aws|\.azure|\.config/gcloud|\.ssh|\.netrc|\.kube|\.docker|\.gnupg|\.git-credentials|\.huggingface|"
    r"\.cache/huggingface/token|\.pgpass|\.env|id_(?:rsa|ed25519|ecdsa)|[^/]*credentials[^/]*|[^/]*service[_-]account[^/]*\.json"
    r"|[^/]+\.pem|[^/]+\.key)(/|$)"
)


def check(subject: Subject) -> Iterator[Finding]:
    """What is mounted, and whole homes; then modes of the token's file."""
    provider = mapping(subject.content.get("provider"))
    for key in ("aws_credentials", "gcp_credentials"):
        if key in provider:
            yield subject.found(
                "error",
                ("provider", key),
                f"{key} in the file",
                "the file goes to the head, into logs and into version control",
                "log in on this machine (aws configure sso, gcloud auth login); the head has its role",
            )
    copied: list[tuple[Where, object]] = [
        (("file_mounts", remote), local)
        for remote, local in mapping(subject.content.get("file_mounts")).items()
    ]
    synced = subject.content.get("cluster_synced_files")
    copied += [
        (("cluster_synced_files", i), one) for i, one in enumerate(synced if isinstance(synced, list) else [])
    ]
    for where, local in copied:
        text = str(local).rstrip("/")
        if FILES.search(text) and not text.endswith(".pub"):
            yield subject.found(
                "error",
                where,
                f"{local} is copied to every node",
                "code of any trial acts as you, in every account that it opens",
                "give machines roles of their own, keep keys in a secret store (docs/cluster-security.md)",
            )
        if text in ("~", "/", "/home", "/root", "$HOME"):
            yield subject.found(
                "error",
                where,
                f"{local or '/'} is copied to every node, with all that is in it",
                "keys and tokens of yours are among it",
                "mount what the sweep needs",
            )
    for at, command in commands(subject.content):
        if found := re.search(
            r"chmod\s+(?:-R\s+)?(0?[0-7]{2}[1-7]|[augo]*o[augo]*\+\S+|a\+\S+)\s+(\S*(?:token|netrc|\.ssh|\.pem)\S*)",
            command,
        ):
            yield subject.found(
                "error",
                at,
                f"mode {found[1]} of {found[2]}",
                "every user of the machine reads the key",
                "write 600 for files, 700 for folders",
            )
