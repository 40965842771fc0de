"""Sweep -> Ray Tune -> Results: the wiring of one run, and of its resume.

    checked sweep -> folder with spec.yaml -> Ray -> conductor (journal, searcher, scheduler, outputs) -> results
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune

import search_algs
from search_algs import AskTell
from sweeps import journal as journals
from sweeps import schedulers, sweep_file
from sweeps.conductor import Conductor, Listener, Output, Stopper, capacity
from sweeps.console import Console
from sweeps.history import spread
from sweeps.journal import Journal
from sweeps.judge import Judge
from sweeps.manifest import Manifest, write_manifest
from sweeps.preflight import preflight
from sweeps.results import Results
from sweeps.spec import SpecError, Sweep
from sweeps.storage import Folder, open_folder
from sweeps.study import distribution
from sweeps.tables import Tables
from sweeps.trial_source import TrialSource, loop
from trainables import Program

SPEC = "spec.yaml"

QUIET_RAY = {
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a report without the metric ends its trial, not the sweep
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    results: Results
    why: str
    """finished, interrupted, failures (too many), metric (never reported), target, time_budget."""

    fault: str | None = None
    """What was wrong, for `metric`."""

    @property
    def exit_code(self) -> int:
        """0 finished; 1 no trial succeeded, or stopped by failures; 130 interrupted."""
        if self.why == "interrupted":
            return 130
        succeeded = any(self.results.status().get(state) for state in ("completed", "stopped"))
        return 0 if succeeded and self.why not in ("failures", "metric") else 1


def run(sweep: Sweep) -> Results:
    """Run a sweep to its end.

    Raises:
        SpecError: it cannot run as written, or not here; nothing was started.
        KeyboardInterrupt: Ctrl-C; what was reported is kept, and `resume` continues.
    """
    return _returned(start(sweep))


def resume(path: str | os.PathLike[str], *, extend: int = 0, **overrides: Any) -> Results:
    """Continue a sweep after any crash, or add trials to a finished one.

    Args:
        path: the sweep's folder.
        extend: trials to add.
        overrides: fields of `Sweep` that do not change what is searched, such as `quiet` and `address`.

    Raises:
        SpecError: there is no sweep, or it is running just now.
        KeyboardInterrupt: as for `run`.
    """
    return _returned(restart(path, extend=extend, **overrides))


def start(sweep: Sweep) -> Outcome:
    """`run`, and how it ended."""
    problems = preflight(sweep)
    if problems:
        raise SpecError(problems, "this sweep cannot run here")
    if sweep.name is None:
        sweep = sweep.override(name=_new_name(sweep))
    folder = open_folder(sweep.storage).child(str(sweep.name))
    if journals.exists(folder):
        raise SpecError(
            [
                f"name: {sweep.name!r} is in {sweep.storage} already; continue it with `starling resume "
                f"{folder.uri}`, or choose another name"
            ]
        )
    folder.put(SPEC, sweep_file.dump(sweep).encode())
    return _drive(sweep, folder, extend=0)


def restart(path: str | os.PathLike[str], *, extend: int = 0, **overrides: Any) -> Outcome:
    """`resume`, and how it ended."""
    folder = open_folder(path)
    text = folder.read(SPEC)
    if text is None:
        raise SpecError([f"{os.fspath(path)!r} holds no sweep: it has no {SPEC}; `starling ls STORAGE` lists sweeps"])
    sweep = sweep_file.parse(text.decode()).override(**overrides)
    problems = preflight(sweep)
    if problems:
        raise SpecError(problems, "this sweep cannot run here")
    return _drive(sweep, folder, extend=extend)


def _returned(outcome: Outcome) -> Results:
    if outcome.why == "interrupted":
        raise KeyboardInterrupt
    return outcome.results


def _new_name(sweep: Sweep) -> str:
    program = sweep.program()
    word = program.name if program else "sweep"
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in word).strip("-") or "sweep"
    return f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}"


def _drive(sweep: Sweep, folder: Folder, *, extend: int) -> Outcome:
    program = sweep.program()
    assert program is not None, "preflight refuses a sweep without a trainable"
    console = Console(sweep, folder, quiet=sweep.quiet)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(_opened(folder))
        searcher, scheduler = _searcher(sweep), _scheduler(sweep)
        console.starting()
        stack.enter_context(_ray(sweep))
        problems = preflight(sweep, ray.cluster_resources()) if sweep.address else []
        if problems:
            raise SpecError(problems, "this sweep cannot run on this cluster")
        outputs = _outputs(sweep, folder, journal, console, stack)
        name, given = sweep.scheduler_choice
        fits = capacity(sweep.ranks, sweep.cpus_per_rank, sweep.gpus_per_rank)
        at_once = (sweep.trials or 1_000) if name in schedulers.GATHERING else min(sweep.max_concurrent or fits, fits)
        conductor = Conductor(
            journal=journal,
            searcher=searcher,
            metrics=sweep.metrics,
            trials=sweep.trials,
            max_iterations=sweep.max_iterations,
            full_training=schedulers.full_training(name, given, sweep.max_iterations),
            at_once=at_once,
            seed=sweep.seed,
            copies=name in schedulers.COPYING,
            sparse=getattr(program, "sparse", False),
            max_failures=sweep.max_failures,
            target=(sweep.target, sweep.modes[0]) if sweep.target is not None else None,
            outputs=outputs,
        )
        _adopt(conductor, journal, folder, extend)
        conductor.source = TrialSource(conductor, folder.filesystem, folder.path)
        conductor.judge = Judge(scheduler, conductor)
        stack.enter_context(_stops_on_signals(conductor, console))
        stack.enter_context(_environment(QUIET_RAY | {"TUNE_MAX_PENDING_TRIALS_PG": str(at_once)}))
        _loop(sweep, program, folder, conductor, _clock(conductor, console, sweep.time_budget_s))
        why = conductor.stopping or "finished"
        journal.append("closed", why=why)
        fault = conductor.fault
    outcome = Outcome(results=Results(folder.uri), why=why, fault=fault)
    console.ended(outcome)
    return outcome


def _loop(sweep: Sweep, program: Program, folder: Folder, conductor: Conductor, turn: Callable[[], None]) -> None:
    """Ray Tune's loop, from the first trial to the last.

    Raises:
        RuntimeError: the loop broke; what was reported is kept.
    """
    try:
        loop(
            program.trainable(sweep.ranks, sweep.cpus_per_rank, sweep.gpus_per_rank),
            conductor,
            callbacks=[Listener(conductor)],
            stopper=Stopper(conductor),
            filesystem=folder.filesystem,
            folder=folder.path,
            retries=sweep.retries,
            keep=6 if conductor.copies else 2,  # PBT copies from checkpoints that are not the last
            checkpoints=getattr(program, "checkpoints", True),
            turn=turn,
        )
    except Exception as error:
        raise RuntimeError(
            f"Ray Tune's loop broke off; what was reported is kept: `starling resume {folder.uri}`"
        ) from error


def _adopt(conductor: Conductor, journal: Journal, folder: Folder, extend: int) -> None:
    """Tell the journal that a session begins, and how many trials it adds."""
    resumed = any(True for _ in journal.events())
    journal.append("opened", pid=os.getpid(), host=os.uname().nodename, resumed=resumed)
    if extend:
        journal.append("extended", trials=extend)


def _opened(folder: Folder) -> Journal:
    try:
        return Journal.open(folder)
    except ValueError as error:
        raise SpecError([str(error)], "this sweep cannot be opened") from error


def _searcher(sweep: Sweep) -> AskTell:
    if isinstance(sweep.search, AskTell):
        searcher = sweep.search
    else:
        name, given = sweep.search_choice
        shared = {"seed": sweep.seed, "constraints": tuple(sweep.constraints)}
        searcher = search_algs.build(name, **(shared | given))
    several = len(sweep.metrics) > 1
    metric: Any = list(sweep.metrics) if several else sweep.metrics[0]
    mode: Any = list(sweep.modes) if several else sweep.modes[0]
    searcher.set_search_properties(metric, mode, sweep.param_space)
    return searcher


def _scheduler(sweep: Sweep) -> tune.schedulers.TrialScheduler:
    name, given = sweep.scheduler_choice
    program = sweep.program()
    try:
        return schedulers.build(
            name,
            given,
            metric=sweep.metrics[0],
            mode=sweep.modes[0],
            max_iterations=sweep.max_iterations,
            space=sweep.search_space(),
            mutable=program.mutable if program and program.hyperparameters is not None else None,
        )
    except ValueError as error:
        raise SpecError([f"scheduler: {error}"]) from error


def _outputs(
    sweep: Sweep, folder: Folder, journal: Journal, console: Console, stack: contextlib.ExitStack
) -> Sequence[Output]:
    """Who is shown the sweep's events: the tables and the study, W&B, the console."""
    space = sweep.search_space()
    manifest = write_manifest(
        folder,
        Manifest(
            name=folder.name,
            metric=sweep.metrics[0] if len(sweep.metrics) == 1 else list(sweep.metrics),
            mode=sweep.modes[0] if len(sweep.modes) == 1 else list(sweep.modes),
            parameters={d.name: d.domain.arrow_type for d in space.dimensions},
            trials=sweep.trials,
            seed=sweep.seed,
            rest={"resources": {"ranks": sweep.ranks, "cpus": sweep.cpus_per_rank, "gpus": sweep.gpus_per_rank}},
        ),
    )
    past = (one for event in journal.events() for one in (event, *spread(event)))
    shown = {d.name: kind for d in space.dimensions if (kind := distribution(d.domain)) is not None}
    tables = stack.enter_context(Tables(folder, manifest, past, flatten=space.flatten, distributions=shown))
    return [tables, console]


