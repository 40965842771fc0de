"""Ends a running sweep, or some of its trials, from another process."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from sweeps import journal
from sweeps.console import ENDS, resume_command
from sweeps.live.state import ENDED, LiveSweep
from sweeps.store.inbox import ask
from sweeps.store.storage import Folder

TIMEOUT_S = 60.0


def stop(
    where: str | os.PathLike[str] | Folder, trials: Sequence[str] = (), *, timeout_s: float = TIMEOUT_S
) -> list[str]:
    """Stop a sweep as Ctrl-C would, or only these of its trials; returns once that is done.

    What is stopped already is fine: nothing is asked of anybody.

    Args:
        where: the sweep's folder.
        trials: ids; none: the whole sweep.
        timeout_s: how long to wait for the sweep's driver.

    Returns:
        What was done, in lines.

    Raises:
        ValueError: there is no such sweep or trial, it has ended, or no driver answers.
    """
    if not 0 < timeout_s < float("inf"):
        raise ValueError(f"the time-out is {timeout_s}; give seconds above 0")
    sweep = LiveSweep(where)
    return _stop_trials(sweep, trials, timeout_s) if trials else _stop_sweep(sweep, timeout_s)


def _stop_sweep(sweep: LiveSweep, timeout_s: float) -> list[str]:
    path = sweep.folder.uri
    if sweep.state == "stopped":
        return [f"{path} is stopped already; next: {resume_command('stopped', path)}"]
    _refuse_unless_running(sweep)
    end = time.monotonic() + timeout_s
    if _ask(sweep, {"trials": None}, timeout_s) is None:
        sweep.look()
        if sweep.state != "running":
            return [f"{path} had ended ({ENDS.get(sweep.state, sweep.state)}) when it was asked"]
        raise _unanswered(sweep, timeout_s)
    while journal.is_running(sweep.folder):  # so that a resume that follows finds it free
        if time.monotonic() >= end:
            return [f"{path} is stopping; `starling status {path}` tells when it has"]
        time.sleep(0.2 if sweep.folder.local is not None else 2.0)
    sweep.look()
    done = sum(sweep.counts[state] for state in ENDED)
    of = f" of {sweep.total}" if sweep.total is not None else ""
    return [f"{path} is stopped, {done}{of} trials ended; next: {resume_command('stopped', path)}"]


def _stop_trials(sweep: LiveSweep, given: Sequence[str], timeout_s: float) -> list[str]:
    ids = list(dict.fromkeys(sweep.known(trial) for trial in given))
    said = {one: "is stopped by hand already" for one in ids if sweep.trials[one].by_hand}
    ended = [
        f"{one} has ended already ({sweep.trials[one].state})"
        for one in ids
        if one not in said and sweep.trials[one].state in ENDED
    ]
    if ended:
        raise ValueError(f"{'; '.join(ended)}: there is nothing to stop, and nothing was stopped")
    wanted = [one for one in ids if one not in said]
    if wanted:
        _refuse_unless_running(sweep)
        answer = _ask(sweep, {"trials": wanted}, timeout_s)
        if answer is None:
            raise _unanswered(sweep, timeout_s)
        told: dict[str, str] = answer["trials"]
        said |= {one: "is stopped" if told.get(one) == "stopped" else told.get(one, "?") for one in wanted}
    return [f"{one} {said[one]}" for one in ids]


def _ask(sweep: LiveSweep, what: dict[str, Any], timeout_s: float) -> dict[str, Any] | None:
    return ask(sweep.folder, what, timeout_s=timeout_s, alive=lambda: journal.is_running(sweep.folder))


def _refuse_unless_running(sweep: LiveSweep) -> None:
    if sweep.state != "running":
        how = "crashed: its driver is gone" if sweep.state == "crashed" else ENDS.get(sweep.state, "new")
        raise ValueError(
            f"{sweep.folder.uri} is not running ({how}), so that there is nothing to stop; "
            f"`starling resume {sweep.folder.uri}` would go on with it"
        )


def _unanswered(sweep: LiveSweep, timeout_s: float) -> ValueError:
    path = sweep.folder.uri
    if not journal.is_running(sweep.folder):
        return ValueError(
            f"the driver of {path} ended before it was asked; `starling status {path}` shows how"
        )
    return ValueError(
        f"the driver of {path} has not answered within {timeout_s:g} s, and nothing was stopped: it is busy "
        "starting or on a slow store. Try again with a longer --timeout, or press Ctrl-C where it runs"
    )
