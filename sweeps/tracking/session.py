"""One session of a sink: W&B's sweep made or gone on with, the journal followed, everything ended in time."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from sweeps.tracking import identity, runs, throttle
from sweeps.tracking.events import Events
from sweeps.tracking.ledger import OFFLINE, Ledger
from sweeps.tracking.order import CLOSING_S, FINISHED, LOG, Order
from sweeps.tracking.sender import Sender

WAITING = 50_000
"""Rows that may wait for their runs; then the rest stays in the journal for now."""

HURRY_S, LAST_S = 2.5, 2.5
"""After Ctrl-C: how long what waits may still be sent, and how long the end of what is open may then take."""

STANDSTILL_S = 8.0
"""How long W&B may not get on at the end of a sweep that has finished."""

log = logging.getLogger("sweeps.tracking")


class Session:
    """One session of a sink.

    Args:
        order, mode: what to do, and how.
        tell: hears how it stands.
        wanted: whether it is to go on.
    """

    def __init__(
        self, order: Order, mode: str, tell: Callable[..., None], wanted: Callable[[], bool]
    ) -> None:
        self.order, self.mode, self.tell, self._wanted = order, mode, tell, wanted
        self.local = Path(order.local)
        self.entity, self.project = identity.split(order.project)
        self.known = identity.load(self.local)
        self.to = f"{runs.host()} {order.project}"
        self.sweep: dict[str, str] | None = self.known.sweeps.get(self.to)
        self._log = self.local / LOG
        self._log_began = self._log.stat().st_size
        self._told = 0.0
        self._setting: threading.Thread | None = None
        self.events = Events(Path(order.journal))
        self.sender: Sender

    # -- beginning ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Make W&B's sweep, or go on with that of earlier sessions, and be ready for runs.

        Raises:
            Failure: W&B cannot be reached, or does not make the sweep.
        """
        if self.mode == "online":
            if not runs.logged_in():
                raise PermissionError(f"no key for {runs.host()}: type `wandb login`, or set WANDB_API_KEY")
            _knock(runs.host())
            if self.sweep is None:
                work = lambda: runs.create_sweep(self.order.config, self.entity, self.project)  # noqa: E731
                self._keep(runs.patiently(work, self.limited))
            elif self.sweep["state"] != "RUNNING":
                self._set_state("RUNNING")
            assert self.sweep is not None
            self.tell(url=self.sweep["url"])
        self.tell(mode=self.mode)
        sweep = self.sweep or {}
        online = self.mode == "online"
        self.sender = Sender(
            runs.Runs(
                project=sweep.get("project") or self.project,
                entity=sweep.get("entity") or self.entity,
                group=self.order.name,
                prefix=f"{identity.run_name(self.order.name)}-{self.known.key}",
                folder=self.local,
                mode=self.mode,
                sweep=sweep.get("id"),
            ),
            Ledger(self.local / identity.LEDGER, self.to if online else OFFLINE),
            throttle.Throttle(throttle.runs_per_minute()) if online else None,
            limited=self.limited,
            pictures=self.pictures,
        )

    def _keep(self, sweep: dict[str, str]) -> None:
        self.sweep = self.known.sweeps[self.to] = sweep
        identity.save(self.local, self.known)

    def _set_state(self, state: str) -> None:
        """In the background, and only for show: whatever comes of it, the runs go on."""
        sweep = self.sweep
        assert sweep is not None
        before = self._setting

        def work() -> None:
            if before is not None:
                before.join()  # else the earlier state might be the last to arrive
            if (problem := runs.set_state(sweep, state)) is not None:
                log.warning("the sweep's state is not set to %s: %s", state, problem)
            else:
                self._keep({**sweep, "state": state})

        self._setting = threading.Thread(target=work, daemon=True)
        self._setting.start()

    def limited(self) -> bool:
        """Whether W&B has answered since the start that there are too many requests: its client says so."""
        with self._log.open("rb") as file:
            file.seek(self._log_began)
            return b"429 encountered" in file.read()

    def pictures(self, checkpoint: str) -> Mapping[str, Path]:
        """The pictures in a checkpoint, by name; those of a store are brought to this machine."""
        where = self.order.pictures
        if where is None:
            return {}
        if "://" not in where:
            return {path.stem: path for path in sorted((Path(where) / checkpoint).glob("*.png"))}
        from sweeps.store.storage import open_folder

        found: dict[str, Path] = {}
        try:
            folder = open_folder(where).child(checkpoint)
            for name in folder.names():
                if name.endswith(".png") and (content := folder.read(name)) is not None:
                    found[name.removesuffix(".png")] = path = self.local / "wandb" / name
                    path.write_bytes(content)
        except (OSError, ValueError) as error:
            log.warning("the pictures of %s cannot be read: %s", checkpoint, error)
        return found

    # -- going on ----------------------------------------------------------------------------------

    def turn(self) -> bool:
        """Read on and write; whether there was anything new in the journal."""
        new = self.events.take() if self.sender.waiting < WAITING else []
        touched: dict[str, None] = {}
        for event in new:
            self.sender.fold(event)
            if trial := event.get("trial"):
                touched[trial] = None
            touched.update((copied["trial"], None) for copied in event.get("copied") or ())
        self.sender.write(touched)
        self.sender.work()
        if time.monotonic() - self._told > 0.5:
            self._told = time.monotonic()
            self.tell(done=self.sender.done, runs=self.sender.whole, of=self.sender.seen)
        return bool(new)

    def run(self) -> None:
        """Follow the journal until the input ends, then come to an end."""
        while self.order.once or self._wanted():
            new = self.turn()
            if self.order.once and not new and not self.sender.busy:
                break
            if not new:
                self.sender.wait(0.02 if self.sender.busy else 0.2)
        if not self.order.once:
            self.come_to_an_end()
        self.end()

    def come_to_an_end(self) -> None:
        """Send what there is to send while W&B gets on, but not for ever."""
        began = moved = time.monotonic()
        done = -1
        while True:
            new = self.turn()
            now = time.monotonic()
            if self.sender.done != done:
                done, moved = self.sender.done, now
            if not new and not self.sender.busy:
                return
            finished = self.sender.why in FINISHED
            longest, standstill = (CLOSING_S, STANDSTILL_S) if finished else (HURRY_S, HURRY_S)
            if now - began > longest or now - moved > standstill:
                if self.mode == "online" and not self.sender.done:
                    raise TimeoutError("it has made no run yet")
                return
            if not new:
                self.sender.wait(0.02)

    def end(self) -> None:
        """Finish what is open, and tell W&B how the sweep stands."""
        self.sender.interrupt()
        deadline = time.monotonic() + (CLOSING_S if self.order.once else LAST_S)
        while self.sender.busy and time.monotonic() < deadline:
            self.sender.work()
            self.sender.wait(0.02)
        missing = self.sender.missing
        if self.mode == "online":
            if self.sender.why not in FINISHED:
                self._set_state("PAUSED")
            elif not missing:
                self._set_state("FINISHED")
            if self._setting is not None:
                self._setting.join(max(0.5, deadline - time.monotonic()))
        self.tell(ended=True, missing=missing, runs=self.sender.whole, of=self.sender.seen)


def _knock(address: str) -> None:
    """ConnectionError within seconds where nobody listens; W&B's client would try for as long as it may."""
    parts = urlsplit(address)
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")):
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except OSError as error:
        raise ConnectionError(f"nobody answers at {address}: {error.strerror or error}") from error
