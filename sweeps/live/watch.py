"""`starling status --watch`: a running sweep as a table redrawn in place; in a pipe, a line each time."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from typing import Any

from rich.console import Console as Terminal
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sweeps.console import ENDS, span
from sweeps.ends import exit_code
from sweeps.listing import print_status
from sweeps.live.state import ENDED, LiveSweep, Standing

INTERVAL_S = 2.0
_AROUND = 8
"""Lines of the terminal that are not the table's."""


def watch(where: str | os.PathLike[str], *, interval_s: float = INTERVAL_S, as_json: bool = False) -> int:
    """Show a sweep until it ends.

    Args:
        where: its folder.
        interval_s: seconds between two looks.
        as_json: an object a look, in a line.

    Returns:
        The exit code that the sweep's own command has; 130 after Ctrl-C, which only ends the watching.

    Raises:
        ValueError: there is no sweep.
    """
    if not (math.isfinite(interval_s) and interval_s > 0):
        raise ValueError(f"--interval is {interval_s}; give seconds above 0")
    sweep, terminal = LiveSweep(where), Terminal(highlight=False)
    drawn = terminal.is_terminal and not as_json
    live = Live(console=terminal, auto_refresh=False, transient=True)
    try:
        with live if drawn else contextlib.nullcontext():
            while True:
                if drawn:
                    live.update(picture(sweep, terminal.height - _AROUND), refresh=True)
                else:
                    print(json.dumps(summary(sweep)) if as_json else line(sweep), flush=True)
                if sweep.state != "running":
                    break
                time.sleep(interval_s)
                with contextlib.suppress(OSError):  # a store may come back; the ages tell
                    sweep.look()
    except KeyboardInterrupt:
        return 130
    if not as_json:
        print_status(os.fspath(where), as_json=False)
    return exit_code(sweep.state, sweep.counts)


def line(sweep: LiveSweep) -> str:
    """The sweep in a line, without colours."""
    return "  ".join(_words(sweep))


def picture(sweep: LiveSweep, rows: int) -> Group:
    """The sweep's line, its trials under way, so many of them at most, and the failures by their reason."""
    running = sweep.under_way
    shown = running[: max(3, rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("trial", "state", "iteration", sweep.metric, "host", "last report"):
        table.add_column(column, no_wrap=True, justify="right" if column == "iteration" else "left")
    now = time.time()
    for trial in shown:
        table.add_row(
            trial.id,
            trial.state,
            str(trial.iteration or ""),
            _number(trial.value),
            escape(trial.host),
            _age(trial, now),
        )
    parts: list[Any] = [Text("  ".join(_words(sweep)), no_wrap=True, overflow="ellipsis")]
    parts += [table] if shown else []
    parts += [Text(f"and {len(running) - len(shown)} more", style="dim")] if len(running) > len(shown) else []
    for reason, ids in list(_failures(sweep).items())[:3]:
        text = f"{len(ids)} failed: {reason}  ({', '.join(ids[:3])}{', ...' * (len(ids) > 3)})"
        parts.append(Text.from_ansi(text, style="red", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def summary(sweep: LiveSweep) -> dict[str, Any]:
    """The same for programs."""
    best = sweep.best
    return {
        "name": sweep.name,
        "state": sweep.state,
        "done": _done(sweep),
        "total": sweep.total,
        "status": dict(sweep.counts),
        "left_s": sweep.left_s(),
        "best": {"trial": best.id, sweep.metric: best.value} if best else None,
        "dollars": sweep.dollars,
        "under_way": [
            {
                "trial": trial.id,
                "state": trial.state,
                "iteration": trial.iteration,
                "value": trial.value if trial.value is None or math.isfinite(trial.value) else None,
                "host": trial.host,
                "last_report_s": round(time.time() - trial.reported, 1) if trial.reported else None,
            }
            for trial in sweep.under_way
        ],
        "failures": {reason: ids for reason, ids in _failures(sweep).items()},
    }


def _words(sweep: LiveSweep) -> list[str]:
    total = sweep.total if sweep.total is not None else "?"
    words = [f"{sweep.name}  {ENDS.get(sweep.state, sweep.state)}", f"{_done(sweep)}/{total} trials"]
    words += [f"{len(sweep.under_way)} under way"] if sweep.under_way else []
    words += [f"{failed} failed"] if (failed := sweep.counts["failed"]) else []
    if (best := sweep.best) is not None:
        words.append(f"best {sweep.metric} {_number(best.value)} ({best.id})")
    words += [f"${sweep.dollars:.2f}"] if sweep.dollars is not None else []
    if sweep.state == "running":
        words += [f"for {span(time.time() - sweep.began)}"] if sweep.began is not None else []
        words += [f"{span(left)} left"] if (left := sweep.left_s()) is not None else []
    return words


def _done(sweep: LiveSweep) -> int:
    return sum(sweep.counts[state] for state in ENDED)


def _failures(sweep: LiveSweep) -> dict[str, list[str]]:
    """Trials that failed, by the last line of their reason."""
    found: dict[str, list[str]] = {}
    for trial in sweep.trials.values():
        if trial.state == "failed":
            lines = trial.reason.strip().splitlines() or ["without a reason"]
            found.setdefault(lines[-1].strip(), []).append(trial.id)
    return found


def _age(trial: Standing, now: float) -> str:
    return f"{span(now - trial.reported)} ago" if trial.reported is not None else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"
