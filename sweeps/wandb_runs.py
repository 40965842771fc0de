"""A sweep's events as Weights & Biases runs: which event starts a run, adds a row, ends it."""

from collections.abc import Iterable, Mapping
from typing import Any

from sweeps.tracking import Tracker


class WandbRuns:
    """Shows a sweep's events to a tracker; a run starts with its trial's first report.

    Args:
        tracker: opened, and closed by the caller.
        past: events of earlier sessions. Their rows are in W&B already; what is needed of them is the
            configurations, for the trials that go on.
    """

    def __init__(self, tracker: Tracker, past: Iterable[Mapping[str, Any]] = ()) -> None:
        self.tracker = tracker
        self.configs: dict[str, Mapping[str, Any]] = {}
        self.last: dict[str, Mapping[str, Any]] = {}
        self.started: set[str] = set()
        for event in past:
            self._remember(event)

    def fold(self, event: Mapping[str, Any]) -> None:
        """Take one event in."""
        self._remember(event)
        kind, trial = event["event"], event.get("trial", "")
        if kind == "reported":
            self._start(trial)
            self.tracker.row(trial, event["iteration"], event["copies"], event["metrics"])
        elif kind == "copied" and trial in self.started:
            self.tracker.trial_started(trial, event["config"])
        elif kind == "ended":
            self._start(trial)
            self.tracker.trial_ended(trial, event["state"], self.last.pop(trial, {}))
            self.started.discard(trial)
            self.configs.pop(trial, None)

    def _remember(self, event: Mapping[str, Any]) -> None:
        if event["event"] in ("suggested", "copied"):
            self.configs[event["trial"]] = event["config"]
        elif event["event"] == "reported":
            self.last[event["trial"]] = event["metrics"]

    def _start(self, trial: str) -> None:
        if trial not in self.started:
            self.started.add(trial)
            self.tracker.trial_started(trial, self.configs.get(trial, {}))
