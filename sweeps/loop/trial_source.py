"""Where Ray Tune's trials come from, and the loop that runs them.

Ray's own restore forgets the scheduler and repeats trials (ray-project/ray#30838). So the sweep's journal
decides: `TrialSource` hands Ray the unfinished trials of the journal under their old ids, with their
checkpoints, then new suggestions. Private names of Ray are used only in `controller`, `judge`, `moves`,
`rehearsal`, `copying`, here and in `sweeps.schedulers`; `tests/sweeps/loop/test_ray_canary.py` lists them,
and fails when an upgrade changes one.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.fs
from ray import tune
from ray.train._internal.session import _TrainingResult
from ray.tune.experiment import Experiment, Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.search.search_algorithm import SearchAlgorithm

from sweeps.loop.conductor import Conductor
from sweeps.loop.controller import Controller
from sweeps.loop.history import NOOP, PAUSE, TrialRecord
from sweeps.loop.judge import Judge
from sweeps.loop.rehearsal import rehearse


class TrialSource(SearchAlgorithm):
    """Hands trials to Ray: unfinished ones first, then what the search algorithm suggests.

    Not a `SearchGenerator`: Ray would refuse that beside PBT, and would make up ids and lose configurations.
    """

    def __init__(
        self,
        conductor: Conductor,
        judge: Judge,
        filesystem: pyarrow.fs.FileSystem,
        folder: str,
        placed: Callable[[str, Mapping[str, int]], None] | None = None,
    ) -> None:
        """A source for one session.

        Args:
            conductor, judge: who decides.
            filesystem, folder: the sweep's folder.
            placed: told where a trial is about to train: ranks by Ray's id of the node.
        """
        self.conductor, self.judge = conductor, judge
        self.filesystem, self.folder, self.placed = filesystem, folder, placed
        judge.source = self
        self.live: dict[str, Trial] = {}
        self.waiting: list[Trial] = []
        self.searcher = _Pausable()

    def add_configurations(self, experiments: Any) -> None:
        """Ray's start: the specification of every trial is known, so the past can be replayed."""
        self._spec = (experiments[0] if isinstance(experiments, list) else experiments).spec
        self._parser = _make_parser()
        rehearse(self.conductor, self.judge, self)
        self.waiting = [self._resumed(trial) for trial in self.live.values()]
        first = {trial.trial_id for trial in self.interrupted}
        self.waiting.sort(key=lambda trial: trial.trial_id not in first)
        if self.conductor.copies:  # who must repeat steps does so before anybody looks at its checkpoint
            self.waiting.sort(key=lambda t: not self.conductor.history.trials[t.trial_id].behind)

    def make(self, record: TrialRecord) -> Trial:
        """A Ray trial for this record, without its checkpoint."""
        trial = _create_trial_from_spec(
            {**self._spec, "config": record.config},
            self._parser,
            evaluated_params={},
            experiment_tag=record.id,
            trial_id=record.id,
        )
        self._count_checkpoints(trial, record)
        self.live[record.id] = trial
        return trial

    def checkpoint(self, path: str) -> tune.Checkpoint:
        """Ray's handle of a checkpoint whose path is relative to the sweep's folder."""
        return tune.Checkpoint(f"{self.folder}/{path}", self.filesystem)

    def _resumed(self, trial: Trial) -> Trial:
        """The rehearsed trial as it enters Ray again: its configuration, checkpoint, counters and status."""
        record = self.conductor.history.trials[trial.trial_id]
        trial.set_config(record.config)
        self._count_checkpoints(trial, record)
        result = None
        if record.checkpoint is not None:
            metrics = {  # with empty metrics the iteration would restart at 1
                "training_iteration": record.checkpoint_iteration,
                "time_total_s": record.metrics.get("time_total_s", 0.0),
                "timesteps_total": 0,
                "episodes_total": 0,
            }
            result = _TrainingResult(checkpoint=self.checkpoint(record.checkpoint), metrics=metrics)
        manager: Any = trial.run_metadata.checkpoint_manager
        manager._latest_checkpoint_result = result
        paused = record.decision in (PAUSE, NOOP) and not record.behind
        trial.set_status(Trial.PAUSED if paused else Trial.PENDING)
        return trial

    @staticmethod
    def _count_checkpoints(trial: Trial, record: TrialRecord) -> None:
        """The next checkpoint gets a folder of its own, also after a resume."""
        storage: Any = trial.storage
        storage.current_checkpoint_index = record.checkpoints - 1

    def next_trial(self) -> Trial | None:
        """Ray asks for work: None while all workers are busy, or when nothing is left."""
        if self.conductor.stopping:
            return None
        if self.waiting:
            records = self.conductor.history.trials
            if (
                self.conductor.copies
                and not records[self.waiting[0].trial_id].behind
                and any(records[trial.trial_id].behind for trial in self.entered())
            ):
                return None
            return self.waiting.pop(0)
        busy = sum(trial.status in (Trial.PENDING, Trial.RUNNING) for trial in self.live.values())
        if busy >= self.conductor.at_once:
            return None
        record = self.conductor.suggest()
        return self.make(record) if record else None

    @property
    def interrupted(self) -> list[Trial]:
        """Trials that ran when a crash came and have not started again: they are due first."""
        records = self.conductor.history.trials
        return [
            trial
            for trial in self.live.values()
            if trial.status == Trial.PENDING and records[trial.trial_id].interrupted
        ]

    def entered(self) -> list[Trial]:
        """The trials that Ray has and that have not ended, in the order of their numbers."""
        if not self.waiting:
            return list(self.live.values())
        outside = {trial.trial_id for trial in self.waiting}
        return [trial for trial in self.live.values() if trial.trial_id not in outside]

    def is_finished(self) -> bool:
        """Whether no further trial will come."""
        return self.conductor.stopping is not None or (not self.waiting and self.conductor.exhausted)

    def set_finished(self) -> None:
        """Ray ends the sweep before its time."""
        self.conductor.stop("stopped")

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial ended: by itself, by its scheduler, or with an error after its last retry."""
        trial = self.live.pop(trial_id)
        if error:
            self.judge.inner.on_trial_error(self.judge.view, trial)
        self.conductor.ended(trial_id, reason(trial) if error else None, error=error, paused=result is None)


class _Pausable:
    """What HyperBandForBOHB calls on a searcher; a paused trial takes no worker here anyway."""

    def on_pause(self, trial_id: str) -> None:
        """Nothing to do."""

    def on_unpause(self, trial_id: str) -> None:
        """Nothing to do."""


def reason(trial: Trial) -> str:
    """The last lines of the error, as Ray wrote it to the driver's own disk."""
    try:
        text = Path(trial.error_file).read_text()
    except (OSError, TypeError):
        return "its worker ended without a word"
    lines = [line.rstrip() for line in text.strip().splitlines() if line.strip(" ^~")]
    return "\n".join(_without_rays_frames(lines)[-12:])


