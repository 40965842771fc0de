"""The process that holds all W&B runs of a sweep: `python -m sweeps.tracking.sink`.

It is started by `sweeps.tracking.process`, which gives it one line of JSON (`Order`) on its standard input
and keeps that open for as long as it is wanted. It says how it stands in lines of JSON on its standard
output, an empty one now and then. It imports nothing of Ray and cannot be hurt by the driver's state; it
ignores Ctrl-C; when its input ends, or its parent is gone, it brings W&B up to the journal's end within its
time, finishes what still runs as interrupted, and ends.
"""

import contextlib
import fcntl
import json
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from sweeps.tracking.order import TRY_OFFLINE, Order

LOCK_S = 15.0
"""How long the sink of an earlier session may take to end."""

SIGN_S = 1.0
"""Between two signs of life."""

log = logging.getLogger("sweeps.tracking")


def main() -> None:
    """Read the order, carry it out."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    status = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to our log, not into the status
    logging.basicConfig(format="%(asctime)s %(message)s")
    order = _read_order()
    threading.Thread(target=_live, args=(status,), daemon=True).start()
    if order.mode is not None:
        os.environ["WANDB_MODE"] = order.mode
    from sweeps.tracking import runs  # W&B's client takes seconds to import

    mode = order.mode
    try:
        mode = mode or runs.usual_mode()
        with _alone(Path(order.local) / "wandb" / ".lock"):
            _carry_out(order, mode, status)
    except runs.Failure as error:
        log.exception("W&B failed")
        if order.once or mode != "online":
            _tell(status, error=_words(error))
            _leave(1)
        _tell(status, warning=f"W&B fails ({_words(error)}); logging goes on offline.")
        _leave(TRY_OFFLINE)
    _leave(0)


def _carry_out(order: Order, mode: str, status: IO[str]) -> None:
    def tell(**news: Any) -> None:
        _tell(status, **news)

    if mode == "disabled":
        tell(mode="disabled")
        while not order.once and _wanted(order.parent, 1.0):
            pass
        tell(ended=True, missing=0, runs=0, of=0)
        return
    from sweeps.tracking.session import Session

    session = Session(order, mode, tell, lambda: _wanted(order.parent, 0.0))
    session.begin()
    session.run()


def _tell(status: IO[str], **news: Any) -> None:
    """Say something to whoever started this."""
    with contextlib.suppress(OSError, ValueError):  # it is gone; its rows are still to be sent
        print(json.dumps(news), file=status, flush=True)


def _live(status: IO[str]) -> None:
    """Thread: a sign of life, so that slow and stuck can be told apart."""
    while True:
        _tell(status)
        time.sleep(SIGN_S)


def _wanted(parent: int, seconds: float) -> bool:
    """Whether our input is open and the process that started us is there."""
    ready = select.select([0], [], [], seconds)[0]
    return os.getppid() == parent and not (ready and not os.read(0, 1 << 16))


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Only one sink of a sweep at a time; that of a driver just killed has a moment to end.

    Raises:
        TimeoutError: it does not end.
    """
    deadline = time.monotonic() + LOCK_S
    with file.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise TimeoutError("another process is sending this sweep to W&B") from None
                time.sleep(0.05)
        yield


def _read_order() -> Order:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            raise SystemExit("no order came")
        line += piece
    return Order(**json.loads(line))


def _leave(code: int) -> NoReturn:
    """End at once: W&B's client would wait for its uploads first; it ends with this process."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _words(error: BaseException) -> str:
    """An error in a line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


if __name__ == "__main__":
    main()
