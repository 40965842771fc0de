"""One session of a sweep, from Ray's start to the journal's last word.

checked sweep, its folder -> Ray -> conductor (journal, searcher, scheduler, outputs) -> Outcome
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps import journal as journals
from sweeps import outputs, parts, schedulers
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
from sweeps.loop.hooks import Listener, Stopper
from sweeps.loop.judge import Judge
from sweeps.loop.meter import Meter, hourly
from sweeps.loop.trial_source import TrialSource, loop
from sweeps.results import Results
from sweeps.spec import SpecError, Sweep
from sweeps.store.inbox import Inbox
from sweeps.store.storage import Folder
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


def drive(
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
        searcher, scheduler = parts.searcher(sweep, program), parts.scheduler(sweep, program)
        added = sum(event["trials"] for event in journals.read(folder) if event["event"] == "extended")
        console.starting(extended=added + extend)
        _warn(console, sweep, program, learns=searcher.learns)
        stack.enter_context(session.running_ray(sweep))
        stack.enter_context(session.signals(interrupt))
        if sweep.address is not None:
            refuse(preflight(sweep, room.largest(sweep)), "on this cluster")
        rates = _rates(sweep, console)
        journal = stack.enter_context(_opened(folder))
        inbox = stack.enter_context(Inbox(folder))
        if spent_s is None:
            refuse_taken(sweep, folder)  # by a driver that was quicker
        if spec is not None:
            folder.put(SPEC, spec.encode())
        _begin(journal, extend)
        length, full = parts.length(sweep, program), parts.full_training(sweep, program)
        if sweep.warm_start:
            _learn(journal, sweep, console, full or length)
        watch = Watch(sweep, journal.events()) if sweep.stop_on else None
        shown = outputs.opened(sweep, folder, journal, console, stack)
        conductor = Conductor(
            journal=journal,
            searcher=searcher,
            metrics=sweep.metrics,
            trials=sweep.trials,
            max_iterations=sweep.max_iterations,
            full_training=full or (length if sweep.stop_on else None),
            at_once=_at_once(sweep),
            seed=sweep.seed,
            copies=sweep.scheduler_choice[0] in schedulers.COPYING,
            sparse=program.sparse,
            max_failures=sweep.max_failures,
            target=(sweep.target, sweep.modes[0]) if sweep.target is not None else None,
            outputs=[watch, *shown] if watch is not None else shown,
            watch=watch,
        )
        conductor.metric_seen = proven
        judge = Judge(scheduler, conductor, folder.path)
        meter = Meter(conductor, console.bill, rates, sweep.bundle) if rates else None
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


def _warn(console: Console, sweep: Sweep, program: Program, *, learns: bool) -> None:
    """Of what a user may not expect of this sweep; `learns`: its search algorithm does."""
    for reason in sweep_file.lost(sweep):
        console.warn(f"a crash of this sweep cannot be resumed: {reason}")
    name = sweep.scheduler_choice[0]
    if learns and name in schedulers.STOPPING and parts.full_training(sweep, program) is None:
        console.warn(
            f"nobody says how long a full training is, so that no trial that {name} stops counts as a "
            "result for the search; set max_iterations, and those that got halfway will"
        )


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


def refuse(problems: list[str], where: str = "here") -> None:
    """Raise SpecError where there are problems."""
    if problems:
        raise SpecError(problems, f"this sweep cannot run {where}")


def refuse_taken(sweep: Sweep, folder: Folder) -> None:
    """Raise SpecError where another sweep has the folder."""
    if journals.last(folder) is not None:
        problem = (
            f"name: {sweep.name!r} is in {sweep.storage} already; continue it with "
            f"`starling resume {folder.uri}`, or choose another name"
        )
        raise SpecError([problem], "this sweep cannot start")


def _learn(journal: Journal, sweep: Sweep, console: Console, length: int | None) -> None:
    """Earlier sweeps' results go into the journal, once: a resume needs those sweeps no more."""
    if {"learned", "suggested"}.isdisjoint(event["event"] for event in journal.events()):
        earlier, left_out = warm_start.earlier(sweep, length)
        journal.append("learned", trials=earlier)
        console.warn(_warmed(earlier, left_out))


def _warmed(earlier: Sequence[Mapping[str, Any]], left_out: int) -> str:
    """What a warm start found, in a sentence."""
    counting = sum(one["result"] is not None for one in earlier)
    text = f"warm start: {counting} earlier results count here"
    if again := len(earlier) - counting:
        text += f"; {again} configurations with another budget or other constants are tried again"
    return text + (f"; {left_out} trials lie outside today's ranges" if left_out else "")


def _at_once(sweep: Sweep) -> int:
    """How many trials may hold or wait for a worker."""
    if sweep.scheduler_choice[0] in schedulers.GATHERING:
        return sweep.trials or 1_000  # they compare trials that wait for one another: all take part
    fits = room.trials_at_once(sweep)
    return min(sweep.max_concurrent or fits, fits)


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
    refuse([] if rates or sweep.max_cost is None else [f"max_cost: {why}."], "on this cluster")
    return rates
