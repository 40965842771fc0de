"""`study.journal`: the sweep as an Optuna study, for `optuna-dashboard study.journal` and Optuna's analyses.

Written through Optuna's JournalStorage onto a backend that appends to memory and, at each `write`, to the
file: Optuna's own file backend locks and syncs the file for every operation (6 ms a trial). The format is
that backend's, so that `JournalStorage(JournalFileBackend("study.journal"))` opens it.

A trial is RUNNING from its suggestion, has its reports as intermediate values (one objective only: Optuna
shows none for several), and ends as COMPLETE, PRUNED (stopped early) or FAIL (failed, or without a finite
value). The journal of the sweep is the truth; what the file has already is not written again, so
replaying events is harmless.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_algs.space import Domain
from sweeps.store import lines
from sweeps.store.storage import Folder
from sweeps.store.trials_table import look_up

_ENDS = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED}


class _Buffer(BaseJournalBackend):
    """Operations of one writer: as text until they are written, as dicts until Optuna has read them back."""

    def __init__(self, content: bytes) -> None:
        self.pending: list[str] = []
        self.time: datetime | None = None
        """Of the event being folded in: Optuna would take the time of the replay."""

        self.count = 0
        self._first, self._unread = 0, [json.loads(line) for line in content.splitlines()]
        self._mutex = threading.Lock()

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self._unread[log_number_from - self._first :]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        for log in logs:
            if "datetime_complete" in log and self.time is not None:
                log["datetime_complete"] = self.time.isoformat(timespec="microseconds")
        self._first += len(self._unread)  # the only reader reads after every operation
        self._unread = logs
        with self._mutex:
            self.pending += [json.dumps(log, separators=(",", ":")) for log in logs]

    def take(self) -> bytes:
        """What is not yet written, with its line ends."""
        with self._mutex:
            taken, self.pending = self.pending, []
        return "".join(line + "\n" for line in taken).encode()


class StudyFile:
    """Writer of `study.journal`; `fold` takes the sweep's events, `write` brings the study to the store."""

    def __init__(
        self,
        folder: Folder,
        objectives: Mapping[str, str],
        distributions: Mapping[str, BaseDistribution],
        flatten: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    ) -> None:
        """Continue the study in the folder, or begin one.

        Args:
            folder: the sweep's folder.
            objectives: metric -> "min" or "max".
            distributions: of each hyperparameter that Optuna shall show; others become user attributes.
            flatten: the active hyperparameters of a config by name (`Space.flatten`).
        """
        self._folder, self._distributions = folder, dict(distributions)
        self._metrics = list(objectives)
        self._flatten = flatten or (lambda config: look_up(config, self._distributions))
        # In a store the file may be ahead of the journal, after the loss of a machine: it is made anew.
        content = (folder.read("study.journal") or b"") if folder.local is not None else b""
        whole = content[: content.rfind(b"\n") + 1]
        if folder.local is not None and len(whole) < len(content):
            os.truncate(folder.local / "study.journal", len(whole))
        self._content = bytearray()  # of the object in a store
        self._backend = _Buffer(whole)
        self._storage = JournalStorage(self._backend)
        self._ids: dict[str, int] = {}  # trial -> Optuna's id, while it runs
        self._known: dict[str, set[int]] = {}  # trial -> iterations in the file, while it runs
        self._done: set[str] = set()
        self._last: dict[str, list[float | None]] = {}  # trial -> objectives last reported, while it runs
        studies = self._storage.get_all_studies()
        if studies:
            self._study = studies[0]._study_id
            self._take_over()
        else:
            ways = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
            modes = [ways[mode] for mode in objectives.values()]
            verbosity = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would print that a study is made
            self._study = self._storage.create_new_study(modes, folder.name or "sweep")
            optuna.logging.set_verbosity(verbosity)
            self._storage.set_study_system_attr(self._study, "study:metric_names", self._metrics)

    def fold(self, event: Mapping[str, Any]) -> None:
        """Take one event of the sweep's journal in; those that the file has already change nothing."""
        trial, kind = event.get("trial"), event["event"]
        if trial is None or trial in self._done:
            return
        self._backend.time = datetime.fromtimestamp(event["t"], UTC)
        if kind == "suggested":
            if trial not in self._ids:
                self._ids[trial] = self._create(trial, event)
                self._known[trial] = set()
        elif trial not in self._ids:
            return
        elif kind == "reported":
            metrics = event["metrics"]
            self._last[trial] = [None if (v := metrics.get(m)) is None else float(v) for m in self._metrics]
            value, step = self._last[trial][0], int(event["iteration"])
            if len(self._metrics) == 1 and value is not None and step not in self._known[trial]:
                self._storage.set_trial_intermediate_value(self._ids[trial], step, value)
                self._known[trial].add(step)
            for copy in event.get("copied") or ():
                self._copy(copy)
        elif kind == "ended":
            self._end(trial, event)

    def write(self) -> None:
        """Bring what was folded in to the store: appended on a local disk, the whole object elsewhere."""
        fresh = self._backend.take()
        if not fresh:
            return
        if (local := self._folder.local) is not None:
            local.mkdir(parents=True, exist_ok=True)
            with (local / "study.journal").open("ab") as file:
                file.write(fresh)
        else:
            self._content += fresh
            self._folder.put("study.journal", bytes(self._content))

    def _take_over(self) -> None:
        """Learn from the study in the file what need not be written again."""
        for known in self._storage.get_all_trials(self._study, deepcopy=False):
            trial = str(known.user_attrs.get("trial"))
            if known.state.is_finished():
                self._done.add(trial)
            else:
                self._ids[trial] = known._trial_id
                self._known[trial] = set(known.intermediate_values)

    def _create(self, trial: str, event: Mapping[str, Any]) -> int:
        params, distributions, attributes = {}, {}, {"trial": trial}
        for name, value in self._flatten(event["config"]).items():
            value = value.item() if hasattr(value, "item") else value
            distribution = self._distributions.get(name)
            shown = None if distribution is None else _shown(value, distribution)
            if distribution is None or shown is None:
                attributes[name] = lines.text(value)
            else:
                params[name], distributions[name] = shown[0], distribution
        template = FrozenTrial(
            number=-1, trial_id=-1, state=TrialState.RUNNING, value=None, values=None,
            datetime_start=self._backend.time, datetime_complete=None, params=params,
            distributions=distributions, user_attrs=attributes, system_attrs={}, intermediate_values={},
        )  # fmt: skip
        return self._storage.create_new_trial(self._study, template)

    def _copy(self, copy: Mapping[str, Any]) -> None:
        """A trial goes on with another's weights; the parameters shown stay those it began with."""
        if (number := self._ids.get(copy["trial"])) is not None:
            said = {"from": copy["donor"], "iteration": copy["donor_iteration"], "config": copy["config"]}
            self._storage.set_trial_user_attr(number, f"copy {copy['copies']}", lines.text(said))

    def _end(self, trial: str, event: Mapping[str, Any]) -> None:
        number = self._ids.pop(trial)
        self._known.pop(trial)
        values = self._last.pop(trial, [None] * len(self._metrics))
        state = _ENDS.get(event["state"], TrialState.FAIL)
        finite = [v for v in values if v is not None and not math.isnan(v)]
        if state == TrialState.COMPLETE and len(finite) < len(values):
            state = TrialState.FAIL
        if event.get("reason"):
            self._storage.set_trial_user_attr(number, "reason", str(event["reason"])[:500])
        told = finite if len(finite) == len(values) and state != TrialState.FAIL else None
        self._storage.set_trial_state_values(number, state, told)
        self._done.add(trial)


def _shown(value: Any, distribution: BaseDistribution) -> tuple[Any] | None:
    """The value as Optuna's distribution has it; None where it is outside (PBT may go there)."""
    if isinstance(distribution, CategoricalDistribution):
        for choice in distribution.choices:
            if choice is value or (type(choice) is type(value) and choice == value):
                return (choice,)
        text = lines.text(value)
        return (text,) if text in distribution.choices else None
    return (value,) if isinstance(value, (int, float)) and distribution._contains(float(value)) else None


def distribution(domain: Domain) -> BaseDistribution | None:
    """How Optuna shows the values of a parameter; None where none of its distributions can."""
    if domain.kind == "categorical":
        size = domain.size or 1
        options = [domain.from_unit((k + 0.5) / size) for k in range(size)]
        plain = all(isinstance(v, str | int | float | bool) or v is None for v in options)
        return CategoricalDistribution(options if plain else [lines.text(v) for v in options])
    low, high = domain.from_unit(0.0), domain.from_unit(1.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    log = domain.log and low > 0
    if domain.kind == "int":
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)
