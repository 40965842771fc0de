"""Every event of a sweep passes here, once: into the journal first, then to whoever must know.

    Ray --report--> judge (scheduler's verdict) --> journal --> history, searcher, tables, study, W&B, console

Nothing else writes the journal, tells the search algorithm, or ends the sweep.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ray.tune.utils import flatten_dict

from search_algs import AskTell
from sweeps.diagnosis.watch import Watch
from sweeps.journal import Journal
from sweeps.loop.history import BY_HAND, CONTINUE, END, STOP, History, TrialRecord, spread
from sweeps.spelling import allowed

RAYS_OWN = frozenset({
    "date", "timestamp", "pid", "hostname", "node_ip", "trial_id", "experiment_tag", "experiment_id", "done",
    "config", "should_checkpoint", "training_iteration", "checkpoint_dir_name", "hyperband_info",
    "time_this_iter_s", "time_since_restore", "iterations_since_restore", "timesteps_since_restore",
    "timesteps_total", "episodes_total", "agent_timesteps_total", "timesteps_this_iter", "episodes_this_iter",
})  # fmt: skip
"""Keys that Ray puts into every result; the iteration and the host are kept under names of their own."""


class Output(Protocol):
    """Somebody who is shown every event, in order: tables, study, W&B, console."""

    def fold(self, event: Mapping[str, Any]) -> None:
        """Take one event in, quickly; PBT's copies come as events of their own after the report."""


