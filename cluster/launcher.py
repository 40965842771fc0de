"""Ray's cluster launcher: its commands (`ray up`, `ray exec`, ...), run without a shell of this machine.

What `ray exec` runs is one text for a login shell on the head. Whoever builds it from words joins them with
`shlex.join`; Ray itself would not quote them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from cluster.cluster_file import Cluster

ROOT = Path(__file__).parents[1]
"""Where the packages lie; `provider: {module: cluster.providers...}` is imported from there."""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
FOUND = re.compile(r"@answer@\r?\n(.*?)\r?\n?@code (\d+)@", re.DOTALL)


class LauncherError(RuntimeError):
    """Ray's launcher failed; what it said is in the text, or was shown."""


def command(cluster: Cluster, verb: str, *words: str) -> list[str]:
    """The words of `ray VERB YAML ...`, with this Python's Ray.

    Args:
        cluster: whose YAML it is.
        verb: up, down, exec, rsync-up, rsync-down, get-head-ip, ...
        words: what follows the YAML.
    """
    return [sys.executable, "-m", "ray.scripts.scripts", verb, os.path.abspath(cluster.path), *words]


def environment(cluster: Cluster) -> dict[str, str]:
    """This process's environment, and what the launcher needs.

    Machines reached by SSH get autoscaler v1: Ray 2.60's v2 counts the head as a worker there, and one of the
    workers never joins. `-m ray...` shall not import what lies in the current folder.
    """
    version = "0" if cluster.provider == "local" else "1"
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | {"RAY_UP_enable_autoscaler_v2": version, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def show(cluster: Cluster, verb: str, *words: str) -> None:
    """Run `ray VERB YAML ...`, with its progress on this terminal.

    Raises:
        LauncherError: it failed.
    """
    ended = subprocess.run(command(cluster, verb, *words), env=environment(cluster), check=False)
    if ended.returncode:
        raise LauncherError(f"`ray {verb} {cluster.path}` failed (exit code {ended.returncode}), see above")


def head_address(cluster: Cluster) -> str | None:
    """The head's IP address; None while there is no head that was set up."""
    ended = _quiet(cluster, "get-head-ip")
    last = ended.stdout.split()[-1:] if ended.returncode == 0 else []
    return last[0] if last else None


def answer(cluster: Cluster, text: str) -> str:
    """What a command prints on the head (errors too), without what Ray and SSH say around it.

    Args:
        cluster: it must be up.
        text: for a login shell on the head; quote words with `shlex.join`.

    Raises:
        LauncherError: it failed there, or the head was not reached.
    """
    marked = f"printf '@%s@\\n' answer; ({text}\n); printf '\\n@%s %s@\\n' code $?"
    ended = _quiet(cluster, "exec", marked)
    found = FOUND.search(ended.stdout)
    if found is None:
        raise LauncherError(f"the head of {cluster.path} was not reached:\n{_tail(ended.stdout)}")
    said = found[1].replace("\r\n", "\n").strip("\n")
    if int(found[2]):
        raise LauncherError(f"on the head of {cluster.path}: exit code {found[2]}\n{_tail(said)}")
    return said


def send(cluster: Cluster, source: Path, target: str) -> None:
    """Copy a folder's content to the head.

    Args:
        cluster: it must be up.
        source: a folder of this machine.
        target: a folder of the head, which exists; `~` is its home.

    Raises:
        LauncherError: it was not copied.
    """
    ended = _quiet(cluster, "rsync-up", f"{source}{os.sep}", f"{target}/")
    if ended.returncode:
        raise LauncherError(f"{source} was not copied to the head of {cluster.path}:\n{_tail(ended.stdout)}")


def _quiet(cluster: Cluster, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it; output and errors come back as one text."""
    return subprocess.run(
        command(cluster, verb, *words),
        env=environment(cluster),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _tail(text: str, lines: int = 15) -> str:
    return "\n".join(f"    {line}" for line in COLOUR.sub("", text).strip().splitlines()[-lines:])
