"""Who a sweep is in W&B, kept with it in `wandb/identity.json`: key of its runs, project, id of its page."""

import contextlib
import json
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.store.storage import Folder  # not at run time: the sink can do without pyarrow's 40 MB

FILE = "wandb/identity.json"
LEDGER = "wandb/sent.jsonl"


@dataclass(slots=True)
class Identity:
    """What a resume needs to go on with the same runs on the same page."""

    key: str
    """Six letters that tell this sweep from others of its name, drawn once: run ids contain it."""

    project: str = ""
    """`project` or `entity/project`, as it was given last."""

    sweeps: dict[str, dict[str, str]] = field(default_factory=dict)
    """Destination -> W&B's sweep there: its `id`, `entity`, `project`, `url` and `state`."""


def load(local: Path) -> Identity:
    """The identity in a sweep's local folder; a new one, not written yet, where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return Identity(**json.loads((local / FILE).read_text()))
    with contextlib.suppress(FileNotFoundError):  # a sweep begun before there was an identity
        if key := (local / "wandb" / "key").read_text().strip():
            return Identity(key)
    return Identity(secrets.token_hex(3))


def save(local: Path, identity: Identity) -> None:
    """Write it, whole or not at all."""
    told: dict[str, Any] = {"key": identity.key, "project": identity.project, "sweeps": identity.sweeps}
    _put(local / FILE, (json.dumps(told, indent=1) + "\n").encode())


def fetch(folder: "Folder", local: Path) -> None:
    """Bring what a store has of it to this machine, where another machine ran the sweep before."""
    if folder.local is None:
        for name in (FILE, LEDGER):
            if not (local / name).exists() and (content := folder.read(name)) is not None:
                _put(local / name, content)


def store(folder: "Folder", local: Path) -> None:
    """Bring it to the sweep's store, for other machines."""
    if folder.local is None:
        for name in (FILE, LEDGER):
            with contextlib.suppress(FileNotFoundError):
                folder.put(name, (local / name).read_bytes())


def run_name(sweep_name: str) -> str:
    """A sweep's name in the letters that a W&B run id may have, at most 80 of them."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", sweep_name)[:80]


def split(project: str) -> tuple[str | None, str]:
    """Entity and project of `[entity/]project`.

    Raises:
        ValueError: W&B takes no such name.
    """
    entity, _, name = project.rpartition("/")
    if not name or re.search(r"[/\\#?%:]", name) or re.search(r"[/\\#?%:]", entity):
        raise ValueError(
            f"The W&B project is {project!r}; give PROJECT or ENTITY/PROJECT, without / \\ # ? % and colon."
        )
    return entity or None, name


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(content)
    aside.replace(path)
