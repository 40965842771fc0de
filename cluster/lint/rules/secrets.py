"""Secrets in the file: whoever sees it, the head's copy of it or a log has them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from cluster.lint.finding import Finding, Subject

KINDS = ("launcher", "kuberay", "policy", "slurm")

SHAPES = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{16,}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "an OpenAI or Anthropic key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "a W&B key": r"\bwandb_v\d_[A-Za-z0-9_]{20,}|(?i:wandb\s+login\s+(?:--\S+\s+)*)['\"]?[A-Za-z0-9_-]{20,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{30,}|\bya29\.[0-9A-Za-z_-]{20,}|\bprivate_key_id\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a Slack token": r"\bxox[abeprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w+",
    "a Docker token": r"\bdckr_pat_[A-Za-z0-9_-]{20,}",
    "a package registry's token": r"\b(?:pypi|npm|rubygems)[-_][A-Za-z0-9_-]{20,}",
    "a web token": r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    "an Azure key": r"(?i)\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{20,}|[?&]sig=[A-Za-z0-9%+/]{20,}",
    "a password in an address": r"://[^/\s:@$]*:(?![$%<{])[^/\s:@]{3,}@",
    "a netrc entry": r"(?i)\b(?:machine|login)\b.*\bpassword\s+(?![$%<{])[^\s$%'\"]{8,}",
    "a Kubernetes Secret": r"^kind:\s*Secret\b",
}
"""What they look like, whatever they are called."""
WORD = r"(?:secret|token|passw(?:or)?d|passphrase|pwd|credential|[\w.-]*[_.-]key|(?:api|access|secret)key)"
"""What names of secrets have in them."""
NO_SECRET = (
    r"(?:path|file|name|mode|type|ref|dir|id|ttl|method|url|uri|host|s|expiry"
    r"|public[_-]?key|ssh_private_key|ssh-keys?)"
)
"""How names end that only speak of one."""
LITERAL = r"(?![$%<{~/.])(?P<value>[^\s'\"$,;{}()\]]+)"
HINT = re.compile(r"(?i)secret|token|pass|pwd|credential|key|bearer|basic|\s-[pau]")
"""What a line has that any of the next three finds something in; they are slow."""
NAMED = re.compile(rf"(?i)(?P<name>[\w.-]*{WORD}\w*)['\"]?\]?\s*(?:=|:(?!/)|:=)\s*(?P<quote>['\"]?){LITERAL}")
"""A name, a sign, and a value written there."""
OPTION = re.compile(
    rf"(?i)(?P<name>--[\w-]*{WORD}|\baws configure set \w+|\bBearer|\bBasic|sshpass -p)[= ]+['\"]?{LITERAL}"
)
"""An option of a program with its value after it."""
LOG_IN = re.compile(
    r"(?P<name>\b(?:docker|podman|helm registry|az|mysql|redis-cli|curl)\b[^;&|]*\s(?:-p|-a|-u \S+:))"
    rf"\s*['\"]?{LITERAL}"
)
PAIR = re.compile(rf"(?i)name:\s*['\"]?(?P<name>\w*{WORD}\w*)['\"]?\s*[,\n]\s*value:\s*['\"]?{LITERAL}")
"""A variable of a pod, with a value written there."""
HARMLESS = re.compile(
    r"(?i)^(true|false|yes|no|none|null|required|optional|enabled|disabled|token|never|always)$"
)
STRING = re.compile(r"[A-Za-z0-9+_=-]{32,}")
KNOWN_AS = re.compile(
    r"(?i)(sha\d+[:=-]|@|commit[/ =]|rev[= ]|checkout |--hash|ssh-(rsa|ed25519|dss) |ecdsa-\S+ |\bAAAA)\S*$"
)
"""What stands before a long string that is no secret: digests, commits, public keys."""


def check(subject: Subject) -> Iterator[Finding]:
    """Every line, comments too."""
    told = set()
    for number, line in enumerate(subject.text.splitlines(), 1):
        found = _in_line(line)
        if found is not None:
            told.add(number)
            yield _secret(subject, number, *found)
    for pair in PAIR.finditer(subject.text):
        number = subject.text.count("\n", 0, pair.start("value")) + 1
        if number not in told and _secretive(pair["name"], pair["value"]):
            told.add(number)
            yield _secret(subject, number, "a secret", pair["name"])


def _in_line(line: str) -> tuple[str, str] | None:
    """What it looks like, and as much of it as may be shown."""
    for name, pattern in SHAPES.items():
        if found := re.search(pattern, line):
            return name, found[0][:4]
    for pattern_ in (NAMED, OPTION, LOG_IN):
        for found in pattern_.finditer(line) if HINT.search(line) else ():
            if _secretive(found["name"], found["value"]):
                return "a password or key", found["name"].split()[0].lstrip("-")
    for found in STRING.finditer(line):
        text = found[0].strip("=")
        if not KNOWN_AS.search(line[: found.start()]) and _random(text):
            return "a key", text[:4]
    return None


def _secretive(name: str, value: str) -> bool:
    """Whether this name's value is one to hide, and no reference to it."""
    name = name.strip("'\"").lower()
    if (re.search(rf"{NO_SECRET}$", name) and not re.search(r"(pass|pwd)[a-z]*$", name)) or "public" in name:
        return False
    if HARMLESS.match(value) or "REPLACE" in value or name in ("--secret", "key", "--secret-key-ref"):
        return False
    if re.search(r"(passw|passphrase|pwd|sshpass|-p$|-a$|:$|bearer|basic|aws configure)", name):
        return len(value) >= 4 and not re.fullmatch(r"-\S*|\d{1,5}", value)
    mixed = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
    return len(value) >= (8 if mixed else 20) and not re.match(r"(projects/|arn:|https?:|/|\d+$)", value)


def _random(text: str) -> bool:
    """Whether a long string has no words in it: as many kinds of characters as keys have."""
    if re.fullmatch(r"[0-9a-f]{32,}", text):
        return len(set(text)) > 8
    if not (re.search(r"[0-9]", text) and re.search(r"[a-z]", text) and re.search(r"[A-Z]", text)):
        return False
    counts = Counter(text)
    entropy = -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())
    return entropy > 4.2 and not re.search(r"[a-z]{7,}", text)


def _secret(subject: Subject, line: int, name: str, shown: str) -> Finding:
    return subject.found_in_line(
        "error",
        line,
        f"this looks like {name} ({shown}...)",
        "the file goes to the head, into logs and into version control",
        "revoke it; keep it in a secret store or in a file of mode 0600 (docs/cluster-security.md)",
    )
