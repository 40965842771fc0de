"""What a driver shows of its sweep while it runs: tables and study, kept up with the journal's events.

All of it is derived from the journal and made anew from it when a sweep is opened again, so that whatever a
crash left half done is put right. Writing happens in one background thread, as often as it can without taking
more than about `SHARE` of the time, and at most every `EVERY_S`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution

from sweeps.store.manifest import Manifest
from sweeps.store.metrics_table import ROWS, MetricsTable
from sweeps.store.storage import Folder
from sweeps.store.study import StudyFile
from sweeps.store.trials_table import TrialsTable

EVERY_S = 2.0
SHARE = 0.02

log = logging.getLogger(__name__)


class Tables:
    """Writer of trials.parquet, metrics/ and study.journal. A context manager: leaving it closes."""

    def __init__(
        self,
        folder: Folder,
        manifest: Manifest,
        events: Iterable[Mapping[str, Any]] = (),
        *,
        flatten: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        distributions: Mapping[str, BaseDistribution] | None = None,
    ) -> None:
        """Replay, write, and start the background thread.

        Args:
            folder: the sweep's folder.
            manifest: its metrics, modes and hyperparameters.
            events: the journal's events so far (`journal.events()`).
            flatten: the active hyperparameters of a config by name (`Space.flatten`).
            distributions: Optuna's distribution of each hyperparameter; None: no study.journal.
        """
        folder.clear()
        folder.child("metrics").clear()
        objectives = manifest.objectives
        self._metrics = MetricsTable(folder, ROWS)
        self._trials = TrialsTable(
            folder, manifest.parameters, objectives, flatten, manifest.rest.get("resources")
        )
        self._study = None
        if distributions is not None:
            self._study = StudyFile(folder, objectives, distributions, flatten)
        for event in events:
            self.fold(event)
            if event["event"] == "reported" and self._metrics.rows % ROWS == 0:
                self._metrics.write()  # keeps a long replay's memory small
        self._metrics.settle()
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self.flush()
        self._thread = threading.Thread(target=self._keep, name="tables", daemon=True)
        self._thread.start()

    def fold(self, event: Mapping[str, Any]) -> None:
        """Take in an event that the journal has; events that concern no table are ignored."""
        new = self._trials.fold(event)
        if new and event["event"] == "reported":
            self._metrics.add(
                event["trial"], event.get("copies", 0), event["iteration"], event["t"], event["metrics"]
            )
        if new and self._study:
            self._study.fold(event)

    def flush(self) -> None:
        """Write everything folded in so far; returns when readers see it.

        Raises:
            OSError: the store refuses.
        """
        with self._writing:
            self._metrics.write()
            self._trials.write()
            if self._study:
                self._study.write()

    def close(self) -> None:
        """Flush and end the thread. A second call does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self.flush()

    def __enter__(self) -> Tables:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self) -> None:
        writers = [self._metrics.write, self._trials.write, *([self._study.write] if self._study else [])]
        due = [time.monotonic() + EVERY_S] * len(writers)
        told = False
        while not self._stop.wait(max(0.05, min(due) - time.monotonic())):
            for i, write in enumerate(writers):
                if time.monotonic() < due[i] or self._stop.is_set():
                    continue
                began, used = time.monotonic(), time.thread_time()
                try:
                    with self._writing:
                        write()
                    told = False
                except OSError as error:  # the store may come back; the journal has everything
                    if not told:
                        log.warning("tables of the sweep cannot be written: %s; tried again", error)
                    told = True
                used, waited = time.thread_time() - used, time.monotonic() - began
                due[i] = time.monotonic() + max(EVERY_S, len(writers) * used / SHARE, 4 * waited)
