"""What a race's trials gave, read from its journal: one record a configuration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeps.certify.arm import Arm
from sweeps.certify.candidates import without_seed


@dataclass(slots=True)
class Record:
    """One configuration and its trials so far."""

    name: str
    config: dict[str, Any]
    seed_key: str | None
    what: str = ""
    """Of the default configuration, what it is."""

    trials: list[str] = field(default_factory=list)
    """Ids in the race, in order."""

    seeds: list[Any] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)
    """Of the metric; None where a trial failed or has not ended."""

    reasons: list[str] = field(default_factory=list)
    """Why trials failed."""

    running: int = 0

    def arm(self, mode: str) -> Arm:
        """For the race and the statistics."""
        sign = -1.0 if mode == "max" else 1.0
        losses = [sign * value for value in self.values if value is not None]
        return Arm(self.name, losses, failed=len(self.reasons), running=self.running)


def records(events: Iterable[Mapping[str, Any]], metric: str) -> dict[str, Record]:
    """The configurations in the order in which they entered.

    Args:
        events: the race's journal.
        metric: whose last value counts.
    """
    found: dict[str, Record] = {}
    of: dict[str, tuple[Record, int]] = {}
    last: dict[str, float] = {}
    for event in events:
        kind = event["event"]
        if kind == "suggested":
            memo = event["memo"]
            name, key = memo["configuration"], memo["seed_key"]
            config = without_seed(event["config"], key)
            record = found.setdefault(name, Record(name, config, key, memo.get("what", "")))
            of[event["trial"]] = record, len(record.trials)
            record.trials.append(event["trial"])
            record.seeds.append(memo["seed"])
            record.values.append(None)
            record.running += 1
        elif kind == "reported":
            value = event["metrics"].get(metric)
            if isinstance(value, int | float) and math.isfinite(value):
                last[event["trial"]] = float(value)
        elif kind == "ended":
            record, place = of[event["trial"]]
            record.running -= 1
            if event["state"] == "completed" and event["trial"] in last:
                record.values[place] = last[event["trial"]]
            else:
                record.reasons.append(str(event.get("reason") or event["state"]))
    return found
