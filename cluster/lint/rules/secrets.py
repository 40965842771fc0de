"""Secrets in the file: whoever sees it, the head's copy of it or a log has them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.lint.finding import Finding, Subject

KINDS = ("launcher", "kuberay", "slurm")

PATTERNS = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "an AWS secret key": r"(?i)aws_secret_access_key['\"]?\s*[=:]\s*['\"]?[A-Za-z0-9/+]{40}",
    "a W&B key": r"(?i)(?:wandb_api_key['\"]?\s*[=:]\s*['\"]?|wandb\s+login\s+(?:--\S+\s+)*)"
    r"[A-Za-z0-9_-]{20,}",
    "a password in an address": r"://[^/\s:@$]+:(?![$%<{])[^/\s:@]{6,}@",
    "a netrc entry": r"(?i)\bpassword\s+(?![$%])[A-Za-z0-9_-]{20,}",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{30,}|\"private_key_id\"",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a Ray token": r"RAY_AUTH_TOKEN['\"]?\s*[=:]\s*['\"]?[A-Za-z0-9_-]{8,}",
    "a password": r"(?i)\b\w*(?:password|passwd|secret_?key|api_?key|access_?token|account_?key)['\"]?"
    r"\s*[=:]\s*['\"]?(?![$%<{])[A-Za-z0-9/+_=-]{8,}",
}
"""What they look like; a variable, a path or the output of a command in their place is none."""
NAMED = re.compile(
    r"(?i)name:\s*['\"]?\w*(?:key|token|secret|password)\w*['\"]?\s*[,\n]\s*value:\s*['\"]?([^\s$'\"}]{8,})"
)
"""A variable of a pod, with a value written there."""


def check(subject: Subject) -> Iterator[Finding]:
    """Every line, comments too."""
    told = set()
    for number, line in enumerate(subject.text.splitlines(), 1):
        for name, pattern in PATTERNS.items():
            found = re.search(pattern, line)
            if found and number not in told:
                told.add(number)
                yield _secret(subject, number, name, found[0])
    for found in NAMED.finditer(subject.text):
        number = subject.text.count("\n", 0, found.start(1)) + 1
        if number not in told:
            told.add(number)
            yield _secret(subject, number, "a secret", found[0])


def _secret(subject: Subject, line: int, name: str, found: str) -> Finding:
    shown = re.split(r"[=:\s]", found)[0]
    shown = shown if shown != found else found[:4]  # never the secret itself
    return subject.found_in_line(
        "error",
        line,
        f"this looks like {name} ({shown}...)",
        "the file goes to the head, into logs and into version control",
        "revoke it; keep it in a secret store or in a file of mode 0600 (docs/cluster-security.md)",
    )
