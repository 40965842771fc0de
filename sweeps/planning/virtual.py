"""A sweep without Ray: its searcher, its scheduler and its conductor, asked and told at simulated times.

What `sweeps.drive` wires to Ray's loop is wired to `cluster.planning.Simulation` here. The steps on a report
are those of Ray's controller: stopper, scheduler, conductor, then what the verdict says.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
from pyarrow.fs import LocalFileSystem
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from cluster.planning import Simulation
from search_algs import AskTell
from sweeps import parts, schedulers
from sweeps.journal import Journal
from sweeps.loop.conductor import Conductor
from sweeps.loop.history import TrialRecord
from sweeps.loop.hooks import Stopper
from sweeps.loop.judge import Judge
from sweeps.loop.rehearsal import Rehearsal
from sweeps.loop.trial_source import TrialSource
from sweeps.planning.curves import Curve, Curves
from sweeps.spec import Sweep

FOLDER = "plan"
WAITS_FOR_OTHERS = frozenset({"hyperband", "bohb"})
"""Schedulers whose paused trials wait for others, not for room."""


class VirtualSweep:
    """The work of a `Simulation`: one sweep, with one seed.

    Args:
        sweep: which.
        curves: what trials report.
        fits: how many trials the cluster holds at its largest.
        seed: of search and scheduler.
        suggestions: asked of a search algorithm that learns; later configurations are drawn from the last
            half of these, since an answer of a model over thousands of trials takes a tenth of a second.
    """

    def __init__(self, sweep: Sweep, curves: Curves, *, fits: int, seed: int, suggestions: int) -> None:
        program = sweep.program()
        assert program is not None, "a plan is refused without a trainable"
        sweep = copy.copy(sweep).override(seed=seed)
        self.curves, self.seed, self.time_budget_s = curves, seed, sweep.time_budget_s
        name = sweep.scheduler_choice[0]
        gathering = name in schedulers.GATHERING
        self.searcher = Frugal(copy.deepcopy(parts.searcher(sweep, program)), suggestions, seed)
        self.conductor = Conductor(
            journal=cast(Journal, Unkept()),
            searcher=cast(AskTell, self.searcher),
            metrics=sweep.metrics,
            trials=sweep.trials,
            max_iterations=sweep.max_iterations,
            full_training=parts.full_training(sweep, program),
            at_once=(sweep.trials or 1_000) if gathering else min(sweep.max_concurrent or fits, fits),
            seed=seed,
            copies=name in schedulers.COPYING,
            sparse=False,
            max_failures=None,
            target=None,
            outputs=(),
        )
        self.judge = Judge(parts.scheduler(sweep, program), self.conductor, FOLDER)
        self.source = Source(self.conductor, self.judge, shows_all=gathering or name in WAITS_FOR_OTHERS)
        self.stage = Stage(self.conductor, self.judge, self.source, self)
        self.stopper = Stopper(self.conductor)
        self.simulation: Simulation
        self._waits_for_others = name in WAITS_FOR_OTHERS
        self._curves: dict[tuple[str, int], Curve] = {}

    # -- what the simulation asks --------------------------------------------------------------------

    def waiting(self) -> int:
        """Trials that want room."""
        if self.conductor.stopping is not None:
            return 0
        self._refill()
        paused = sum(trial.status == Trial.PAUSED for trial in self.source.idle.values())
        pending = len(self.source.idle) - paused
        if paused and self._waits_for_others:
            return pending or int(self.judge.choose_trial_to_run(self.stage) is not None)
        return pending + paused

    def begin(self) -> tuple[str, float] | None:
        """The scheduler's choice."""
        self._refill()
        if self.conductor.stopping is not None or not self.source.idle:
            return None
        trial = self.judge.choose_trial_to_run(self.stage)
        if trial is None:
            return None
        self.source.set_status(trial, Trial.RUNNING)
        return trial.trial_id, self._seconds(trial.trial_id)

    def report(self, trial_id: str, now: float) -> float | None:
        """As Ray's controller does on a result."""
        trial, record = self.source.live[trial_id], self.conductor.history.trials[trial_id]
        curve, i = self._curve(trial_id), record.iteration
        result: dict[str, Any] = {metric: float(line[i]) for metric, line in curve.values.items()}
        result |= {"training_iteration": i + 1, "trial_id": trial_id}
        result["time_total_s"] = float(curve.seconds[: i + 1].sum())
        if i + 1 >= len(curve.seconds) or self.stopper(trial_id, result):
            verdict: str = TrialScheduler.STOP
            self.conductor.reported(trial_id, {**result, "done": True}, *self.judge.taken())
        else:
            verdict = self.judge.on_trial_result(self.stage, trial, result)
            self.conductor.reported(trial_id, result, *self.judge.taken())
            if self.conductor.copies:
                path = f"trials/{trial_id}/checkpoint_{record.checkpoints:06d}"
                self.conductor.checkpointed(trial_id, path, i + 1)
        goes_on = self._act(trial, verdict, result)
        if self.time_budget_s is not None and now >= self.time_budget_s:
            self.conductor.stop("time_budget")
        if self.conductor.stopping is not None:
            for running in [one for one in self.source.live if one not in self.source.idle]:
                self.simulation.free(running)
            return None
        return self._seconds(trial_id) if goes_on else None

    def lost(self, trial_id: str) -> None:
        """Back to the queue."""
        self.source.set_status(self.source.live[trial_id], Trial.PENDING)

    def name(self, trial_id: str) -> str:
        """Its id."""
        return trial_id

    @property
    def finished(self) -> bool:
        """The sweep was stopped, or all its trials have ended."""
        return self.conductor.stopping is not None or (self.source.is_finished() and not self.source.live)

    # -- how -----------------------------------------------------------------------------------------

    def _refill(self) -> None:
        """As many trials as may wait."""
        while (trial := self.source.next_trial()) is not None:
            self.judge.on_trial_add(self.stage, trial)

    def _act(self, trial: Trial, verdict: str, result: Mapping[str, Any]) -> bool:
        """Do what a verdict says; whether the trial goes on."""
        if verdict == TrialScheduler.STOP:
            self.judge.on_trial_complete(self.stage, trial, dict(result))
            self.source.on_trial_complete(trial.trial_id, dict(result))
            trial.set_status(Trial.TERMINATED)
        elif verdict == TrialScheduler.PAUSE:
            self.source.set_status(trial, Trial.PAUSED)
        return verdict in (TrialScheduler.CONTINUE, TrialScheduler.NOOP) and trial.status == Trial.RUNNING

    def _curve(self, trial_id: str) -> Curve:
        """A trial's reports; after a copy those of its new configuration."""
        record = self.conductor.history.trials[trial_id]
        key = (trial_id, record.copies)
        if key not in self._curves:
            self._curves[key] = self.curves.trial(record.config, record.number, record.copies)
        return self._curves[key]

    def _seconds(self, trial_id: str) -> float:
        iteration = self.conductor.history.trials[trial_id].iteration
        return float(self._curve(trial_id).seconds[iteration])


