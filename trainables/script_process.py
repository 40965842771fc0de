"""One run of a W&B script as a process group of its own, whose logged rows are read while it runs."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from trainables.wandb_log import LogReader, Row

FILES = ("stdout.txt", "stderr.txt")
TAIL_LINES = 20
CHATTER = re.compile(r"(\x1b\[[\d;]*m)*wandb(\x1b\[0m)?: ")  # lines of the wandb client, coloured or not

# Ends the script's process group when the process that started it is gone: end of file on standard input,
# which a kill -9 brings about too. "Stand down" is a second line. The outer shell leaves at once, so that
# nobody who kills the children of a dying process (Ray does) finds the guard among them.
GUARD = """
exec 3<&0
(
    read -r group <&3 || exit 0
    read -r stand_down <&3 && exit 0
    kill -s TERM -- "-$group" && sleep "$1"
    kill -s KILL -- "-$group"
) >/dev/null 2>&1 &
"""


class ScriptProcess:
    """A running script.

    Its output is appended to `stdout.txt` and `stderr.txt` in `folder`; W&B's files are in `folder/wandb`.

    Args:
        command: what to execute.
        environment: all of its environment but `WANDB_DIR`, which is `folder`.
        working_directory: where it runs.
        folder: the trial's folder; made if absent. Logs of earlier attempts in it are not read.
        grace_s: seconds between SIGTERM and SIGKILL when the script is to end.

    Raises:
        OSError: the command cannot be executed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        working_directory: Path,
        folder: Path,
        grace_s: float,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.grace_s = grace_s
        self._known = set(self._logs())
        self._readers: dict[Path, LogReader] = {}
        self._rows: deque[Row] = deque()
        self._errors = folder / "stderr.txt"
        self._guard = self._start_guard()
        try:
            with (folder / "stdout.txt").open("ab") as out, self._errors.open("ab") as errors:
                self._errors_start = errors.tell()
                self._popen = subprocess.Popen(
                    command,
                    env={**environment, "WANDB_DIR": str(folder)},
                    cwd=working_directory,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=errors,
                    process_group=0,
                )
        except OSError:
            self._guard.close()
            raise
        self._guard.write(b"%d\n" % self._popen.pid)

    def next_row(self) -> Row | None:
        """The next row that the script logged, waiting for it. None: it has ended and all rows were given."""
        pause_s = 0.005
        while True:
            ended = self._popen.poll() is not None  # asked before reading: what it wrote by then is read
            self._read()
            if self._rows:
                return self._rows.popleft()
            if ended:
                return None
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.1)

    @property
    def exit_code(self) -> int | None:
        """As `subprocess.Popen.returncode`: None while it runs, -n when signal n ended it."""
        return self._popen.poll()

    def last_lines(self) -> str:
        """The end of what this attempt wrote to standard error, without the lines of the `wandb` client."""
        with self._errors.open("rb") as file:
            file.seek(max(self._errors_start, file.seek(0, os.SEEK_END) - 65536))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join([line for line in lines if not CHATTER.match(line)][-TAIL_LINES:])

    def end(self) -> None:
        """End the whole process group, also what the script left behind; returns when the script is gone."""
        if self._guard.closed:
            return
        if self._popen.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):  # it ignores SIGTERM
                self._popen.wait(self.grace_s)
        self._signal(signal.SIGKILL)
        self._popen.wait()
        try:
            self._guard.write(b"\n")
        finally:
            self._guard.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # nobody is left
            os.killpg(self._popen.pid, number)

    def _start_guard(self) -> IO[bytes]:
        shell = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        shell.wait()
        assert shell.stdin is not None
        return shell.stdin

    def _logs(self) -> list[Path]:
        return sorted(self.folder.glob("wandb/*run-*/run-*.wandb"))  # [offline-]run-<time>-<id>

    def _read(self) -> None:
        for path in self._logs():
            if path not in self._known:
                self._known.add(path)
                self._readers[path] = LogReader(path)
        for reader in self._readers.values():
            self._rows.extend(reader.rows())