def _clock(conductor: Conductor, console: Console, budget_s: float | None) -> Callable[[], None]:
    """What is done at every turn of Ray's loop: the console's line, and the end of the time budget."""
    end = time.monotonic() + budget_s if budget_s is not None else None

    def turn() -> None:
        now = time.monotonic()
        if end is not None and now >= end:
            conductor.stop("time_budget")
        console.tick(now, conductor)

    return turn


@contextlib.contextmanager
def _ray(sweep: Sweep) -> Iterator[None]:
    """A Ray of our own on this machine, a cluster, or the one that the caller has started."""
    if ray.is_initialized():
        yield
        return
    with _environment(QUIET_RAY):
        common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if sweep.address is None:
            ray.init(address="local", include_dashboard=False, **common)
        else:
            here = Path(__file__).resolve().parent.parent
            packages = [str(here / name) for name in ("sweeps", "trainables", "search_algs", "cluster")]
            ray.init(address=sweep.address, runtime_env={"py_modules": packages}, **common)
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextlib.contextmanager
def _stops_on_signals(conductor: Conductor, console: Console) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the sweep cleanly; a second one at once."""
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, _: Any) -> None:
        if conductor.stopping == "interrupted":
            for kind, handler in before.items():
                signal.signal(kind, handler)
            raise KeyboardInterrupt
        conductor.stop("interrupted")
        console.interrupted()

    with contextlib.suppress(ValueError):  # not in the main thread: the caller's signals stay as they are
        for kind in (signal.SIGINT, signal.SIGTERM):
            before[kind] = signal.signal(kind, handle)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


__all__ = ["Outcome", "restart", "resume", "run", "start"]
