"""One thing that outlived its cluster, and how the command line of a cloud is asked for such things."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TAG = "ray-cluster-name"
"""Ray's tag, or label, on the nodes of a cluster; its value is the cluster's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """One thing that is still there, or a search that could not be made."""

    kind: str
    name: str
    urgent: bool
    """It costs money or holds a machine. False: it costs nothing, and the next `up` would use it."""
    remove: str
    """The command that removes it, or that searches where we could not."""


def ask(words: list[str], kind: str) -> Iterator[dict[str, Any] | Leftover]:
    """A list of objects from a cloud's command line; where that is not to be had, the command to type."""
    if shutil.which(words[0]) is None:
        problem = f"{words[0]} is not installed"
    else:
        ended = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if ended.returncode == 0:
            yield from json.loads(ended.stdout or "[]")
            return
        problem = (ended.stderr.strip().splitlines() or ["it failed"])[-1]
    yield Leftover(kind=f"{kind}: not searched,", name=problem, urgent=True, remove=shlex.join(words))
