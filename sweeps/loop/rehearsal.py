"""The past, replayed: a journal's events into a fresh scheduler and search algorithm, before Ray starts.

What was decided is read, not decided again. The scheduler sees every report for its own state's sake; where a
verdict of its differs (it looks at which trials run just now), the journal's counts.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ray.train._internal.session import _FutureTrainingResult, _TrainingResult
from ray.tune.experiment import Trial

from sweeps.loop.conductor import Conductor
from sweeps.loop.history import BY_HAND, END, PAUSE, STOP, TrialRecord, spread
from sweeps.loop.judge import Judge

if TYPE_CHECKING:
    from sweeps.loop.trial_source import TrialSource


class Rehearsal:
    """Stands for Ray's controller while the journal is replayed: trials change status, nothing runs."""

    def __init__(self, conductor: Conductor, judge: Judge, source: "TrialSource") -> None:
        self.conductor, self.judge, self.search_alg = conductor, judge, source
        self.stopped: dict[str, None] = {}
        """Whom HyperBand ended while they waited, in its order."""

    def get_trials(self) -> list[Trial]:
        """Trials that have not ended at this point of the past."""
        return [t for t in self.search_alg.live.values() if not t.is_finished()]

    get_live_trials = get_trials

    def has_resources_for_trial(self, trial: Trial) -> bool:
        """Nothing runs here."""
        return False

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        """HyperBand and PBT pause."""
        trial.set_status(Trial.PAUSED)

    def stop_trial(self, trial: Trial) -> None:
        """HyperBand ends a trial that had been paused."""
        if not trial.is_finished():
            inner: Any = self.judge.inner
            inner.on_trial_remove(self, trial)
            self.stopped[trial.trial_id] = None
            trial.set_status(Trial.TERMINATED)

    def _set_trial_status(self, trial: Trial, status: str) -> None:
        trial.set_status(status)

    def _schedule_trial_save(self, trial: Trial, result: dict[str, Any] | None = None) -> "_Saved":
        record = self.conductor.history.trials[trial.trial_id]
        return _Saved(self.search_alg, record, (record.copies, result or {}))


class _Saved(_FutureTrainingResult):
    """A checkpoint that PBT asked for before a crash: found, once needed, by what it is a checkpoint of."""

    def __init__(self, source: "TrialSource", record: TrialRecord, key: tuple[int, dict[str, Any]]) -> None:
        self.source, self.record = source, record
        self.copies, self.result = key

    def resolve(self, block: bool = True) -> _TrainingResult | None:
        """The checkpoint and the report it belongs to; None if it was never written."""
        path = self.record.saved.get((self.copies, self.result.get("training_iteration", 0)))
        return _TrainingResult(self.source.checkpoint(path), self.result) if path else None


def rehearse(conductor: Conductor, judge: Judge, source: "TrialSource") -> None:
    """Replay the journal event by event; trials that have not ended are in `source.live` then."""
    judge.view = stage = Rehearsal(conductor, judge, source)
    for event in conductor.past():
        kind = event["event"]
        if kind == "suggested":
            conductor.recall(event)
            record = conductor.history.trials[event["trial"]]
            judge.add(record, source.make(record))
        elif kind == "learned":
            conductor.learn(event)
        elif kind == "reported":
            _replay_report(conductor, judge, source, event)
        elif kind == "ended":
            _replay_end(conductor, judge, source, event)
        else:
            conductor.history.fold(event)
    order = {trial_id: place for place, trial_id in enumerate(stage.stopped)}
    unfinished = sorted(conductor.history.unfinished.values(), key=lambda one: order.get(one.id, -1))
    for record in unfinished:  # ended, but killed before that was written
        trial = source.live[record.id]
        if record.decision in (STOP, END) or trial.is_finished():
            del source.live[record.id]
            _leave(judge, record, trial)
            conductor.ended(record.id, record.fault, paused=record.decision not in (STOP, END))


def _replay_report(
    conductor: Conductor, judge: Judge, source: "TrialSource", event: Mapping[str, Any]
) -> None:
    record = conductor.history.trials[event["trial"]]
    trial = source.live[record.id]
    conductor.metric_seen = conductor.metric_seen or conductor.metric in event["metrics"]
    result = {**event["metrics"], "training_iteration": event["iteration"], "trial_id": record.id}
    if trial.status == Trial.PAUSED:  # it ran again because the scheduler chose it
        judge.inner.choose_trial_to_run(judge.view)
    trial.set_status(Trial.RUNNING)
    if event["decision"] != END and conductor.counts(result):
        configs = {t.trial_id: t.config for t in judge.view.get_trials()}
        judge.judge(record, trial, conductor.scheduled(record, result))
        for other in judge.view.get_trials():
            other.config = configs.get(other.trial_id, other.config)
    conductor.history.fold(event)
    conductor.pass_on(record)
    for copied in spread(event):
        source.live[copied["trial"]].set_config(copied["config"])
        source.live[copied["trial"]].set_status(Trial.PAUSED)
    if event["decision"] == PAUSE:
        trial.set_status(Trial.PAUSED)


def _replay_end(conductor: Conductor, judge: Judge, source: "TrialSource", event: Mapping[str, Any]) -> None:
    record = conductor.history.trials[event["trial"]]
    record.unwanted = event["state"] == "stopped" and event["reason"] == BY_HAND
    trial = source.live.pop(record.id)
    if not trial.is_finished():
        if event["state"] == "failed":
            judge.inner.on_trial_error(judge.view, trial)
            trial.set_status(Trial.ERROR)
        else:
            _leave(judge, record, trial)
    conductor.history.fold(event)
    conductor.tell(record)


def _last_result(record: TrialRecord) -> dict[str, Any]:
    return {**record.metrics, "training_iteration": record.iteration, "trial_id": record.id}


def _leave(judge: Judge, record: TrialRecord, trial: Trial) -> None:
    if not trial.is_finished():
        judge.leave(record, trial, _last_result(record))
        trial.set_status(Trial.TERMINATED)
