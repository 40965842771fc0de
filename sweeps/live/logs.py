"""`starling logs`: what the processes of a trial printed, read from the sweep's folder.

Ranks write `log-rank<R>.txt` (`trainables.engine.output`), a W&B script `stdout.txt` and `stderr.txt`. Where
there is more than one file, each line says whose it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time

from sweeps.live.state import ENDED, LiveSweep
from sweeps.results import Results
from sweeps.store.storage import Folder
from sweeps.store.tail import read_from

LOOK_S, LOOK_STORE_S = 0.5, 3.0
LATE_S = 6.0
"""On a store a trial's last lines come after its end; so long they are waited for."""
_BLOCK = 64 * 1024
_RANK = re.compile(r"log-rank(\d+)\.txt")
_SCRIPT = {"stdout.txt": "out", "stderr.txt": "err"}


def show(
    where: str | os.PathLike[str],
    given: str,
    *,
    rank: int | None = None,
    lines: int | None = None,
    follow: bool = False,
) -> int:
    """Print a trial's output.

    Args:
        where: the sweep's folder.
        given: the trial.
        rank: only this one's; None: all.
        lines: only so many of the last lines of each rank; None: all.
        follow: go on until the trial has ended.

    Returns:
        0; 130 after Ctrl-C, which only ends the reading.

    Raises:
        ValueError: there is no such sweep, trial or rank.
    """
    if lines is not None and lines < 0:
        raise ValueError(f"-n is {lines}; give how many lines to show, 0 or more")
    sweep = LiveSweep(where)
    trial = sweep.known(given)
    ranks = int((Results(sweep.folder).manifest.rest.get("resources") or {}).get("ranks") or 1)
    if rank is not None and not 0 <= rank < ranks:
        raise ValueError(f"--rank is {rank}; the trials of {sweep.folder.uri} have ranks 0 to {ranks - 1}")
    files = _Files(sweep.folder.child(f"trials/{trial}"), rank, labelled=rank is None and ranks > 1)
    try:
        files.read(last=lines)
        while follow and sweep.state == "running" and sweep.trials[trial].state not in ENDED:
            time.sleep(LOOK_S if sweep.folder.local is not None else LOOK_STORE_S)
            with contextlib.suppress(OSError):  # a store may come back
                sweep.look()  # before the files: what was printed by the end is read
                files.read()
        if follow and sweep.folder.local is None:
            time.sleep(LATE_S)
            files.read()
        files.end()
    except KeyboardInterrupt:
        return 130
    if word := _last_word(sweep, trial, files.empty):
        print(f"starling: {word}", file=sys.stderr)
    return 0


def _last_word(sweep: LiveSweep, trial: str, empty: bool) -> str:
    """What the output itself does not say: how the trial failed, or why there is nothing."""
    standing = sweep.trials[trial]
    reason = (standing.reason.strip().splitlines() or [""])[-1]
    if standing.state == "failed":
        return f"{trial} failed: {reason}"
    if not empty:
        return ""
    if standing.state == "pending" and not standing.iteration:
        return f"{trial} has not started yet, or has printed nothing"
    return f"{trial} ({standing.state}) has printed nothing" + (
        ", or only seconds ago" if sweep.folder.local is None and standing.state not in ENDED else ""
    )


class _Files:
    """The files of one trial, each read from where it was read to."""

    def __init__(self, folder: Folder, rank: int | None, labelled: bool) -> None:
        self.folder, self.rank, self.labelled = folder, rank, labelled
        self.empty = True
        self._read: dict[str, int] = {}
        self._seen: dict[str, bytes] = {}
        self._begun: dict[str, bytes] = {}  # lines without an end so far

    def read(self, last: int | None = None) -> None:
        """Print what is new.

        Args:
            last: of each file only so many of its last lines.
        """
        for name in filter(self._mine, self.folder.names()):
            if last is not None:
                self._read[name] = _start_of(self.folder, name, last)
            while content := self._next(name):
                self.empty = False
                content = self._begun.get(name, b"") + content
                end = max(content.rfind(b"\n"), content.rfind(b"\r")) + 1
                self._begun[name] = content[end:]
                self._print(name, content[:end])
        sys.stdout.flush()

    def end(self) -> None:
        """Print lines that never ended."""
        for name, content in self._begun.items():
            self._print(name, content + b"\n" if content else b"")
        sys.stdout.flush()

    def _mine(self, name: str) -> bool:
        found = _RANK.fullmatch(name)
        if found is None:
            return name in _SCRIPT and not self.rank
        return self.rank is None or int(found[1]) == self.rank

    def _next(self, name: str) -> bytes:
        """The next block of a file. One that has been cut at its beginning goes on behind what was seen."""
        at = self._read.get(name, 0)
        content = read_from(self.folder, name, at, _BLOCK)
        if not content and at and len(whole := read_from(self.folder, name, 0)) < at:
            seen = self._seen.get(name, b"")
            found = whole.rfind(seen) if seen else -1
            at = found + len(seen) if found >= 0 else 0
            content = whole[at:]
        self._read[name] = at + len(content)
        self._seen[name] = (self._seen.get(name, b"") + content)[-200:]
        return content

    def _print(self, name: str, content: bytes) -> None:
        text = content.decode(errors="replace")
        found = _RANK.fullmatch(name)
        if found and not self.labelled:
            sys.stdout.write(text)
            return
        label = found[1] if found else _SCRIPT[name]
        sys.stdout.writelines(f"[{label}] {line}\n" for line in text.splitlines())


def _start_of(folder: Folder, name: str, lines: int) -> int:
    """Where the last lines of a file begin."""
    size = int(folder.filesystem.get_file_info(folder.at(name)).size or 0)
    if lines == 0:
        return size
    block = _BLOCK
    while True:
        begin = max(0, size - block)
        content = read_from(folder, name, begin, size - begin)
        ends = [at for at, byte in enumerate(content[:-1]) if byte == 10]
        if len(ends) >= lines:
            return begin + ends[-lines] + 1
        if begin == 0:
            return 0
        block *= 4
