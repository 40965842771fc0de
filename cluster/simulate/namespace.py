"""A private space of processes (Linux): inside only its own are seen, and they all end with the first one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

AS_ANYBODY = ("--user", "--map-root-user")
OPTIONS = ("--pid", "--fork", "--kill-child", "--mount-proc")


def command(words: Sequence[str]) -> list[str]:
    """`words` so that they run in a process namespace of their own.

    Raises:
        PermissionError: this machine does not let this user make one.
    """
    unshare = shutil.which("unshare")
    said = "there is no program `unshare` (package util-linux)"
    for rights in (AS_ANYBODY, ()) if unshare else ():
        prefix = [str(unshare), *rights, *OPTIONS]
        done = subprocess.run([*prefix, "true"], capture_output=True, text=True)
        if done.returncode == 0:
            return [*prefix, *words]
        said = done.stderr.strip()
    raise PermissionError(
        f"a simulation runs in a process namespace of its own, which is not to be had here: {said}. Allow "
        "unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or "
        "kernel.apparmor_restrict_unprivileged_userns=0), or run it as root; in Docker with "
        "--security-opt seccomp=unconfined"
    )
