"""Sweep -> Ray Tune -> Results: one run, and its resume.

checked sweep -> its folder -> Ray -> conductor (journal, searcher, scheduler, outputs) -> results
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import TrialScheduler

import search_algs
from search_algs import AskTell
from sweeps import journal as journals
from sweeps import outputs, schedulers
from sweeps.checks.preflight import preflight
from sweeps.console import Console
from sweeps.diagnosis.watch import Watch
from sweeps.ends import exit_code
from sweeps.files import sweep_file
from sweeps.journal import Journal
from sweeps.loop import room, session, warm_start
from sweeps.loop.by_hand import ByHand
from sweeps.loop.clock import clock
from sweeps.loop.conductor import Conductor
from sweeps.loop.history import seconds_spent
from sweeps.loop.hooks import Listener, Stopper
from sweeps.loop.judge import Judge
from sweeps.loop.meter import Meter, hourly
from sweeps.loop.trial_source import TrialSource, loop
from sweeps.results import Results
from sweeps.spec import SpecError, Sweep
from sweeps.store import bill
from sweeps.store.inbox import Inbox
from sweeps.store.storage import Folder, open_folder
from trainables import Program

SPEC = "spec.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    results: Results
    why: str
    """finished, interrupted, failures (too many), metric (never reported), target, time_budget, max_cost,
    stopped (from another terminal)."""

    fault: str | None = None
    """What was wrong, for `metric`."""

    @property
    def exit_code(self) -> int:
        """0 finished; 1 no trial succeeded, or stopped by failures; 130 interrupted."""
        return exit_code(self.why, self.results.status())

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        best = self.results.best
        return {
            "path": self.results.path,
            "why": self.why,
            "status": self.results.status(),
            "best": best.to_dict() if best else None,
        }


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
    _refuse(preflight(sweep))
    if sweep.name is None:
        sweep = sweep.override(name=_new_name(sweep))
    _refuse(warm_start.problems(sweep))
    folder = open_folder(sweep.storage).child(str(sweep.name))
    _refuse_taken(sweep, folder)
    return _drive(sweep, folder, extend=0, spec=sweep_file.dump(sweep), spent_s=None)


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
    _refuse(preflight(sweep))
    return _drive(sweep, folder, extend=extend, spec=spec, spent_s=spent_s)


def continue_in(sweep: Sweep, folder: Folder, spec: str) -> Outcome:
    """A session of a sweep whose search its caller makes anew each time: the first one, or a further one.

    Its trainable has reported the metric before: a first trial that does not failed, and others go on.

    Args:
        sweep: what to run, its `storage` and `name` those of `folder`.
        spec: what its file says.
    """
    _refuse(preflight(sweep))
    past = list(journals.read(folder))
    spent_s = seconds_spent(past) if past else None
    return _drive(sweep, folder, extend=0, spec=spec, spent_s=spent_s, proven=True)


def _returned(outcome: Outcome) -> Results:
    if outcome.why == "interrupted":
        raise KeyboardInterrupt
    return outcome.results


def _refuse(problems: list[str], where: str = "here") -> None:
    if problems:
        raise SpecError(problems, f"this sweep cannot run {where}")


def _refuse_taken(sweep: Sweep, folder: Folder) -> None:
    if journals.last(folder) is not None:
        problem = (
            f"name: {sweep.name!r} is in {sweep.storage} already; continue it with "
            f"`starling resume {folder.uri}`, or choose another name"
        )
        raise SpecError([problem], "this sweep cannot start")


def _new_name(sweep: Sweep) -> str:
    program = sweep.program()
    word = program.name if program else "sweep"
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in word).strip("-") or "sweep"
    return f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}"


def _drive(
    sweep: Sweep,
    folder: Folder,
    *,
    extend: int,
    spec: str | None,
    spent_s: float | None,
    proven: bool = False,
) -> Outcome:
    """One session of a sweep. Nothing is written before Ray runs and the journal is ours.

    Args:
        extend: trials to add.
        spec: the sweep's file where it is new or has changed.
        spent_s: how long earlier sessions ran; None: this is the first.
        proven: whether the metric is known to be reported; else a first trial without it ends the sweep.
    """
    program = sweep.program()
    assert program is not None, "preflight refuses a sweep without a trainable"
    console = Console(sweep, folder, quiet=sweep.quiet)
    conductor: Conductor | None = None

    def interrupt() -> None:
        if conductor is None:
            raise KeyboardInterrupt
        conductor.stop("interrupted")
        console.interrupted()

    with contextlib.ExitStack() as stack:
        stack.callback(console.close)
        searcher, scheduler = _searcher(sweep, program), _scheduler(sweep, program)
        added = sum(event["trials"] for event in journals.read(folder) if event["event"] == "extended")
        console.starting(extended=added + extend)
        for reason in sweep_file.lost(sweep):
            console.warn(f"a crash of this sweep cannot be resumed: {reason}")
        name, full = sweep.scheduler_choice[0], _full_training(sweep, program)
        if searcher.learns and name in schedulers.STOPPING and full is None:
            console.warn(
                f"nobody says how long a full training is, so that no trial that {name} stops counts as a "
                "result for the search; set max_iterations, and those that got halfway will"
            )
        stack.enter_context(session.running_ray(sweep))
        stack.enter_context(session.signals(interrupt))
        if sweep.address is not None:
            _refuse(preflight(sweep, room.largest(sweep)), "on this cluster")
        rates = _rates(sweep, console)
        journal = stack.enter_context(_opened(folder))
        inbox = stack.enter_context(Inbox(folder))
        if spent_s is None:
            _refuse_taken(sweep, folder)  # by a driver that was quicker
        if spec is not None:
            folder.put(SPEC, spec.encode())
        _begin(journal, extend)
        begun = {event["event"] for event in journal.events()} & {"learned", "suggested"}
        if sweep.warm_start and not begun:
            earlier, left_out = warm_start.earlier(sweep, full or _length(sweep, program))
            journal.append("learned", trials=earlier)  # so that a resume needs the earlier sweeps no more
            console.warn(_warmed(earlier, left_out))
        watch = Watch(sweep, journal.events()) if sweep.stop_on else None
        shown = outputs.opened(sweep, folder, journal, console, stack)
        conductor = Conductor(
            journal=journal,
            searcher=searcher,
            metrics=sweep.metrics,
            trials=sweep.trials,
            max_iterations=sweep.max_iterations,
            full_training=full or (_length(sweep, program) if sweep.stop_on else None),
            at_once=_at_once(sweep),
            seed=sweep.seed,
            copies=name in schedulers.COPYING,
            sparse=program.sparse,
            max_failures=sweep.max_failures,
            target=(sweep.target, sweep.modes[0]) if sweep.target is not None else None,
            outputs=[watch, *shown] if watch is not None else shown,
            watch=watch,
        )
        conductor.metric_seen = proven
        judge = Judge(scheduler, conductor, folder.path)
        meter = Meter(conductor, console.bill, rates, room.bundle(sweep)) if rates else None
        placed = meter.placed if meter is not None else None
        source = TrialSource(conductor, judge, folder.filesystem, folder.path, placed)
        left_s = sweep.time_budget_s - (spent_s or 0.0) if sweep.time_budget_s is not None else None
        by_hand = ByHand(conductor, inbox, console.warn)
        turn = clock(conductor, console, meter, by_hand, left_s, sweep.max_cost)
        _loop(sweep, program, folder, source, turn)
        by_hand.answer()  # who asked last hears too
        why = conductor.stopping or "finished"
        conductor.close(why)
    outcome = Outcome(results=Results(folder.uri), why=why, fault=conductor.fault)
    console.ended(outcome)
    return outcome


def _loop(
    sweep: Sweep, program: Program, folder: Folder, source: TrialSource, turn: Callable[[], None]
) -> None:
    """Ray Tune's loop, from the first trial to the last.

    Raises:
        RuntimeError: the loop broke; what was reported is kept.
    """
    conductor = source.conductor
    pending = {"TUNE_MAX_PENDING_TRIALS_PG": str(conductor.at_once)}
    try:
        with session.environment(session.QUIET | pending):
            loop(
                program.trainable(sweep.ranks, sweep.cpus_per_rank, sweep.gpus_per_rank),
                source,
                callbacks=[Listener(conductor, source.judge)],
                stopper=Stopper(conductor),
                filesystem=folder.filesystem,
                folder=folder.path,
                retries=sweep.retries,
                keep=6 if conductor.copies else 2,  # PBT copies from checkpoints that are not the last
                checkpoints=program.checkpoints,
                turn=turn,
            )
    except Exception as error:
        raise RuntimeError(
            f"Ray Tune's loop broke off; what was reported is kept: `starling resume {folder.uri}`"
        ) from error


def _begin(journal: Journal, extend: int) -> None:
    """Write down that a session begins, and how many trials it adds."""
    resumed = any(True for _ in journal.events())
    journal.append("opened", pid=os.getpid(), host=os.uname().nodename, resumed=resumed)
    if extend:
        journal.append("extended", trials=extend)


def _opened(folder: Folder) -> Journal:
    try:
        return Journal.open(folder)
    except ValueError as error:
        raise SpecError([str(error)], "this sweep cannot be opened") from error


def _length(sweep: Sweep, program: Program) -> int | None:
    """Reports of a full training: the sweep's word, else the trainable's."""
    return sweep.max_iterations or program.reports(sweep.fixed)


def _warmed(earlier: Sequence[Mapping[str, Any]], left_out: int) -> str:
    """What a warm start found, in a sentence."""
    counting = sum(one["result"] is not None for one in earlier)
    text = f"warm start: {counting} earlier results count here"
    if again := len(earlier) - counting:
        text += f"; {again} configurations with another budget or other constants are tried again"
    return text + (f"; {left_out} trials lie outside today's ranges" if left_out else "")


def _full_training(sweep: Sweep, program: Program) -> int | None:
    """Reports after which no scheduler stops a trial any more; None if none does, or nobody knows."""
    return schedulers.full_training(*sweep.scheduler_choice, _length(sweep, program))


def _at_once(sweep: Sweep) -> int:
    """How many trials may hold or wait for a worker."""
    if sweep.scheduler_choice[0] in schedulers.GATHERING:
        return sweep.trials or 1_000  # they compare trials that wait for one another: all take part
    fits = room.trials_at_once(sweep)
    return min(sweep.max_concurrent or fits, fits)


def _searcher(sweep: Sweep, program: Program) -> AskTell:
    if isinstance(sweep.search, AskTell):
        searcher = sweep.search
    else:
        name, given = sweep.search_choice
        shared: dict[str, Any] = {"seed": sweep.seed, "constraints": tuple(sweep.constraints)}
        shared["max_t"] = _full_training(sweep, program)
        searcher = search_algs.build(name, **(shared | given))
    several = len(sweep.metrics) > 1
    metric: Any = list(sweep.metrics) if several else sweep.metrics[0]
    mode: Any = list(sweep.modes) if several else sweep.modes[0]
    searcher.set_search_properties(metric, mode, sweep.param_space)
    return searcher


def _scheduler(sweep: Sweep, program: Program) -> TrialScheduler:
    name, given = sweep.scheduler_choice
    try:
        return schedulers.build(
            name,
            given,
            metric=sweep.metrics[0],
            mode=sweep.modes[0],
            max_iterations=_length(sweep, program),
            space=sweep.search_space(),
            mutable=program.mutable if program.hyperparameters is not None else None,
        )
    except ValueError as error:
        raise SpecError([f"scheduler: {error}"]) from error


def _rates(sweep: Sweep, console: Console) -> dict[str, float]:
    """$/h by node type, as far as known.

    Raises:
        SpecError: it must be known, for `max_cost`, and is not.
    """
    try:
        rates, why = hourly(sweep), "nobody knows what this cluster's nodes cost; name its YAML with cluster"
    except (ValueError, OSError) as error:
        rates, why = {}, str(error)
        if sweep.max_cost is None:
            console.warn(f"what this costs is not known: {why}")
    _refuse([] if rates or sweep.max_cost is None else [f"max_cost: {why}."], "on this cluster")
    return rates
