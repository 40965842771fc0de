"""A sweep as it stands now, kept up by reading little: its table once, then its journal's new events.

The trials table is some seconds old when it is read. So the journal's newest segments are folded over it from
their beginning; each event says where its trial stands from then on, whatever was known of it before. A trial
of which they say nothing stands as the table says.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeps import journal
from sweeps.loop.history import BY_HAND
from sweeps.results import Results
from sweeps.store import lines
from sweeps.store.storage import Folder
from sweeps.store.tail import Tail

ENDED = ("completed", "stopped", "failed")
_RANK = {"completed": 0, "stopped": 1, "failed": 2}
_QUIET_S = 5.0
"""A journal that grows is a driver that lives; after so long without an event it is asked whether it does."""
_TOTALS_S = 10.0
"""How often the table's footer is read anew, for what is not in the events of one trial."""
_PACE = 50
"""Of so many endings the time left is computed."""


@dataclass(slots=True)
class Standing:
    """Where one trial stands."""

    id: str
    state: str = "pending"
    iteration: int = 0
    value: float | None = None
    """The first metric, reported last."""

    host: str = ""
    reported: float | None = None
    """When it last reported, in seconds since 1970."""

    ended: float | None = None
    reason: str = ""
    by_hand: bool = False


class LiveSweep:
    """One sweep, as it stands at the last `look`.

    Args:
        where: its folder.

    Raises:
        ValueError: there is no sweep.
    """

    def __init__(self, where: str | os.PathLike[str] | Folder) -> None:
        results = Results(where)
        self.folder, self.name = results.folder, results.folder.name
        self.metric, mode = next(iter(results.manifest.objectives.items()))
        self._sign = -1.0 if mode == "max" else 1.0
        self._asked_for = results.manifest.trials
        self._extended = 0
        self.dollars: float | None = None
        self.trials: dict[str, Standing] = {}
        self.state = "new"
        """running; finished, interrupted, ... (why it was closed); crashed; new."""
        self.began: float | None = None
        """When the session under way began; None: before what has been read."""
        self._tail = Tail(self.folder)
        self._heard = self._totalled = -math.inf
        self._closed: str | None = None
        self._read_table()
        self.look()

    @property
    def total(self) -> int | None:
        """How many trials were asked for, extensions included."""
        return None if self._asked_for is None else self._asked_for + self._extended

    @property
    def counts(self) -> Counter[str]:
        """How many trials are in each state."""
        return Counter(trial.state for trial in self.trials.values())

    @property
    def under_way(self) -> list[Standing]:
        """Trials that have not ended: running ones first, then those paused, then those waiting."""
        order = {"running": 0, "paused": 1, "pending": 2}
        found = [trial for trial in self.trials.values() if trial.state not in ENDED]
        return sorted(found, key=lambda trial: (order.get(trial.state, 3), trial.id))

    @property
    def best(self) -> Standing | None:
        """The best trial, by the rule of `sweeps.results`."""
        able = [t for t in self.trials.values() if t.value is not None and not math.isnan(t.value)]
        return min(able, key=self._place, default=None)

    def _place(self, trial: Standing) -> tuple[int, float, str]:
        return _RANK.get(trial.state, 1), self._sign * (trial.value or 0.0), trial.id

    def left_s(self) -> float | None:
        """Seconds until the last trial ends, at the pace of the latest endings; None: nobody can say."""
        began = self.began or -math.inf
        ends = sorted(t.ended for t in self.trials.values() if t.ended is not None and t.ended >= began)
        ends = ends[-_PACE:]
        if self.total is None or len(ends) < 2:
            return None
        done = sum(self.counts[state] for state in ENDED)
        return (ends[-1] - ends[0]) / (len(ends) - 1) * (self.total - done)

    def known(self, given: str) -> str:
        """The id of a trial; "7" is short for "00007".

        Raises:
            ValueError: the sweep has no such trial, at least not yet.
        """
        for one in (given, given.zfill(5)):
            if one in self.trials:
                return one
        path = self.folder.uri
        if not self.trials:
            raise ValueError(f"{path} has no trial {given!r}: it has none yet")
        raise ValueError(
            f"{path} has no trial {given!r}; it has {min(self.trials)} to {max(self.trials)}, and "
            f"`starling status {path}` shows those under way"
        )

    def look(self) -> None:
        """Take in what has happened since the last look."""
        now = time.monotonic()
        events = self._tail.events()
        for event in events:
            self._fold(event)
        if events:
            self._heard = now
        if self._closed is not None:
            self.state = self._closed
        elif now - self._heard >= _QUIET_S or self.state != "running":
            if journal.is_running(self.folder):
                self.state, self._heard = "running", now
            elif self.trials or events or self.state == "running":
                self.state = "crashed"
        if now - self._totalled >= _TOTALS_S:
            self._read_totals(now)

    def _read_table(self) -> None:
        columns = ["trial", "state", "iterations", self.metric, "host", "ended", "reason", "error"]
        content = self.folder.read("trials.parquet")
        if content is None:
            return
        table = pq.ParquetFile(pa.BufferReader(content)).read(columns=columns, use_threads=False)
        ended = table["ended"].cast(pa.int64()).to_pylist()
        for row, end in zip(table.drop_columns(["ended"]).to_pylist(), ended, strict=True):
            self.trials[row["trial"]] = Standing(
                id=row["trial"],
                state=row["state"],
                iteration=row["iterations"],
                value=row[self.metric],
                host=row["host"] or "",
                ended=None if end is None else end / 1e6,
                reason=row["error"] or row["reason"] or "",
                by_hand=row["reason"] == BY_HAND,
            )
        self._take_totals(table.schema.metadata, time.monotonic())

    def _read_totals(self, now: float) -> None:
        """The footer alone."""
        try:
            with self.folder.filesystem.open_input_file(self.folder.at("trials.parquet")) as file:
                self._take_totals(pq.read_schema(file).metadata, now)
        except FileNotFoundError:  # a sweep that has just begun
            self._totalled = now

    def _take_totals(self, told: Mapping[bytes, bytes] | None, now: float) -> None:
        self._totalled, told = now, told or {}
        self._extended = int(told.get(b"extended", 0))
        if (cost := told.get(b"dollars")) is not None:
            self.dollars = float(lines.decode(cost)["total"])

    def _fold(self, event: Mapping[str, Any]) -> None:
        kind, t = event["event"], float(event["t"])
        if kind in ("opened", "closed"):
            for trial in self.trials.values():
                if trial.state == "running":
                    trial.state = "pending"
            self._closed = str(event["why"]) if kind == "closed" else None
            self.began = t if kind == "opened" else self.began
            self._totalled = -math.inf
        if "trial" not in event:
            return
        trial = self.trials.setdefault(event["trial"], Standing(id=event["trial"]))
        if kind == "reported":
            value = event["metrics"].get(self.metric)
            trial.iteration, trial.reported = int(event["iteration"]), t
            trial.value = float(value) if isinstance(value, int | float) else trial.value
            trial.state = "paused" if event.get("decision") == "PAUSE" else "running"
            trial.host = event.get("host") or trial.host
            for copy in event.get("copied") or ():
                other = self.trials.setdefault(copy["trial"], Standing(id=copy["trial"]))
                other.iteration = int(copy["donor_iteration"])
        elif kind == "ended":
            trial.state, trial.ended, trial.reason = event["state"], t, str(event.get("reason") or "")
            trial.by_hand = event.get("reason") == BY_HAND
        elif kind == "moved" or (kind == "failed" and event.get("again")):
            trial.state = "pending"
            trial.reason = str(event.get("error") or trial.reason)
