"""What a person reads while a sweep is sent to W&B, and afterwards."""

import shlex
import sys
import time
from types import TracebackType
from typing import Self

from sweeps.tracking.sync import Sent

REPEAT_S = 10.0
"""Between two lines of progress, where there is no terminal to redraw one on."""


class Progress:
    """One line on the standard error, redrawn on a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._terminal = quiet, sys.stderr.isatty()
        self._began = self._shown = time.monotonic()
        self._drawn = False

    def show(self, sent: Sent) -> None:
        """So far."""
        now = time.monotonic()
        if self._quiet or not sent.of or (not self._terminal and now - self._shown < REPEAT_S):
            return
        self._shown = now
        line = f"{sent.runs} of {sent.of} runs, {now - self._began:.0f} s"
        print(f"\r{line}\033[K" if self._terminal else line, end="" if self._terminal else "\n",
              file=sys.stderr, flush=True)  # fmt: skip
        self._drawn = self._terminal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            print(file=sys.stderr)


def words(sent: Sent, path: str) -> str:
    """How it ended, in a line or two."""
    again = f"starling sync {shlex.quote(path)}"
    if sent.error is not None:
        return f"W&B fails: {sent.error}\nnothing is lost; try again: {again}"
    if sent.missing:
        return f"W&B lacks something of {sent.missing} runs; what they have is kept. Go on with: {again}"
    if sent.mode == "offline":
        return f"{sent.of} runs are in {sent.local}/wandb, as W&B's logs; send them with: {again}"
    if sent.mode == "disabled":
        return "W&B is disabled here (WANDB_MODE); nothing was sent"
    return f"all {sent.of} runs are on W&B: {sent.url}"
