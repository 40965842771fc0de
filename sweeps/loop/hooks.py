"""What Ray asks and tells while a sweep runs, passed on to the conductor."""

from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from sweeps.loop.conductor import Conductor, measured
from sweeps.loop.judge import Judge
from sweeps.loop.trial_source import reason


class Stopper(tune.Stopper):
    """Ends a trial that has trained fully, reports nonsense or is lost by its curve, and the sweep on the
    conductor's word."""

    def __init__(self, conductor: Conductor) -> None:
        self.conductor = conductor

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether this trial ends with this report."""
        longest = self.conductor.max_iterations
        full = longest is not None and result["training_iteration"] >= longest
        lost = self.conductor.diagnosed(trial_id, result, last=full)
        return full or lost or self.conductor.fault_of(measured(result)) is not None

    def stop_all(self) -> bool:
        """Whether the sweep ends."""
        return self.conductor.stopping is not None


class Listener(tune.Callback):
    """What Ray tells of, passed on to the conductor."""

    def __init__(self, conductor: Conductor, judge: Judge) -> None:
        self.conductor, self.judge = conductor, judge

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """After the judge."""
        self.conductor.reported(trial.trial_id, result, *self.judge.taken())

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: tune.Checkpoint, **info: Any
    ) -> None:
        """The files are there; the trial itself does not know yet."""
        self.conductor.checkpointed(
            trial.trial_id,
            self.judge.relative(checkpoint.path),
            trial.last_result.get("training_iteration", 0),
        )

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A crashed trial goes back into the queue."""
        self.conductor.failed(trial.trial_id, reason(trial))
