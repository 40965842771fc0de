"""Ray Tune's controller, taught what the sweep's journal decides: no snapshots, moves, ends by hand."""

from typing import TYPE_CHECKING, Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from sweeps.loop.moves import Moves

if TYPE_CHECKING:
    from sweeps.loop.trial_source import TrialSource


class Controller(TuneController):
    """Decides nothing: the journal does, so that Ray's snapshot, 10 kB a trial each time, is left out.

    Before a trial's next step, and when it ends with an error, it is asked whether its nodes are being taken
    away (`sweeps.loop.moves`); then it goes back into the queue, and the error is no failure.
    """

    def __init__(self, *, search_alg: "TrialSource", **options: Any) -> None:
        self.moves, self.source = Moves(), search_alg
        self._doomed: Any = None
        super().__init__(search_alg=search_alg, **options)

    def checkpoint(self, force: bool = False, wait: bool = False) -> None:
        """Nothing."""

    def _schedule_trial_train(self, trial: Trial) -> None:
        actor = self._trial_to_actor.get(trial)
        if actor is not None:
            resources: Any = self._actor_manager._live_actors_to_ray_actors_resources[actor][1]
            ranks = self.moves.place(trial, resources.placement_group)
            if self.source.placed is not None:
                self.source.placed(trial.trial_id, ranks)
        if self.moves.must_leave(trial) and self.moves.is_saved(trial):
            self._move(trial, RuntimeError("its node is being taken away"))
        else:
            super()._schedule_trial_train(trial)

    def _maybe_cache_trial_actor(self, trial: Trial) -> bool:
        if self._trial_to_actor[trial] is self._doomed or self.moves.must_leave(trial):
            return False
        return super()._maybe_cache_trial_actor(trial)

    def _process_trial_failure(self, trial: Trial, exception: Any) -> None:
        if trial.status == Trial.RUNNING and self.moves.lost_its_node(trial, exception):
            self._move(trial, exception)
        else:
            super()._process_trial_failure(trial, exception)

    def _move(self, trial: Trial, cause: Any) -> None:
        self.source.conductor.moved(trial.trial_id)
        self._try_recover(trial, exc=cause)

    def stop_unwanted(self) -> None:
        """End the trials that a person ends, whatever they do now: what trains is killed, not waited for."""
        while self.source.conductor.unwanted:
            record = self.source.conductor.unwanted.pop(0)
            trial = self.source.live.get(record.id)
            if trial is None:  # it has ended meanwhile
                continue
            if trial in self.source.waiting:  # of a resume: Ray has not got it yet
                self.source.waiting.remove(trial)
                self.source.judge.on_trial_complete(self, trial, {})
                self.source.on_trial_complete(record.id)
                continue
            if trial in self._staged_trials:
                self._unstage_trial_with_resources(trial)
            self._resetting_trials.discard(trial)
            self._doomed = self._trial_to_actor.get(trial)
            self.stop_trial(trial)  # type: ignore[no-untyped-call]  # Ray's
            self._doomed = None

    def _remove_actor(self, tracked_actor: Any) -> None:
        if tracked_actor is self._doomed:
            started = self._actor_manager.is_actor_started(tracked_actor)
            self._actor_manager.remove_actor(tracked_actor, kill=started)
        else:
            super()._remove_actor(tracked_actor)