class Conductor:
    """The state of one sweep while it runs.

    Args:
        journal: where events are appended.
        searcher: asked for configurations and told of results.
        metrics: names of the metrics that count, the scheduler's first.
        trials: how many the sweep has in all, unless the search algorithm has fewer.
        max_iterations: a trial ends after this many reports; None: when its trainable says so.
        full_training: the scheduler's max_t. A trial that it stopped before half of that is no result for
            the search algorithm; None: no trial that it stopped is.
        at_once: how many trials may hold a worker.
        seed: of the schedulers' draws.
        copies: whether the scheduler copies trials over others (PBT).
        sparse: whether reports may lack the metric (rows of a W&B script).
        max_failures: stop when more trials than this failed; None: never.
        target: stop the sweep when the first metric reaches this; `(value, mode)`.
        watch: which trials the diagnosis ends; None: none.
        outputs: see `Output`; `watch` is one of them.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        searcher: AskTell,
        metrics: Sequence[str],
        trials: int | None,
        max_iterations: int | None,
        full_training: int | None,
        at_once: int,
        seed: int,
        copies: bool,
        sparse: bool,
        max_failures: int | None,
        target: tuple[float, str] | None,
        outputs: Sequence[Output],
        watch: Watch | None = None,
    ) -> None:
        self.journal, self.searcher, self.metrics, self.metric = journal, searcher, tuple(metrics), metrics[0]
        self.max_iterations, self.full_training, self.at_once = max_iterations, full_training, at_once
        self.seed, self.copies, self.sparse = seed, copies, sparse
        self.max_failures, self.target, self.outputs = max_failures, target, tuple(outputs)
        self._trials = trials
        self.history = History()
        self.metric_seen = False
        self.exhausted = False
        self.stopping: str | None = None
        self.fault: str | None = None
        self.unwanted: list[TrialRecord] = []  # a person ends them; Ray's loop sees to it
        self.watch = watch
        self._lost: dict[str, str] = {}  # what `diagnosed` said of a report that is not written yet

    # -- the past ----------------------------------------------------------------------------------

    def past(self) -> Iterable[Mapping[str, Any]]:
        """The journal's events up to now."""
        return list(self.journal.events())

    def recall(self, event: Mapping[str, Any]) -> None:
        """A suggestion of the past: the search algorithm reads it instead of making it again."""
        self.history.fold(event)
        self.searcher.recall(event["trial"], event["config"], event["memo"])

    def learn(self, event: Mapping[str, Any]) -> None:
        """The search algorithm learns of earlier sweeps' trials."""
        for one in event["trials"]:
            self.searcher.learn(one["config"], one["result"], one["unknown"])

    # -- what the trial source asks ----------------------------------------------------------------

    @property
    def trials(self) -> int | None:
        """How many trials the sweep has in all; None: as many as the search algorithm gives."""
        limits = [n for n in (self._trials, self.searcher.total) if n is not None]
        return min(limits) + self.history.extended if limits else None

    def suggest(self) -> TrialRecord | None:
        """A new trial, written down before anybody acts on it; None when there is none now, or no more."""
        number = len(self.history.trials)
        if self.trials is not None and number >= self.trials:
            self.exhausted = True
            return None
        trial_id = f"{number:05d}"
        config = self.searcher.suggest(trial_id)
        if config == "FINISHED" or config is None:
            self.exhausted = config is not None
            return None
        self._record("suggested", trial=trial_id, config=config, memo=self.searcher.memo(trial_id))
        self.exhausted = self.trials is not None and number + 1 >= self.trials
        return self.history.trials[trial_id]

    # -- what the judge asks -----------------------------------------------------------------------

    def counts(self, result: Mapping[str, Any]) -> bool:
        """Whether a report carries the metric, so that the scheduler is asked."""
        return not self.sparse or self.metric in result

    def scheduled(self, record: TrialRecord, result: Mapping[str, Any]) -> dict[str, Any]:
        """The report as the scheduler sees it; its time counts only reports that carry the metric."""
        if not self.sparse:
            return dict(result)
        return {**result, "training_iteration": record.rows + 1}

    # -- what happens ------------------------------------------------------------------------------

    def fault_of(self, metrics: Mapping[str, Any]) -> str | None:
        """Why a report (see `measured`) cannot stand; None if it can. A trainable may report a `fault`."""
        if isinstance(metrics.get("fault"), str):
            return str(metrics["fault"])
        for name in self.metrics:
            value = metrics.get(name)
            if value is None:
                if self.sparse:
                    continue
                known = sorted(metrics.keys() - {"time_total_s"})
                return f"its report lacks the metric {name!r}; {allowed(name, known)}"
            if not isinstance(value, int | float) or not math.isfinite(value):
                return f"its metric {name} is {value}"
        return None

    def diagnosed(self, trial_id: str, result: Mapping[str, Any], *, last: bool) -> bool:
        """Whether the diagnosis ends a trial with this report, which Ray has not processed yet.

        Args:
            last: it ends the trial in any case.
        """
        iteration = result["training_iteration"]
        if self.watch is None or iteration <= self.history.trials[trial_id].iteration:
            return False
        ends = last or bool(result.get("done"))
        said = self.watch.verdict(trial_id, iteration, measured(result), last=ends)
        if said is not None:
            self._lost[trial_id] = said
        return said is not None

    def reported(
        self,
        trial_id: str,
        result: Mapping[str, Any],
        verdict: str | None,
        copied: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """A report that Ray has processed; ones that were known before a crash are passed over.

        Args:
            trial_id, result: whose, and what.
            verdict: the scheduler's; None: it was not asked.
            copied: the copies it made on this report, as the journal keeps them.
        """
        record = self.history.trials[trial_id]
        iteration = result["training_iteration"]
        if iteration <= record.iteration:
            return
        metrics = measured(result)
        stop = self._lost.pop(trial_id, None)
        fault = self.fault_of(metrics) if stop is None else None
        metrics.pop("fault", None)
        self._record(
            "reported",
            trial=trial_id,
            copies=record.copies,
            iteration=iteration,
            metrics=metrics,
            decision=verdict if verdict is not None else END if result.get("done") else CONTINUE,
            **({"host": result["hostname"]} if "hostname" in result else {}),
            **({"copied": list(copied)} if copied else {}),
            **({"fault": fault} if fault else {}),
            **({"stop": stop} if stop else {}),
            **({"rows": record.rows + (self.metric in metrics)} if self.sparse else {}),
        )
        self.pass_on(record)
        self.metric_seen = self.metric_seen or self.metric in metrics
        if fault is not None and not self.metric_seen:
            self.fault = f"trial {trial_id}: {fault}"
            self.stop("metric")
        if self.target and not fault and self.metric in metrics:
            good, mode = self.target
            if metrics[self.metric] <= good if mode == "min" else metrics[self.metric] >= good:
                self.stop("target")

    def checkpointed(self, trial_id: str, path: str, iteration: int) -> None:
        """A checkpoint of all ranks is complete, at a path relative to the sweep's folder."""
        record = self.history.trials[trial_id]
        self._record("checkpointed", trial=trial_id, copies=record.copies, iteration=iteration, path=path)

    def failed(self, trial_id: str, reason: str) -> None:
        """A trial crashed and is tried again from its last checkpoint."""
        self._record("failed", trial=trial_id, error=reason, again=True)

    def node(self, name: str, state: str, kind: str | None = None, price: float | None = None) -> None:
        """A node starts, is up or is gone (`store.bill`).

        Args:
            name: the cloud's, or Ray's.
            state: starting, up or gone.
            kind, price: its type and $/h, unless it is gone.
        """
        more = {} if kind is None else {"type": kind, "price": price}
        self._record("node", node=name, state=state, **more)

    def placed(self, trial_id: str, shares: Mapping[str, float]) -> None:
        """A trial begins to train on these parts of nodes."""
        self._record("placed", trial=trial_id, shares=dict(shares))

    def moved(self, trial_id: str) -> None:
        """A trial's node is taken away: it goes on elsewhere, from its last checkpoint."""
        record = self.history.trials[trial_id]
        self._record("moved", trial=trial_id, iteration=record.checkpoint_iteration)

    def ended(
        self, trial_id: str, reason: str | None = None, *, error: bool = False, paused: bool = False
    ) -> None:
        """A trial ended; the search algorithm is told what that means for it.

        Args:
            trial_id: whose.
            reason: why, if it failed.
            error: whether it crashed for the last time.
            paused: whether it was ended while it waited, as HyperBand does.
        """
        record = self.history.trials[trial_id]
        if record.state is not None:
            return
        reason = reason or record.fault
        if error or record.fault is not None:
            state = "failed"
        elif record.unwanted:
            state, reason = "stopped", BY_HAND
        elif record.stop is not None:
            state, reason = "stopped", record.stop
        elif (paused or record.decision == STOP) and record.iteration < (self.full_training or math.inf):
            state = "stopped"
        else:
            state = "completed"
        if state == "completed" and self.sparse and not record.rows:
            state, reason = "failed", f"it ended without ever reporting {self.metric!r}"
        self._record("ended", trial=trial_id, state=state, reason=reason)
        self.tell(record)
        failures = self.history.states.get("failed", 0) - self.history.forgiven
        if self.max_failures is not None and failures > self.max_failures:
            self.stop("failures")

    def pass_on(self, record: TrialRecord) -> None:
        """The search algorithm hears the report just folded, if it tells of the trial's own configuration."""
        if record.fault is None and not record.copies:
            self.searcher.on_trial_result(
                record.id, {**record.metrics, "training_iteration": record.iteration}
            )

    def tell(self, record: TrialRecord) -> None:
        """Tell the search algorithm of an ended trial, or that it gave no result.

        No result: it failed; its weights came from another trial's configuration; or its scheduler stopped it
        before half of a full training, where values mislead (search under ASHA does worse than random then).
        """
        shallow = record.state == "stopped" and record.iteration * 2 < (self.full_training or math.inf)
        if record.state == "failed" or record.copies or shallow:
            self.searcher.lose(record.id)
        else:
            self.searcher.conclude(record.id, {**record.metrics, "training_iteration": record.iteration})

    def stop(self, why: str) -> None:
        """End the sweep; trials that run now stay unfinished, for a resume."""
        self.stopping = self.stopping or why

    def close(self, why: str) -> None:
        """This session's last word."""
        self._record("closed", why=why)

    def _record(self, event: str, **fields: Any) -> None:
        written = self.journal.append(event, **fields)
        self.history.fold(written)
        for one in (written, *spread(written)):
            for output in self.outputs:
                output.fold(one)


def measured(result: Mapping[str, Any]) -> dict[str, Any]:
    """A Ray result without Ray's own keys: nested values as `a/b`, NumPy's and torch's as Python's."""
    found = {}
    for key, value in flatten_dict(dict(result)).items():
        if key in RAYS_OWN or key.startswith("config/"):
            continue
        if getattr(value, "size", None) == 1 or getattr(value, "ndim", None) == 0:
            value = value.item()
        if isinstance(value, int | float | str | bool):
            found[key] = value
    return found
