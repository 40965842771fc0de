"""A sweep's entrances: `run` and `resume`, and what they refuse before anything is started."""

import os
import time
from typing import Any

from sweeps import journal as journals
from sweeps.checks.preflight import preflight
from sweeps.drive import SPEC, Outcome, drive, refuse, refuse_taken
from sweeps.files import sweep_file
from sweeps.loop import warm_start
from sweeps.loop.history import seconds_spent
from sweeps.results import Results
from sweeps.spec import SpecError, Sweep
from sweeps.store import bill
from sweeps.store.storage import Folder, open_folder


def run(sweep: Sweep) -> Results:
    """Run a sweep to its end.

    Raises:
        SpecError: it cannot run as written, or not here; nothing was started.
        KeyboardInterrupt: Ctrl-C; what was reported is kept, and `resume` continues.
    """
    return _returned(start(sweep))


def resume(
    path: str | os.PathLike[str],
    *,
    extend: int = 0,
    time_budget: float | str | None = None,
    max_cost: float | None = None,
    address: str | None = None,
    cluster: str | None = None,
    prices: str | None = None,
    quiet: bool | None = None,
) -> Results:
    """Continue a sweep after any crash, or add trials to a finished one.

    Args:
        path: the sweep's folder.
        extend: trials to add.
        time_budget, max_cost: of the whole sweep from now on, what it has used included; None: as they were.
        address, cluster, prices, quiet: as in `Sweep`; None: as they were.

    Raises:
        SpecError: there is no sweep, it is running just now, or its time or money is used up.
        KeyboardInterrupt: as for `run`.
    """
    limits: dict[str, Any] = {"time_budget": time_budget, "max_cost": max_cost}
    place: dict[str, Any] = {"address": address, "cluster": cluster, "prices": prices}
    return _returned(restart(path, extend=extend, quiet=quiet, **limits, **place))


def start(sweep: Sweep) -> Outcome:
    """`run`, and how it ended."""
    refuse(preflight(sweep))
    if sweep.name is None:
        sweep = sweep.override(name=_new_name(sweep))
    refuse(warm_start.problems(sweep))
    folder = open_folder(sweep.storage).child(str(sweep.name))
    refuse_taken(sweep, folder)
    return drive(sweep, folder, extend=0, spec=sweep_file.dump(sweep), spent_s=None)


def restart(path: str | os.PathLike[str], *, extend: int = 0, **fields: Any) -> Outcome:
    """`resume`, and how it ended.

    Args:
        path, extend: as there.
        fields: what it gives of `Sweep`.
    """
    folder = open_folder(path)
    text = folder.read(SPEC)
    if text is None:
        raise SpecError(
            [f"{os.fspath(path)!r} holds no sweep: it has no {SPEC}; `starling ls STORAGE` lists sweeps"],
            "there is nothing to resume",
        )
    if journals.is_running(folder):
        problem = f"{folder.uri} is running just now; `starling status {folder.uri}` shows it"
        raise SpecError([problem], "there is nothing to resume")
    sweep, spec = sweep_file.parse(text.decode()), None
    limits = {key: fields[key] for key in ("time_budget", "max_cost") if fields.get(key) is not None}
    if limits:
        sweep = sweep.override(**limits)
        spec = sweep_file.dump(sweep)  # a later resume goes by it too
    sweep = sweep.override(**fields)
    past = list(journals.read(folder))
    spent_s = seconds_spent(past)
    if sweep.time_budget_s is not None and spent_s >= sweep.time_budget_s:
        problem = (
            f"time_budget: is {sweep.time_budget}, and the sweep has run for {spent_s:.0f} s; give it more "
            f"in all with `starling resume {folder.uri} --time-budget TIME`"
        )
        raise SpecError([problem], "there is no time left")
    if sweep.max_cost is not None and (spent := bill.read(past).total) >= sweep.max_cost:
        problem = (
            f"max_cost: is ${sweep.max_cost:g}, and the sweep has cost ${spent:.2f}; give it more in all "
            f"with `starling resume {folder.uri} --max-cost DOLLARS`"
        )
        raise SpecError([problem], "there is no money left")
    refuse(preflight(sweep))
    return drive(sweep, folder, extend=extend, spec=spec, spent_s=spent_s)


def continue_in(sweep: Sweep, folder: Folder, spec: str) -> Outcome:
    """A session of a sweep whose search its caller makes anew each time: the first one, or a further one.

    Its trainable has reported the metric before: a first trial that does not failed, and others go on.

    Args:
        sweep: what to run, its `storage` and `name` those of `folder`.
        spec: what its file says.
    """
    refuse(preflight(sweep))
    past = list(journals.read(folder))
    spent_s = seconds_spent(past) if past else None
    return drive(sweep, folder, extend=0, spec=spec, spent_s=spent_s, proven=True)


def _returned(outcome: Outcome) -> Results:
    if outcome.why == "interrupted":
        raise KeyboardInterrupt
    return outcome.results


def _new_name(sweep: Sweep) -> str:
    program = sweep.program()
    word = program.name if program else "sweep"
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in word).strip("-") or "sweep"
    return f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}"
