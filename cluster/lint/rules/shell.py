"""Commands as the shell sees them: whether they can be read, wait for somebody, or do harm."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

from cluster.lint.commands import commands
from cluster.lint.finding import Finding, Level, Subject
from cluster.pods import mapping

KINDS = ("launcher",)

HARM: tuple[tuple[str, Level, str, str], ...] = (
    (
        r"(?:curl|wget)[^|;&]*\|\s*(?:sudo\s+)?(?:ba|z)?sh\b",
        "warning",
        "what is fetched is run unseen",
        "pin it by a hash",
    ),
    (
        r"\bapt(?:-get)?\s+(?:\S+\s+)*?(?:dist-|full-)?upgrade\b",
        "warning",
        "late nodes get another kernel or driver, and a new driver needs a restart",
        "put updates into the image",
    ),
    (
        r"\b(?:reboot|poweroff|halt|shutdown)\b",
        "error",
        "the node goes while it is set up, every time",
        "remove it",
    ),
    (
        r"(?:curl[^;&|]*\s(?:-k|--insecure)\b|--no-check-certificate|--trusted-host|GIT_SSL_NO_VERIFY)",
        "error",
        "anybody on the way may put in code of his own",
        "remove it",
    ),
    (
        r"\bchmod\s+(?:-R\s+)?0?777\b",
        "error",
        "every user of the machine may change it",
        "write a narrower mode",
    ),
    (
        r"\brm\s+-\w*r\w*\s+(?:/|~|\$HOME)/?(?:\s|$|\*)",
        "error",
        "it deletes everything",
        "name what is to go",
    ),
    (r"StrictHostKeyChecking[= ]no", "warning", "anybody on the way may answer", "drop it"),
    (
        r"\bufw\s+disable|iptables\s+-F|setenforce\s+0",
        "warning",
        "every port is open to those who reach it",
        "drop it",
    ),
    (r"\bset -\w*x", "warning", "keys that commands handle are printed into the log", "drop it"),
)
"""What it looks like, level, what follows, what to do."""
WAITS = re.compile(
    r"\bapt(?:-get)?\b(?![^;&|]*\s-\w*y)(?![^;&|]*(?:-qq|--yes|--assume-yes))[^;&|]*\sinstall\b[^;&|]*"
)


def check(subject: Subject) -> Iterator[Finding]:
    """Nothing is run: bash only reads them."""
    every = list(commands(subject.content))
    for where, command in every:
        for pattern, level, why, fix in HARM:
            if found := re.search(pattern, command):
                yield subject.found(level, where, found[0].strip()[:60], why, fix)
        user = mapping(subject.content.get("auth")).get("ssh_user")
        if re.search(
            r"(?<!sudo )(?<![-\w])apt(-get)?\s+(-\S+\s+|\S+=\S+\s+)*(install|update)\b", command
        ) and (user != "root" and not subject.content.get("docker") and "sudo" not in command):
            yield subject.found(
                "error",
                where,
                "apt-get without sudo",
                f"{user} may not install: the node is never ready",
                "write sudo",
            )
        found = WAITS.search(command)
        if found and not re.search(r"\s-\w*y|-qq|--yes", found[0]):
            yield subject.found(
                "error",
                where,
                "apt-get install without -y",
                "it asks, nobody answers, and the node is never ready",
                "write apt-get install -y",
            )
    bash = shutil.which("bash")
    if bash is None or not fault(bash, "\n".join(f"(\n{command}\n)" for _, command in every)):
        return
    for where, command in every:
        if said := fault(bash, f"(\n{command}\n)"):
            yield subject.found(
                "error",
                where,
                f"the shell cannot read it: {said}",
                "the node is never ready",
                "correct its quotes and brackets",
            )


def fault(bash: str, commands: str) -> str:
    """What bash says when it reads them, from the number of the line on; empty if it can."""
    done = subprocess.run([bash, "-n"], input=commands, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[0].partition("line ")[2] if done.returncode else ""
