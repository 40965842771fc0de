"""The journal's events into runs: what is missing in each run, and nothing twice.

Rows wait with their trials until W&B lets the trial's run be made; other trials go on meanwhile. Runs are
opened by one thread, one after the other, and finished by several.
"""

import concurrent.futures
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb

from sweeps.tracking.ledger import Ledger
from sweeps.tracking.runs import EXIT_CODES, INTERRUPTED, Runs, patiently, plain, to_rows
from sweeps.tracking.throttle import Throttle

log = logging.getLogger(__name__)

FINISHING = 32
"""Runs that are finished at a time: mostly waiting for W&B."""


@dataclass(slots=True)
class Trial:
    """One trial on its way to W&B."""

    id: str
    config: dict[str, Any]
    rows: int = 0
    """Reports in the journal so far."""

    last: Mapping[str, Any] = field(default_factory=dict)
    iteration: int = 0
    checkpoint: str | None = None
    todo: deque[tuple[str, Any]] = field(default_factory=deque)
    """What its run lacks: ("row", (number, row)), ("config", config), ("end", (state, reason))."""

    run: Any = None
    there: int = 0
    """Rows that the run has."""


class Sender:
    """Shows a sweep's events to W&B.

    Args:
        runs, ledger: the destination, and what is known to be there.
        throttle: for the making of runs; None: they are made on this machine only.
        limited: whether W&B has said that there are too many requests.
        pictures: the newest pictures of a checkpoint, by name.
    """

    def __init__(
        self,
        runs: Runs,
        ledger: Ledger,
        throttle: Throttle | None,
        *,
        limited: Callable[[], bool],
        pictures: Callable[[str], Mapping[str, Path]],
    ) -> None:
        self._runs, self._ledger, self._throttle = runs, ledger, throttle
        self._limited, self._pictures = limited, pictures
        self._trials: dict[str, Trial] = {}
        self._unopened: deque[Trial] = deque()
        self._opening: tuple[Trial, Future[tuple[Any, int]]] | None = None
        self._finishing: dict[Future[bool], tuple[Trial, bool]] = {}
        self._opener, self._finisher = ThreadPoolExecutor(1), ThreadPoolExecutor(FINISHING)
        self.waiting = 0
        """Rows that wait for their runs."""

        self.done = 0
        """Steps taken: a run opened or finished, a row written. It standing still says that W&B does."""

        self.seen = self.whole = self.short = 0
        """Runs that there are to be; of them those that are finished; those that W&B took only a part of."""

        self.why: str | None = None
        """Why the sweep's last session closed; None: it has not, or was killed."""

    # -- events ------------------------------------------------------------------------------------

    def fold(self, event: Mapping[str, Any]) -> None:
        """Take one event of the journal in."""
        kind = event["event"]
        if kind == "suggested":
            self._trials[event["trial"]] = Trial(event["trial"], event["config"])
        elif kind == "reported":
            trial = self._trials[event["trial"]]
            trial.last, trial.iteration = event["metrics"], event["iteration"]
            if trial.rows >= self._ledger.rows(trial.id):
                row = to_rows(event["metrics"], event["iteration"], event["copies"])
                self._add(trial, "row", (trial.rows, row))
                self.waiting += 1
            self._count(trial)
            trial.rows += 1
            for copied in event.get("copied") or ():
                self._copy(copied)
        elif kind == "checkpointed":
            self._trials[event["trial"]].checkpoint = event["path"]
        elif kind == "ended":
            trial = self._trials[event["trial"]]
            self._count(trial)
            if self._ledger.ended(trial.id):
                self.whole += 1
                del self._trials[trial.id]
            else:
                self._add(trial, "end", (event["state"], event.get("reason")))
        elif kind == "opened":
            self.why = None
        elif kind == "closed":
            self.why = event["why"]

    def _copy(self, copied: Mapping[str, Any]) -> None:
        trial = self._trials[copied["trial"]]
        trial.config = copied["config"]
        if trial.run is not None or trial.todo:
            self._add(trial, "config", copied["config"])

    def _add(self, trial: Trial, kind: str, what: Any) -> None:
        if trial.run is None and not trial.todo:
            self._unopened.append(trial)
        trial.todo.append((kind, what))

    def _count(self, trial: Trial) -> None:
        self.seen += not trial.rows

    # -- work --------------------------------------------------------------------------------------

    def work(self) -> None:
        """One turn: write what can be written, open the next run if it is time, hear of finished ones.

        Raises:
            Failure: W&B does not make the run, or its client has broken down.
        """
        self._reap()
        if self._opening is not None and self._opening[1].done():
            (trial, future), self._opening = self._opening, None
            trial.run, trial.there = future.result()
            trial.there = max(trial.there, self._ledger.rows(trial.id))
            self.done += 1
            self._write(trial)
        if self._opening is None and self._unopened and not (self._throttle and self._throttle.wait_s()):
            trial = self._unopened.popleft()
            if self._throttle:
                self._throttle.spend()
            config = plain(trial.config)
            open_it = lambda: patiently(lambda: self._runs.open(trial.id, config), self._limited)  # noqa: E731
            self._opening = (trial, self._opener.submit(open_it))

    def write(self, trials: Iterable[str]) -> None:
        """Bring these trials' new rows into their runs, where those are open."""
        for name in trials:
            trial = self._trials.get(name)
            if trial is not None and trial.run is not None:
                self._write(trial)

    def wait(self, seconds: float) -> None:
        """Until something happens in a thread, or so long."""
        under_way: list[Future[Any]] = [*self._finishing, *([self._opening[1]] if self._opening else [])]
        if under_way:
            concurrent.futures.wait(under_way, seconds, concurrent.futures.FIRST_COMPLETED)
        else:
            time.sleep(seconds)

    @property
    def busy(self) -> bool:
        """Whether anything is under way or waits; a trial that has not ended is none."""
        return bool(self._unopened or self._opening or self._finishing)

    @property
    def missing(self) -> int:
        """Runs of which something has not arrived."""
        return self.short + len(self._finishing) + sum(bool(trial.todo) for trial in self._trials.values())

    def interrupt(self) -> None:
        """Begin to finish what is open, as interrupted: a later session opens it again."""
        for trial in list(self._trials.values()):
            if trial.run is not None:
                self._finish(trial, INTERRUPTED, ended=False)
        self._unopened.clear()

    def _write(self, trial: Trial) -> None:
        while trial.todo and trial.run is not None:
            kind, what = trial.todo.popleft()
            if kind == "row":
                number, row = what
                self.waiting -= 1
                if number >= trial.there:
                    trial.run.log(row)
                    trial.there = number + 1
                self.done += 1
            elif kind == "config":
                trial.run.config.update(plain(what), allow_val_change=True)
            else:
                self._end(trial, *what)

    def _end(self, trial: Trial, state: str, reason: str | None) -> None:
        summary = {key: value for key, value in trial.last.items() if not key.startswith("_")}
        told = {"trial_reason": reason.strip().splitlines()[-1]} if reason and reason.strip() else {}
        if trial.there <= trial.rows:  # else an earlier session has sent them
            images = self._images(trial)
            if images:
                trial.run.log({**images, "training_iteration": trial.iteration})
        trial.run.summary.update({**summary, **told, "trial_state": state})
        self._finish(trial, EXIT_CODES.get(state, 1), ended=True)

    def _images(self, trial: Trial) -> dict[str, wandb.Image]:
        if trial.checkpoint is None:
            return {}
        found = {}
        for name, path in self._pictures(trial.checkpoint).items():
            try:
                found[name] = wandb.Image(str(path))
            except (OSError, ValueError) as error:
                log.warning("the picture %s is left out: %s", path, error)
        return found

    def _finish(self, trial: Trial, exit_code: int, *, ended: bool) -> None:
        run, trial.run = trial.run, None
        self._finishing[self._finisher.submit(self._runs.finish, run, exit_code)] = (trial, ended)

    def _reap(self) -> None:
        for future in [future for future in self._finishing if future.done()]:
            trial, ended = self._finishing.pop(future)
            whole = future.result()
            self.done += 1
            if whole:
                self._ledger.note(trial.id, trial.there, ended)
            self.short += not whole
            if ended:
                self.whole += whole
                del self._trials[trial.id]
