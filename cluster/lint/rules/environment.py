"""Variables and programs that commands rely on: spelt right, set where they are read, there at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches

from cluster.lint.commands import STARTS, commands, starts
from cluster.lint.finding import Finding, Subject
from cluster.nearest import nearest
from cluster.pods import mapping

KINDS = ("launcher",)

KNOWN = (
    "AUTOSCALER_MAX_CONCURRENT_LAUNCHES",
    "AUTOSCALER_MAX_LAUNCH_BATCH",
    "AUTOSCALER_UPDATE_INTERVAL_S",
    "AUTOSCALER_MAX_NUM_FAILURES",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_enable_autoscaler_v2",
    "RAY_HEAD_IP",
    "STARLING_CACHE",
    "STARLING_TEST_DATA",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
)
"""Variables that mean something to Ray, sweeps and torch; one that is nearly one of them is misspelt."""
ALONE = re.compile(
    r"\s*(export\s+\w+|source|\.|cd|conda\s+activate|ulimit|umask|module\s+load)\b(?=[ =/~])[^;&|>\n]*"
)
"""What changes only the shell that it is typed in."""
SET = re.compile(r"(?:^|[\s;(])([A-Za-z_]\w*)=")
DEFAULT_TOKEN = "~/.ray/auth_token"
VENV = re.compile(r"((?:~|\$HOME|/home/\w+|/opt)/[\w./-]*?)/bin/(?:ray|pip3?|python[\d.]*|activate)\b")
BARE = re.compile(r"(?:^|[\s;&|(])(ray (?:start|stop)|pip3? install|python3? -m)\b")


def check(subject: Subject) -> Iterator[Finding]:
    """Names, then places, then programs."""
    for where, command in commands(subject.content):
        for name in SET.findall(command):
            ours = name.startswith(("RAY", "AUTO", "STAR", "LD_", "CUDA_V", "OMP"))
            if ours and name not in KNOWN and (near := nearest(name, KNOWN, shown=0)):
                yield subject.found(
                    "error",
                    where,
                    f"{name} means nothing to anybody",
                    "it has no effect",
                    f"correct it{near}",
                )
        alone = re.fullmatch(ALONE, command)
        if alone:
            yield subject.found(
                "warning",
                where,
                f"`{alone[1]}` is a command of its own",
                "each command has a shell of its own: the others see nothing of it",
                "write it before the program that needs it, on its line",
            )
        for name in re.findall(r"\$\{?([A-Za-z_]\w*)", re.sub(r"'[^']*'", "", command)):
            if (
                name not in (*KNOWN, "HOME", "USER")
                and not re.search(rf"\b{name}=", command)
                and _close(name)
            ):
                near = nearest(name, (*KNOWN, "HOME", "USER"), shown=0)
                yield subject.found(
                    "error",
                    where,
                    f"${name} is set by nobody",
                    "nothing stands in its place",
                    f"correct it{near}",
                )
        if str(where[0]) != STARTS[0] and "AUTOSCALER_" in command:
            yield subject.found(
                "warning",
                where,
                "a variable of the autoscaler, where there is none",
                "it runs on the head, and reads it from the line of `ray start --head`",
                "write it in head_start_ray_commands",
            )
    yield from _token(subject)
    yield from _programs(subject)
    yield from _made(subject)


def _token(subject: Subject) -> Iterator[Finding]:
    """Where the token is asked for, its file must be named, and be there."""
    mounts = [_home(str(one)) for one in mapping(subject.content.get("file_mounts"))]
    for key in STARTS:
        found = starts(subject.content, key)
        if found is None or "RAY_AUTH_MODE=" not in found[1]:
            continue
        mode = re.search(r"RAY_AUTH_MODE=(\w*)", found[1])
        if mode and mode[1] not in ("token",):
            yield subject.found(
                "error",
                found[0],
                f"RAY_AUTH_MODE={mode[1]}",
                "Ray asks for no token",
                "write RAY_AUTH_MODE=token",
            )
        named = re.search(r"RAY_AUTH_TOKEN_PATH=[\"']?([^\s\"';]+)", found[1])
        if "RAY_AUTH_TOKEN=" in found[1]:
            yield subject.found(
                "error",
                found[0],
                "the token is on the line of `ray start`",
                "every user of the machine sees it, and one that is made there is another on each",
                "write RAY_AUTH_TOKEN_PATH=$HOME/.starling/token/auth_token",
            )
            continue
        path = _home(named[1]) if named else DEFAULT_TOKEN
        if mounts and not any(path == one or path.startswith(one.rstrip("/") + "/") for one in mounts):
            yield subject.found(
                "error",
                found[0],
                f"the token is looked for in {path}, which file_mounts do not bring",
                "Ray refuses to start without one",
                "write RAY_AUTH_TOKEN_PATH=$HOME/.starling/token/auth_token, and mount its folder",
            )


def _programs(subject: Subject) -> Iterator[Finding]:
    every = list(commands(subject.content))
    used = Counter(_home(one) for _, command in every for one in VENV.findall(command))
    if not used:
        return
    usual = used.most_common(1)[0][0]
    made = " ".join(
        command for at, command in every if "setup" in str(at[-2]) or "initialization" in str(at[-2])
    )
    for where, command in every:
        others = {_home(one) for one in VENV.findall(command)} - {usual}
        for other in sorted(others):
            if f"venv {other}" not in _home(made):
                yield subject.found(
                    "error",
                    where,
                    f"programs of {other}; the other commands use {usual}",
                    "they are not there, or are of another environment",
                    f"write {usual}",
                )
        bare = BARE.search(command)
        if bare and "activate" not in command and not (bare[1].startswith("python") and "venv" in command):
            yield subject.found(
                "warning",
                where,
                f"`{bare[1]}` of whatever Python comes first; the other commands use {usual}",
                "it is not there, or is of another environment",
                f"write {usual}/bin/{bare[1]}",
            )


def _close(name: str) -> bool:
    """Whether it is one of Ray's or the shell's with a letter or two amiss."""
    return bool(get_close_matches(name, (*KNOWN, "HOME", "USER"), n=1, cutoff=0.75))


def _made(subject: Subject) -> Iterator[Finding]:
    """What is used and made by nobody: the environment, Ray in it, folders; the login shell's token."""
    every = [(at, _home(command)) for at, command in commands(subject.content)]
    said = "\n".join(command for _, command in every)
    docker = mapping(subject.content.get("docker"))
    used = next(
        ((at, one) for at, command in every if at[-2] in STARTS for one in VENV.findall(command)), None
    )
    if (
        used
        and not docker
        and not re.search(rf"(?:venv|virtualenv|create -p)\s+(?:-\S+\s+)*{re.escape(used[1])}\b", said)
    ):
        yield subject.found(
            "error",
            used[0],
            f"nobody makes {used[1]}",
            "`ray start` is not there: the node is never ready",
            f"write test -x {used[1]}/bin/python || python3.12 -m venv {used[1]}, in setup_commands",
        )
    if used and not docker and not re.search(r"pip3? install [^;&|]*\bray\b", said):
        yield subject.found(
            "error",
            ("setup_commands",),
            "nobody installs Ray",
            "`ray start` is not there: the node is never ready",
            'write pip install "ray[default,tune]==..." in setup_commands',
        )
    for at, command in every:
        for folder in re.findall(
            r"(?:--object-spilling-directory|STARLING_CACHE|--temp-dir)=(/[\w./-]+)", command
        ):
            if not folder.startswith("/tmp") and not re.search(rf"mkdir[^;&|]*{re.escape(folder)}\b", said):
                yield subject.found(
                    "error",
                    at,
                    f"nobody makes {folder}",
                    "it is root's to make: Ray or the trials stop there",
                    f"write sudo mkdir -p {folder} && sudo chown $USER {folder}, before it",
                )
    if "RAY_AUTH_MODE=token" in said and not re.search(
        r"RAY_AUTH_MODE=token[^\n]*>>?\s*\S*(?:profile|bashrc|environment)", said
    ):
        yield subject.found(
            "warning",
            ("setup_commands",),
            "a login shell on the nodes does not know of the token",
            "`ray submit`, `ray exec` and `ray status` there are refused",
            "append export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=... to ~/.bashrc, in setup_commands",
        )


def _home(text: str) -> str:
    return re.sub(r"\$\{?HOME\}?", "~", text)
