"""What other terminals ask of a running driver, through the sweep's folder, which may be all they share.

`inbox/<id>.json` is a request, `inbox/<id>.answer.json` the driver's answer; both are written at once, and
gone when all is said. Whoever asks takes the request away again if nobody answers, and a driver that opens a
sweep empties its inbox first: nothing that was asked of one driver is done by a later one.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sweeps.store.storage import Folder

LOOK_S, LOOK_STORE_S = 1.0, 2.0
"""How often a driver looks, on a disk and on a store."""

_ANSWER = ".answer.json"


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks."""

    id: str
    what: dict[str, Any]
    by: str
    """Process and host."""


class Inbox:
    """The driver's end: a thread of its own looks, so that a slow store does not hold up the sweep.

    A context manager: leaving it ends the thread.
    """

    def __init__(self, folder: Folder) -> None:
        """Empty what is left of earlier drivers, and look from here on.

        Args:
            folder: the sweep's folder.
        """
        self._folder = folder.child("inbox")
        self._seen: set[str] = set()
        self._found: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._stop = threading.Event()
        with contextlib.suppress(OSError):
            for name in self._folder.names():
                self._folder.delete(name)
        self._every_s = LOOK_S if folder.local is not None else LOOK_STORE_S
        self._thread = threading.Thread(target=self._keep, name="inbox", daemon=True)
        self._thread.start()

    def taken(self) -> list[Request]:
        """The requests that have come since the last call."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._found.get_nowait())
        return found

    def answer(self, request: Request, answer: dict[str, Any]) -> None:
        """Say that a request was taken, and what came of it.

        Raises:
            OSError: the store refuses.
        """
        self._folder.put(request.id + _ANSWER, json.dumps(answer).encode())

    def __enter__(self) -> Inbox:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._stop.wait(self._every_s):
            with contextlib.suppress(OSError):  # a store may come back
                self._look()

    def _look(self) -> None:
        for name in self._folder.names():
            request = name.removesuffix(".json")
            if name.endswith(_ANSWER) or not name.endswith(".json") or request in self._seen:
                continue
            content = self._folder.read(name)
            self._seen.add(request)
            with contextlib.suppress(ValueError, KeyError, TypeError):  # nothing of ours
                said = json.loads(content or b"")
                self._found.put(Request(request, dict(said["what"]), str(said["by"])))


def ask(
    folder: Folder,
    what: dict[str, Any],
    *,
    timeout_s: float,
    alive: Callable[[], bool],
    look_s: float | None = None,
) -> dict[str, Any] | None:
    """Ask the driver of a sweep for something and wait until it has taken it.

    Args:
        folder: the sweep's folder.
        what: JSON.
        timeout_s: how long to wait.
        alive: whether there is a driver; asked now and then.
        look_s: how often to look for the answer; None: every 0.2 s on a disk, every second on a store.

    Returns:
        The driver's answer; None where none has come, and none will: the request has been taken away.
    """
    by = f"process {os.getpid()} on {socket.gethostname()}"
    inbox, request = folder.child("inbox"), uuid.uuid4().hex[:12]
    look_s = look_s or (0.2 if folder.local is not None else 1.0)
    end = time.monotonic() + timeout_s
    asked_at = time.monotonic()
    inbox.put(f"{request}.json", json.dumps({"what": what, "by": by}).encode())
    try:
        while True:
            time.sleep(look_s)
            living = True
            if time.monotonic() - asked_at > 10 * look_s:
                living, asked_at = alive(), time.monotonic()
            if (answer := inbox.read(request + _ANSWER)) is not None:  # also a driver's last word
                return dict(json.loads(answer))
            if not living or time.monotonic() >= end:
                return None
    finally:
        with contextlib.suppress(OSError):
            inbox.delete(f"{request}.json")
            inbox.delete(request + _ANSWER)
