"""Ray's scheduler behind a judge: asked once a report, with draws that a replay repeats."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from sweeps.loop.conductor import Conductor
from sweeps.loop.history import CONTINUE, PAUSE, TrialRecord

if TYPE_CHECKING:
    from sweeps.loop.trial_source import TrialSource


@contextmanager
def seeded(*words: int) -> Iterator[None]:
    """Ray's schedulers draw from global generators: here their draws depend on these numbers alone."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state of others is kept
    seed = np.random.SeedSequence([w & 0xFFFFFFFF for w in words]).generate_state(1)[0]
    random.seed(int(seed))
    np.random.seed(seed)  # noqa: NPY002 - ASHA and PB2 use the global generator
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


class Judge(TrialScheduler):
    """The scheduler as Ray sees it: Ray's own, asked once a report, with draws that a replay repeats.

    Args:
        inner: Ray's scheduler.
        conductor: whose trials are judged.
        folder: the sweep's, under which checkpoints lie.
    """

    supports_buffered_results = False

    def __init__(self, inner: TrialScheduler, conductor: Conductor, folder: str) -> None:
        self.inner, self.conductor, self.folder = inner, conductor, folder
        self.source: TrialSource
        self.view: Any = None
        self._known: set[str] = set()
        self._offered: set[str] = set()
        self._verdict: str | None = None
        self._copied: list[dict[str, Any]] = []

    def taken(self) -> tuple[str | None, list[dict[str, Any]]]:
        """The verdict on the last report, if it was judged, and the copies made on it; once."""
        taken = self._verdict, self._copied
        self._verdict, self._copied = None, []
        return taken

    def relative(self, path: str) -> str:
        """A checkpoint's path as the journal keeps it."""
        return path.removeprefix(self.folder + "/")

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Done when the scheduler was built."""
        return True

    def on_trial_add(self, controller: Any, trial: Trial) -> None:
        """A trial enters Ray: new to the scheduler unless it was rehearsed, or comes back after a crash."""
        self._look(controller)
        record = self.conductor.history.trials[trial.trial_id]
        if record.id not in self._known:
            self.add(record, trial)

    def add(self, record: TrialRecord, trial: Trial) -> None:
        """The scheduler learns of a trial, in life or in a rehearsal."""
        self._known.add(record.id)
        with seeded(self.conductor.seed, record.number):
            self.inner.on_trial_add(self.view, trial)

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """The scheduler's verdict, or the old one where this report was judged before a crash."""
        self._look(controller)
        record = self.conductor.history.trials[trial.trial_id]
        if result["training_iteration"] <= record.iteration:
            again = result["training_iteration"] == record.iteration and record.decision == PAUSE
            return PAUSE if again else CONTINUE
        if not self.conductor.counts(result):
            self._verdict = CONTINUE
        else:
            self._verdict = self.judge(record, trial, self.conductor.scheduled(record, result))
        return self._verdict

    def judge(self, record: TrialRecord, trial: Trial, result: dict[str, Any]) -> str:
        """Ask the scheduler; note whom it copied over whom."""
        before = {t.trial_id: t.config for t in self.view.get_trials()} if self.conductor.copies else {}
        with seeded(self.conductor.seed, record.number, record.copies, result["training_iteration"], 1):
            verdict = self.inner.on_trial_result(self.view, trial, result)
        self._copied = [
            self._copy(t)
            for t in (self.view.get_trials() if before else ())
            if t.trial_id in before and t.config is not before[t.trial_id]
        ]
        return verdict

    def _copy(self, trial: Trial) -> dict[str, Any]:
        """What the journal keeps of a copy: who, from whom and when, and the new configuration."""
        manager: Any = trial.run_metadata.checkpoint_manager
        source = manager._latest_checkpoint_result
        path = self.relative(source.checkpoint.path)
        return {
            "trial": trial.trial_id,
            "copies": self.conductor.history.trials[trial.trial_id].copies + 1,
            "donor": path.split("/")[1],
            "donor_iteration": source.metrics["training_iteration"],
            "config": trial.config,
            "path": path,
        }

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Forwarded; a report that cannot stand takes the trial out instead."""
        self._look(controller)
        self.leave(self.conductor.history.trials[trial.trial_id], trial, result)

    def leave(self, record: TrialRecord, trial: Trial, result: Mapping[str, Any]) -> None:
        """A trial ends for the scheduler, in life or in a rehearsal."""
        ended = record.unwanted or record.stop is not None or record.fault is not None  # its value misleads
        out = trial.status == Trial.PAUSED or ended
        if out or self.conductor.metric not in result:
            self.inner.on_trial_remove(self.view, trial)
        else:
            time = {"training_iteration": record.rows} if self.conductor.sparse else {}
            self.inner.on_trial_complete(self.view, trial, {**result, **time})

    def on_trial_remove(self, controller: Any, trial: Trial) -> None:
        """Forwarded."""
        self._look(controller)
        self.inner.on_trial_remove(self.view, trial)

    def on_trial_error(self, controller: Any, trial: Trial) -> None:
        """Kept back: a retried trial is not lost; `TrialSource.on_trial_complete` tells of real losses."""

    def choose_trial_to_run(self, controller: Any) -> Trial | None:
        """Forwarded, showing only trials that have not ended: Ray's schedulers walk through all."""
        self._look(controller)
        if not self.conductor.copies:  # after a crash those that ran go on; PBT's order is the source's
            entered = self.source.entered()
            for trial in self.source.interrupted:
                if trial in entered and trial.trial_id not in self._offered:
                    self._offered.add(trial.trial_id)  # from then on Ray sees to it
                    return trial
        chosen = self.inner.choose_trial_to_run(self.view)
        return chosen if chosen in self.source.entered() else None

    def debug_string(self) -> str:
        """Forwarded."""
        return self.inner.debug_string()

    def _look(self, controller: Any) -> None:
        if not isinstance(self.view, _View):  # nothing yet, or a rehearsal's
            self.view = _View(controller, self.source)


class _View:
    """Ray's controller, showing the live trials alone, in the order of their numbers."""

    def __init__(self, controller: Any, source: "TrialSource") -> None:
        self.controller, self.source = controller, source
        self.search_alg = source

    def get_trials(self) -> list[Trial]:
        return self.source.entered()

    get_live_trials = get_trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self.controller, name)
