"""What W&B lacks of a sweep, sent from its journal: after a crash, without a network, or long afterwards."""

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeps import journal
from sweeps.store.manifest import read_manifest
from sweeps.store.mirror import spool_of
from sweeps.store.storage import Folder, open_folder
from sweeps.tracking import identity, sweep_config
from sweeps.tracking.process import Process
from sweeps.tracking.tracker import order_for


@dataclasses.dataclass(kw_only=True, slots=True)
class Sent:
    """How far it went."""

    runs: int = 0
    """Runs of ended trials that are whole at their destination, those of earlier calls included."""

    of: int = 0
    """Runs that there are to be."""

    missing: int | None = None
    """Runs of which something has not arrived; None: it is not known, as the sending broke off."""

    mode: str | None = None
    """online or offline."""

    url: str | None = None
    """The sweep's page."""

    local: str | None = None
    """Where W&B's logs were written, if offline."""

    error: str | None = None
    """Why it broke off."""


def send(
    where: str | os.PathLike[str] | Folder,
    project: str | None = None,
    *,
    mode: str | None = "online",
    progress: Callable[[Sent], None] = lambda _: None,
) -> Sent:
    """Bring W&B up to a sweep's journal. A second call finds nothing to send.

    Args:
        where: the sweep's folder; no driver may be running it.
        project: `[entity/]project`; None: where the sweep was tracked, or exported to last.
        mode: "online"; None: as W&B is set up here, so perhaps only logs on this machine.
        progress: told from another thread.

    Raises:
        ValueError: no sweep there, it is running, or nobody says which project.
        KeyboardInterrupt: Ctrl-C; what was sent is sent, and the next call goes on.
    """
    folder = open_folder(where)
    manifest = read_manifest(folder)
    if manifest is None:
        raise ValueError(
            f"{folder.uri!r} holds no sweep: it has no manifest.json. Give the sweep's own folder, "
            "<storage>/<name>; `starling ls STORAGE` lists those that there are."
        )
    if journal.is_running(folder):
        raise ValueError(f"{folder.uri} is running just now, and sends by itself; wait for its end.")
    target = project or _project_of(folder)
    if target is None:
        raise ValueError(
            f"{folder.uri} was not tracked with W&B. Name a project: "
            f"`starling export {folder.uri} --to wandb --project ENTITY/PROJECT`."
        )
    config = sweep_config.of_folder(folder, folder.name, manifest.objectives)
    sent = Sent()

    def hear(news: Mapping[str, Any]) -> None:
        for name in ("runs", "of", "missing", "mode", "url", "error"):
            if name in news:
                setattr(sent, name, news[name])
        progress(sent)

    with _segments(folder) as directory:
        order = order_for(folder, target, config, mode=mode, once=True)
        order = dataclasses.replace(order, journal=str(directory))
        sent.local = order.local
        process = Process(order, hear, lambda why: setattr(sent, "error", why))
        try:
            _wait(process.over)
        finally:
            process.kill()
    with contextlib.suppress(OSError):  # then another machine asks W&B what it has
        identity.store(folder, Path(order.local))
    return sent


def _wait(over: threading.Event) -> None:
    while not over.wait(0.2):  # a wait without end would not see Ctrl-C
        pass


def _project_of(folder: Folder) -> str | None:
    """Where a sweep was tracked or exported to last, else where its file says."""
    from sweeps.files import options

    local = folder.local or spool_of(folder)
    identity.fetch(folder, local)
    if project := identity.load(local).project:
        return project
    spec = folder.read("spec.yaml")
    return options.read_yaml(spec.decode()).get("wandb") if spec is not None else None


@contextlib.contextmanager
def _segments(folder: Folder) -> Iterator[Path]:
    """The journal's segments on this machine; those of a store are brought here for the time being."""
    inside = folder.child("journal")
    if inside.local is not None:
        yield inside.local
        return
    with TemporaryDirectory(prefix="starling-journal-") as place:
        for name in inside.names():
            if name.endswith(".jsonl"):
                (Path(place) / name).write_bytes(inside.read(name) or b"")
        yield Path(place)
