"""What a sweep's journal says, folded into one record a trial: the state that a resumed sweep starts from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

CONTINUE, PAUSE, STOP, NOOP = "CONTINUE", "PAUSE", "STOP", "NOOP"
"""A scheduler's answers to a report, in Ray's words."""

END = "END"
"""Beside Ray's four: the trial ended by itself, and the scheduler was not asked."""


BY_HAND = "stopped by hand"
"""The reason of a trial that a person ended."""


@dataclass(slots=True)
class TrialRecord:
    """One trial as the journal knows it."""

    number: int
    id: str
    config: dict[str, Any]
    """What it trains with now; a copy (PBT) replaces it."""

    memo: dict[str, Any] | None = None
    """What the search algorithm asked to be remembered of its suggestion."""

    copies: int = 0
    """How many times another trial's weights and configuration were copied over it."""

    iteration: int = 0
    """Its last report's training iteration. A copy puts it to the donor's."""

    decision: str | None = None
    """The scheduler's answer to its last report: CONTINUE, PAUSE, STOP or NOOP; END if it was not asked."""

    metrics: dict[str, Any] = field(default_factory=dict)
    """Its last report."""

    checkpoint: str | None = None
    """Where its last checkpoint lies, relative to the sweep's folder."""

    checkpoint_iteration: int = 0
    saved: dict[tuple[int, int], str] = field(default_factory=dict)
    """Its last checkpoints: (copies, iteration) -> path relative to the sweep's folder."""

    checkpoints: int = 0
    """How many checkpoints were written in all; the next one's index."""

    state: str | None = None
    """completed, stopped or failed; None while it has not ended."""

    rows: int = 0
    """Reports that carried the metric; counted only for scripts, whose reports may lack it."""

    fault: str | None = None
    """What is wrong with its last report (a metric that is missing or not finite)."""

    stop: str | None = None
    """Why the diagnosis ended it with its last report."""

    unwanted: bool = False
    """Whether a person ends it."""

    @property
    def interrupted(self) -> bool:
        """Whether it was told to go on and has not ended."""
        return self.state is None and self.iteration > 0 and self.decision == CONTINUE

    @property
    def behind(self) -> bool:
        """Whether its last checkpoint is older than its last report, so that it will repeat steps."""
        return self.iteration > self.checkpoint_iteration


KEEP = 8
"""Checkpoints of one trial that are remembered; Ray deletes older ones long before."""


class History:
    """All trials of a sweep, in the order they were suggested."""

    def __init__(self, events: Iterable[Mapping[str, Any]] = ()) -> None:
        self.trials: dict[str, TrialRecord] = {}
        self.unfinished: dict[str, TrialRecord] = {}
        self.states: dict[str, int] = {}
        self.extended = 0
        self.forgiven = 0
        for event in events:
            self.fold(event)

    def fold(self, event: Mapping[str, Any]) -> None:
        """Take one event of the journal into account; kinds that say nothing of a trial are passed over."""
        kind = event["event"]
        if kind == "suggested":
            record = TrialRecord(
                number=len(self.trials),
                id=event["trial"],
                config=event["config"],
                memo=event["memo"],
            )
            self.trials[record.id] = self.unfinished[record.id] = record
        elif kind == "reported":
            record = self.trials[event["trial"]]
            record.iteration, record.decision = event["iteration"], event["decision"]
            record.metrics, record.fault = event["metrics"], event.get("fault")
            record.stop = event.get("stop")
            record.rows = event.get("rows", 0)
            for copied in spread(event):
                self._copy(copied)
        elif kind == "checkpointed":
            record = self.trials[event["trial"]]
            record.checkpoints += 1
            record.saved[event["copies"], event["iteration"]] = event["path"]
            while len(record.saved) > KEEP:
                del record.saved[next(iter(record.saved))]
            if event["copies"] == record.copies:  # a save that came after a copy is the old weights'
                record.checkpoint, record.checkpoint_iteration = event["path"], event["iteration"]
        elif kind == "ended":
            record = self.trials[event["trial"]]
            record.state = event["state"]
            self.states[record.state] = self.states.get(record.state, 0) + 1
            self.unfinished.pop(record.id, None)
            record.saved.clear()
        elif kind == "extended":
            self.extended += event["trials"]
        elif kind == "closed" and event["why"] == "failures":  # whoever resumes has seen to their cause
            self.forgiven = self.states.get("failed", 0)

    def _copy(self, copied: Mapping[str, Any]) -> None:
        record = self.trials[copied["trial"]]
        record.copies, record.config = copied["copies"], copied["config"]
        record.iteration = record.checkpoint_iteration = copied["donor_iteration"]
        record.checkpoint = copied["path"]


def seconds_spent(events: Iterable[Mapping[str, Any]]) -> float:
    """How long the sessions of a sweep ran in all, each from its start to its last event."""
    return sum(max(0.0, b["t"] - a["t"]) for a, b in pairwise(events) if b["event"] != "opened")


def spread(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The `copied` events inside a `reported` one.

    A report and the copies that the scheduler made on it are one line of the journal: no crash comes between.
    """
    for copied in event.get("copied") or ():
        yield {"n": event["n"], "t": event["t"], "event": "copied", **copied}
