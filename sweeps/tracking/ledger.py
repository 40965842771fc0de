"""What has arrived where, as far as this machine knows: `wandb/sent.jsonl`, one line a finished run.

W&B's own count of a run's rows is what decides when a run is opened; the ledger spares the opening of runs
in which nothing is missing, so that a second `starling sync` asks W&B for nothing.
"""

import contextlib
import json
import os
from pathlib import Path

OFFLINE = "offline"
"""The destination of runs that are written to this machine only."""


class Ledger:
    """The lines of one destination.

    Args:
        path: the file, made when the first line is written.
        to: the destination: host, entity and project in one text, or `OFFLINE`.
    """

    def __init__(self, path: Path, to: str) -> None:
        self._path, self._to = path, to
        self._known: dict[str, tuple[int, bool]] = {}
        self._torn = False
        with contextlib.suppress(FileNotFoundError):
            text = path.read_text()
            self._torn = not text.endswith("\n")
            for line in text.splitlines():
                with contextlib.suppress(ValueError):  # torn by a crash: that run is opened once more
                    one = json.loads(line)
                    if one["to"] == to:
                        self._known[one["trial"]] = (one["rows"], one["ended"])

    def rows(self, trial: str) -> int:
        """How many of a trial's rows are there, at least."""
        return self._known.get(trial, (0, False))[0]

    def ended(self, trial: str) -> bool:
        """Whether its run is finished there, with summary and state."""
        return self._known.get(trial, (0, False))[1]

    def note(self, trial: str, rows: int, ended: bool) -> None:
        """So many rows of this trial have arrived; `ended`: and nothing more will come."""
        self._known[trial] = (rows, ended)
        line = json.dumps({"to": self._to, "trial": trial, "rows": rows, "ended": ended}) + "\n"
        if self._torn:
            self._torn, line = False, "\n" + line
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)
