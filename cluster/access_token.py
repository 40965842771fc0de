"""The token that opens a cluster's Ray; without it anybody who reaches a port runs code (CVE-2023-48022).

One file, made once, for all of a user's clusters: a YAML's `file_mounts` take its folder to the nodes. A
folder and not the file alone, because Ray's copy of a single file loses the mode.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

FILE = "~/.starling/token/auth_token"


def ensure() -> Path:
    """The token's file, mode 0600 in a folder of mode 0700; made if there is none.

    Raises:
        ValueError: it is there and empty.
    """
    file = Path(FILE).expanduser()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        file.chmod(0o600)
        if not file.read_text().strip():
            raise ValueError(f"{file} is empty; delete it, and a token is made anew") from None
        return file
    with os.fdopen(made, "w") as out:
        out.write(secrets.token_hex(32))
    return file
