"""Weights & Biases: every trial of a sweep as a run, written by one process beside the driver.

The driver's calls only put a line on a bounded queue; a thread hands it to the process
(`sweeps/wandb_sink.py`). Whatever goes wrong with W&B, the sweep goes on: there is one warning, and the
results are in the sweep's own store.
"""

import contextlib
import json
import logging
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

SINK = Path(__file__).with_name("wandb_sink.py")
MODES = ("online", "offline", "disabled")
FOREIGN = frozenset(
    f"WANDB_{name}"
    for name in ("RUN_ID", "SWEEP_ID", "SWEEP_PARAM_PATH", "SERVICE", "RESUME", "NAME", "RUN_GROUP", "DIR")
)
"""Settings of a surrounding W&B run, which would take our runs away from their ids."""


class Tracker:
    """The W&B side of one sweep; to be made by its driver only.

    A run's id is `<sweep name>-<key>-<trial id>`, where the key is drawn once per sweep and kept in
    `<folder>/wandb/key`: a resumed sweep continues its runs, and a second sweep of the same name does not
    touch them. Credentials reach the process through the environment and W&B's own files; they are written
    nowhere.

    Args:
        project: W&B project.
        entity: user or team; None is the account's default.
        sweep_name: the runs' group.
        folder: the sweep's local folder; W&B's files come into its `wandb/`, readable 0.2 s after they were
            logged, also after a `kill -9` of anything.
        mode: "online", "offline" or "disabled"; None is what `WANDB_MODE` says, else online if logged in to
            W&B, else offline.
        queue_mib: what may wait for a slow W&B, in MiB of text; then rows are left out, and a warning counts
            them.
        warn: told about trouble, once for each kind; called from threads.

    Attributes:
        mode: how the runs are written; None until the process has said so, a second after its start.

    Raises:
        ValueError: no possible project or mode.
    """

    def __init__(
        self,
        project: str,
        entity: str | None,
        sweep_name: str,
        folder: Path,
        mode: str | None = None,
        *,
        queue_mib: float = 64,
        warn: Callable[[str], None] = log.warning,
    ) -> None:
        if not project or re.search(r"[/\\#?%:]", project):
            raise ValueError(f"The W&B project is {project!r}; give a name without / \\ # ? % and colon.")
        if mode not in (None, *MODES):
            raise ValueError(f"The W&B mode is {mode!r}; choose {', '.join(MODES)}, or None.")
        self.mode: str | None = None
        self.folder = folder
        self._warn = warn
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._limit_bytes = int(queue_mib * 2**20)
        self._changed = threading.Condition()
        self._left_out = 0
        self._closing = False
        self._broken = False
        first = {
            "project": project,
            "entity": entity,
            "group": sweep_name,
            "prefix": f"{run_name(sweep_name)}-{_key(folder)}",
            "folder": str(folder.absolute()),
            "mode": mode,
        }
        self._put(first)
        inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        with (folder / "wandb" / "sink.log").open("ab") as errors:
            self._process = subprocess.Popen(
                # -P: our folder is not for importing; its `console` and others would hide libraries' modules.
                [sys.executable, "-P", str(SINK), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={"WANDB_INIT_TIMEOUT": "30", **inherited},  # seconds, then offline; W&B's own 90 are long
                cwd=folder,
                start_new_session=True,  # a Ctrl-C in the terminal is for the driver
            )
        self._threads = [
            threading.Thread(target=work, name=f"wandb-{work.__name__}", daemon=True)
            for work in (self._write, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """A trial runs, for the first time, again, or with a new configuration."""
        self._put({"event": "started", "trial": trial_id, "config": config})

    def row(self, trial_id: str, iteration: int, copies: int, metrics: Mapping[str, Any]) -> None:
        """One new result; `copies` (of other trials into this one, by PBT) is logged where there are any."""
        own = {"training_iteration": iteration, **({"copies": copies} if copies else {})}
        self._put({"event": "row", "trial": trial_id, "metrics": {**metrics, **own}}, droppable=True)

    def trial_ended(self, trial_id: str, state: str, summary: Mapping[str, Any]) -> None:
        """A trial is over: `state` is completed, stopped or failed."""
        self._put({"event": "ended", "trial": trial_id, "state": state, "summary": summary})

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish all runs, those without an end as interrupted; returns after `timeout_s` at the latest.

        What is not uploaded by then is on disk: see `next_command`.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._fail(f"W&B did not finish within {timeout_s:g} s.")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        if self._left_out:
            self._warn(f"W&B was too slow for {self._left_out} rows; they are in the sweep's results only.")

    @property
    def next_command(self) -> str | None:
        """What sends the runs to W&B; None where that is done."""
        if self.mode == "online" and not self._broken:
            return None
        return f"wandb sync --include-online {self.folder / 'wandb'}/*run-*"

    def _put(self, message: Mapping[str, Any], *, droppable: bool = False) -> None:
        line = json.dumps(message, default=_jsonable).encode() + b"\n"
        with self._changed:
            if self._closing or self._broken:
                return
            if droppable and self._waiting_bytes + len(line) > self._limit_bytes:
                self._left_out += 1
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._changed.notify()

    def _write(self) -> None:
        """Thread: from the queue into the process's input."""
        assert self._process.stdin is not None
        try:
            with self._process.stdin as pipe:
                while True:
                    with self._changed:
                        self._changed.wait_for(lambda: self._waiting or self._closing)
                        lines = [*self._waiting]
                        self._waiting.clear()
                        if not lines:
                            return
                    for line in lines:
                        pipe.write(line)
                        with self._changed:
                            self._waiting_bytes -= len(line)
                    pipe.flush()
        except OSError:
            self._fail("the W&B process has ended early.")

    def _listen(self) -> None:
        """Thread: what the process says on its standard output."""
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            for line in pipe:
                news = json.loads(line)
                self.mode = news.get("mode", self.mode)
                if "warning" in news:
                    self._warn(news["warning"])
        if self._process.wait() and not self._broken:
            self._fail(f"the W&B process has ended early, with code {self._process.returncode}.")

    def _fail(self, what: str) -> None:
        with self._changed:
            if self._broken:
                return
            self._broken = True
            self._waiting.clear()
            self._changed.notify()
        self._warn(
            f"{what} The sweep goes on without W&B; its results are complete in its own store. "
            f"See {self.folder / 'wandb' / 'sink.log'}; what was logged can be sent with: {self.next_command}"
        )


def run_name(sweep_name: str) -> str:
    """A sweep's name in the letters that a W&B run id may have, at most 80 of them."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", sweep_name)[:80]


def _key(folder: Path) -> str:
    """Six letters that tell this sweep from others of its name; drawn once."""
    path = folder / "wandb" / "key"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if key := path.read_text().strip():
            return key
    key = secrets.token_hex(3)
    path.write_text(key + "\n")
    return key


def _jsonable(value: Any) -> Any:
    """NumPy's scalars and arrays as Python's; whatever else a metric may be, as its text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