class Stage(Rehearsal):
    """Stands for Ray's controller while the clock runs."""

    def __init__(self, conductor: Conductor, judge: Judge, source: Source, virtual: VirtualSweep) -> None:
        super().__init__(conductor, judge, source)
        self.source, self.virtual = source, virtual

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        """A scheduler takes a trial off its place."""
        self.source.set_status(trial, Trial.PAUSED)
        self.virtual.simulation.free(trial.trial_id)

    def stop_trial(self, trial: Trial) -> None:
        """A scheduler ends a trial that waits."""
        if not trial.is_finished():
            super().stop_trial(trial)
            self.source.on_trial_complete(trial.trial_id)
            self.virtual.simulation.free(trial.trial_id)

    def _set_trial_status(self, trial: Trial, status: str) -> None:
        self.source.set_status(trial, status)


class Source(TrialSource):
    """The trials of a virtual sweep; who waits is known without looking at all."""

    def __init__(self, conductor: Conductor, judge: Judge, *, shows_all: bool) -> None:
        super().__init__(conductor, judge, LocalFileSystem(), FOLDER)
        self.shows_all, self._paused = shows_all, 0
        self.idle: dict[str, Trial] = {}
        """Trials that wait or are paused, in the order of their numbers."""

    def make(self, record: TrialRecord) -> Trial:
        """A Ray trial that nothing will run."""
        trial = Trial(
            FOLDER, stub=True, trial_id=record.id, config=dict(record.config), experiment_tag=record.id
        )
        self.live[record.id] = self.idle[record.id] = trial
        return trial

    def next_trial(self) -> Trial | None:
        """As Ray asks for it: None while enough trials run or wait."""
        if self.conductor.stopping is not None or self.busy >= self.conductor.at_once:
            return None
        record = self.conductor.suggest()
        return self.make(record) if record else None

    @property
    def busy(self) -> int:
        """Trials that run or wait for room."""
        return len(self.live) - self._paused

    def set_status(self, trial: Trial, status: str) -> None:
        """A trial changes between running and waiting."""
        self._paused += (status == Trial.PAUSED) - (trial.status == Trial.PAUSED)
        trial.set_status(status)
        if status == Trial.RUNNING:
            self.idle.pop(trial.trial_id, None)
        elif trial.trial_id not in self.idle:
            in_order = not self.idle or next(reversed(self.idle)) < trial.trial_id
            self.idle[trial.trial_id] = trial
            if not in_order:
                self.idle = dict(sorted(self.idle.items()))

    @property
    def interrupted(self) -> list[Trial]:
        """None: that is for resumes."""
        return []

    def entered(self) -> list[Trial]:
        """Trials that have not ended; for schedulers that look at those that wait alone, those."""
        return list(self.live.values() if self.shows_all else self.idle.values())

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial ended."""
        self._paused -= self.live[trial_id].status == Trial.PAUSED
        self.idle.pop(trial_id, None)
        super().on_trial_complete(trial_id, result, error)


class Frugal:
    """A search algorithm that is asked so many times, and repeats itself from then on.

    Args:
        searcher: the search algorithm; one that does not learn is always asked.
        suggestions: how often.
        seed: of the draws among its later half.
    """

    def __init__(self, searcher: AskTell, suggestions: int, seed: int) -> None:
        self.searcher, self.suggestions, self.seed = searcher, suggestions, seed
        self.known: list[dict[str, Any]] = []
        self.repeated = 0

    def suggest(self, trial_id: str) -> Any:
        """Its answer, or one of its earlier ones."""
        if not self.searcher.learns or len(self.known) < self.suggestions:
            config = self.searcher.suggest(trial_id)
            if isinstance(config, dict):
                self.known.append(config)
            return config
        self.repeated += 1
        rng = np.random.default_rng([self.seed, self.repeated])
        half = len(self.known) // 2
        return copy.deepcopy(self.known[half + int(rng.integers(len(self.known) - half))])

    def memo(self, trial_id: str) -> dict[str, Any] | None:
        """See `AskTell`."""
        return self.searcher.memo(trial_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.searcher, name)


class Unkept:
    """A journal that keeps nothing: there is no crash to resume from."""

    def append(self, event: str, /, **fields: Any) -> dict[str, Any]:
        """The event, as `Journal.append` gives it back."""
        return {"n": 0, "t": 0.0, "event": event, **fields}

    def events(self) -> Iterator[dict[str, Any]]:
        """None."""
        return iter(())
