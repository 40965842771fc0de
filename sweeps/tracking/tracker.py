"""The W&B side of one running sweep, as its driver sees it."""

import contextlib
import logging
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweeps.store.mirror import spool_of
from sweeps.store.storage import Folder, without_secrets
from sweeps.tracking import identity, throttle
from sweeps.tracking.order import CLOSING_S, FINISHED, LOG, Order
from sweeps.tracking.process import Process

log = logging.getLogger(__name__)

CTRL_C_S = 7.0
"""The end of a sweep that was interrupted waits no longer than this; Ray takes two or three seconds more."""

MODES = ("online", "offline", "disabled")


def order_for(folder: Folder, project: str, config: Mapping[str, Any], **more: Any) -> Order:
    """What a sink is to do for a sweep; its identity is on this machine's disk afterwards.

    Args:
        folder: the sweep's.
        project: `[entity/]project`.
        config: what W&B is to know of the sweep (`sweeps.tracking.sweep_config`).
        more: other fields of `Order`.

    Raises:
        ValueError: no possible project or mode.
    """
    identity.split(project)
    throttle.runs_per_minute()
    if more.get("mode") not in (None, *MODES):
        raise ValueError(f"The W&B mode is {more['mode']!r}; choose {', '.join(MODES)}, or None.")
    local = folder.local or spool_of(folder)  # W&B's client writes its log to a disk
    identity.fetch(folder, local)
    known = identity.load(local)
    known.project = project
    identity.save(local, known)
    journal = str(local / "journal" if folder.local is not None else local)
    fields: dict[str, Any] = {"journal": journal, "pictures": folder.uri, **more}
    where = str(local.absolute())
    return Order(name=folder.name, project=project, config=dict(config), local=where, parent=0, **fields)


class Tracker:
    """One of a sweep's outputs; to be made by its driver only, and closed by it.

    Args:
        folder, project, config: as of `order_for`.
        mode: "online", "offline" or "disabled"; None is what `WANDB_MODE` says, else online if logged in to
            W&B, else offline.
        warn: told about trouble, once for each kind; called from threads.
        tell: told the page's URL; called from a thread.

    Attributes:
        mode: how the runs are written; None until the process has said so, two seconds after its start.

    Raises:
        ValueError: no possible project or mode.
    """

    def __init__(
        self,
        folder: Folder,
        project: str,
        config: Mapping[str, Any],
        mode: str | None = None,
        *,
        warn: Callable[[str], None] = log.warning,
        tell: Callable[[str], None] = log.info,
    ) -> None:
        order = order_for(folder, project, config, mode=mode)
        self.mode: str | None = None
        self.url: str | None = None
        self._folder, self._local = folder, Path(order.local)
        self._warn, self._tell = warn, tell
        self._why: str | None = None
        self._missing: int | None = None
        self._closed = False
        self._process = Process(order, self._hear, self._fail)

    def fold(self, event: Mapping[str, Any]) -> None:
        """The process reads the journal by itself; what is needed here is why the sweep closes."""
        if event["event"] == "closed":
            self._why = event["why"]
            self._process.let_go()  # it ends while the tables are written

    def close(self) -> None:
        """Let the process come to an end: 7 s after Ctrl-C at the latest.

        A sweep that has finished waits for up to a minute, while W&B gets on. What is not there by then is
        in the sweep's journal: see `next_command`.
        """
        if self._closed:
            return
        self._closed = True
        self._process.let_go()
        began = time.monotonic()
        longest = CLOSING_S + CTRL_C_S if self._why in FINISHED else CTRL_C_S
        try:
            while not self._process.over.wait(0.05):
                now = time.monotonic()
                if now - began > longest or now - max(self._process.heard, began) > CTRL_C_S:
                    self._fail(f"W&B did not finish within {now - began:.0f} s")
                    break
        finally:  # also a second Ctrl-C
            self._process.kill()
        if self._missing:
            self._warn(f"W&B lacks something of {self._missing} runs; {self.next_command} sends it.")
        self._store()

    @property
    def next_command(self) -> str | None:
        """What sends to W&B what it has not got; None where that is nothing."""
        if self.mode == "disabled" or (self.mode == "online" and self._missing == 0):
            return None
        return f"starling sync {shlex.quote(without_secrets(self._folder.uri))}"

    def _hear(self, news: Mapping[str, Any]) -> None:
        self.mode = news.get("mode", self.mode)
        if "url" in news and self.url is None:
            self.url = str(news["url"])
            self._store()
            self._tell(self.url)
        if "warning" in news:
            self._warn(f"{news['warning']} Afterwards: {self.next_command}")
        if "error" in news:
            self._fail(f"W&B fails: {news['error']}")
        if news.get("ended") and self.mode == "online":
            self._missing = news["missing"]

    def _store(self) -> None:
        with contextlib.suppress(OSError):  # then another machine would make a page of its own
            identity.store(self._folder, self._local)

    def _fail(self, what: str) -> None:
        self._missing = None
        self._warn(
            f"{what}. The sweep's results are complete in its own store; {self.next_command} brings them to "
            f"W&B. See {self._local / LOG}."
        )
