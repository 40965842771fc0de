"""The sink's process seen from outside: started, heard, started again where it broke down, and ended."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeps.tracking.order import LOG, TRY_OFFLINE, Order

FOREIGN = frozenset(
    f"WANDB_{name}"
    for name in ("RUN_ID", "SWEEP_ID", "SWEEP_PARAM_PATH", "SERVICE", "RESUME", "NAME", "RUN_GROUP", "DIR")
)
"""Settings of a surrounding W&B run, which would take our runs away from their ids."""

RESTARTS = 3
"""How often a sink that was killed or broke down is started again: it loses nothing and doubles nothing."""

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """One sink.

    Credentials reach it through the environment and W&B's own files; they are written nowhere.

    Args:
        order: what it is to do, but for the parent.
        news: told what it says; called from a thread.
        broken: told why it cannot go on; called from a thread, once.
    """

    def __init__(
        self, order: Order, news: Callable[[dict[str, Any]], None], broken: Callable[[str], None]
    ) -> None:
        self._order, self._news, self._broken = order, news, broken
        self._mutex = threading.Lock()
        self._closing = self._killed = False
        self._restarts = RESTARTS
        self.heard = time.monotonic()
        """When it last said something."""

        self.over = threading.Event()
        """Set when it has ended and is not started again."""

        self._start()
        self._thread = threading.Thread(target=self._listen, name="wandb-listen", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._process.pid

    def let_go(self) -> None:
        """It is to come to an end by itself."""
        with self._mutex:
            self._closing = True
            self._close_input()

    def kill(self) -> None:
        """It ends now. W&B's own service, its child, ends with it."""
        with self._mutex:
            self._closing = self._killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._close_input()
        self.over.wait(5)

    def _start(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        local = Path(self._order.local)
        (local / LOG).parent.mkdir(parents=True, exist_ok=True)
        with (local / LOG).open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sweeps.tracking.sink"],  # -P: its folder is not for importing
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**inherited, "PYTHONPATH": path},
                cwd=local,
                start_new_session=True,  # a Ctrl-C in the terminal is for the driver
            )
        assert self._process.stdin is not None
        order = {**dataclasses.asdict(self._order), "parent": os.getpid()}
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        if self._closing:
            self._close_input()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _listen(self) -> None:
        """Thread: what it says, and what becomes of it."""
        while True:
            ended = self._hear()
            code = self._process.wait()
            with self._mutex:
                self._close_input()
                offline = code == TRY_OFFLINE and self._order.mode != "offline"
                again = offline or (not ended and self._restarts > 0)
                if again and not self._killed:
                    self._restarts -= not offline
                    if offline:
                        self._order = dataclasses.replace(self._order, mode="offline")
                    self._start()
                    continue
            break
        self.over.set()
        if not ended and not self._killed:
            self._broken(f"the W&B process has ended early, with code {code}")

    def _hear(self) -> bool:
        """Pass on what it says, until it has said the last; whether it has."""
        ended = False
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            for line in pipe:
                self.heard = time.monotonic()
                with contextlib.suppress(ValueError):  # half a line of a killed process
                    news = json.loads(line)
                    ended = ended or "ended" in news or "error" in news
                    self._news(news)
        return ended
