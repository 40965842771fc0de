"""Ends trials whose curves tell that they are lost: `--stop-on diverged,overfit`, beside any scheduler.

What it goes by are the journal's events alone, so that a resume that has read them decides as before; what it
decided stands in the journal (`stop` of a report).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeps.diagnosis import labels
from sweeps.diagnosis.curve import BESIDE, Curve, loss_names

if TYPE_CHECKING:
    from sweeps.spec import Sweep

SURE = 0.8
"""Confidence that a finding must have: a trial is asked about again at each report, a false alarm ends it."""
LEAST = 4
"""Reports before which only a value that is not finite ends a trial."""
OFTEN = 50
"""Up to so many reports each is looked at, then one in so many that there are 25 looks a doubling or more."""


class Watch:
    """The curves of the trials that run.

    Args:
        sweep: whose `stop_on` ends trials.
        past: the journal's events so far.
    """

    def __init__(self, sweep: Sweep, past: Iterable[Mapping[str, Any]] = ()) -> None:
        self.labels, self.metric, self.mode = tuple(sweep.stop_on), sweep.metrics[0], sweep.modes[0]
        self._reports: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
        self._configs: dict[str, Mapping[str, Any]] = {}
        for event in past:
            for one in (event, *(event.get("copied") or ())):
                self.fold({"event": "copied", **one})

    def fold(self, event: Mapping[str, Any]) -> None:
        """One event of the journal; a copy (PBT) begins a new curve."""
        kind, trial = event["event"], event.get("trial", "")
        if kind == "suggested":
            self._configs[trial] = event["config"]
        elif kind == "reported":
            self._reports.setdefault(trial, []).append((event["iteration"], event["metrics"]))
        elif kind == "copied":
            self._reports.pop(trial, None)
            self._configs[trial] = event["config"]
        elif kind == "ended":
            self._reports.pop(trial, None)
            self._configs.pop(trial, None)

    def verdict(
        self, trial: str, iteration: int, metrics: Mapping[str, Any], *, last: bool = False
    ) -> str | None:
        """Why the trial ends with this report, which is not folded yet: label and evidence; None: it goes on.

        Args:
            last: the trial ends with it in any case: only a value that is not finite counts.
        """
        reports = [*self._reports.get(trial, ()), (iteration, metrics)]
        curve = curve_of(reports, self._configs.get(trial, {}), self.metric, self.mode)
        if curve is None or ((last or self._passes(len(reports))) and curve.broken is None):
            return None
        for name in self.labels:
            found = labels.load(name).find(curve)
            if found is not None and found.confidence >= SURE:
                return f"{name}: {found.text}"
        return None

    @staticmethod
    def _passes(count: int) -> bool:
        """Whether this many reports are not looked at."""
        return count < LEAST or (count > OFTEN and count % (count * 2 // OFTEN) != 0)


def curve_of(
    reports: Sequence[tuple[int, Mapping[str, Any]]], config: Mapping[str, Any], metric: str, mode: str
) -> Curve | None:
    """The curve of reports (iteration, metrics) as they came; None: they have no loss and no metric."""
    names = loss_names((name for _, metrics in reports for name in metrics), metric, mode)
    if not names:
        return None
    columns: dict[str, Any] = {
        key: [_number(metrics.get(name)) for _, metrics in reports] for key, name in names.items()
    }
    beside = {name: [_number(metrics.get(name)) for _, metrics in reports] for name in BESIDE}
    return Curve.of(
        iteration=[iteration for iteration, _ in reports],
        train_loss=columns.get("train"),
        val_loss=columns.get("val"),
        metric=columns.get("metric"),
        mode=mode,
        names=names,
        config=config,
        **{name: values for name, values in beside.items() if any(v is not None for v in values)},
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