def _without_rays_frames(lines: Sequence[str]) -> list[str]:
    """A traceback's lines without those that only say how Ray came to call the user's."""
    kept, rays = [], False
    for line in lines:
        if line.lstrip().startswith('File "'):
            rays = f"{os.sep}ray{os.sep}" in line
        elif not line.startswith(" "):
            rays = False
        if not rays:
            kept.append(line)
    return kept


def loop(
    trainable: Any,
    source: TrialSource,
    *,
    callbacks: Sequence[tune.Callback],
    stopper: tune.Stopper,
    filesystem: pyarrow.fs.FileSystem,
    folder: str,
    retries: int,
    keep: int,
    checkpoints: bool,
    turn: Callable[[], None],
) -> None:
    """Ray Tune's loop until the sweep ends or the conductor stops it.

    Its steps are those of `tune.run`, without the output, the snapshots and a second reading of every trial.

    Args:
        trainable: class or function, with its resources.
        source: of the trials, with its judge and conductor.
        stopper, callbacks: who is asked and told.
        filesystem, folder: the sweep's folder; trials are in `trials/` inside.
        retries: of a crashed trial.
        keep: checkpoints of a trial.
        checkpoints: whether a class trainable saves after each report.
        turn: called at every turn of the loop.
    """
    experiment = Experiment(
        name="trials",
        run=trainable,
        stop=stopper,
        storage_path=folder,
        storage_filesystem=filesystem,
        checkpoint_config=tune.CheckpointConfig(
            num_to_keep=keep, checkpoint_frequency=1 if checkpoints else 0
        ),
        trial_dirname_creator=lambda trial: trial.trial_id,
        max_failures=retries,
    )
    controller: Any = Controller(
        search_alg=source,
        scheduler=source.judge,
        stopper=experiment.stopper,
        callbacks=list(callbacks),
        trial_checkpoint_config=experiment.checkpoint_config,
        storage=experiment.storage,
        reuse_actors=True,
    )
    source.add_configurations([experiment])
    controller.setup_experiments(experiments=[experiment], total_num_samples=source.conductor.trials or 0)
    try:
        while not controller.is_finished() and source.conductor.stopping is None:
            controller.step()
            turn()
            controller.stop_unwanted()
    finally:
        controller.cleanup()
