"""What a race found, as it is stored in `<sweep>/certificate.json` and printed. Keys: docs/certificate.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.results import Results

FILE = "certificate.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What is known of a sweep's best configurations after a race on fresh seeds.

    Values are in the metric's own unit. A `gain` is positive where the winner is better, whatever the mode.
    What is not known is None, and a note says why.
    """

    sweep: str
    """The sweep's name."""

    sweep_trials: int
    """Trials that the sweep had when this was stated."""

    metric: str
    mode: str
    winner: str | None
    """The trial of the sweep whose configuration is chosen; None: none ended well in the race."""

    winner_config: dict[str, Any] | None = None
    winner_in_sweep: float | None = None
    """The value for which the sweep put it forward: too good on average, as it was picked for it."""

    winner_value: float | None = None
    """Its expected value on a fresh seed, shrunken (`sweeps.certify.posterior`)."""

    winner_low: float | None = None
    winner_high: float | None = None
    """Its true mean lies between, with `confidence`."""

    probability_best: float | None = None
    """That the winner is truly the best of all that were raced, the default configuration included."""

    gain: float | None = None
    """The winner's expected value over the mean of the default configuration."""

    gain_low: float | None = None
    gain_high: float | None = None
    """The true gain lies between, with `confidence`."""

    default: str
    """What the default configuration is, or why there is none."""

    default_config: dict[str, Any] | None = None
    default_value: float | None = None
    """The mean of its trials."""

    confidence: float
    noise: float | None
    """Standard deviation of one training of the candidates over seeds; None before any was repeated."""

    noise_degrees: int
    """Degrees of freedom of `noise`."""

    seed_key: str | None
    """The hyperparameter that the seeds went to."""

    deterministic: bool
    """Whether all repeats agreed to the last digit."""

    budget: int
    trials: int
    """Of the race that have ended, failed ones included."""

    failed: int
    notes: list[str] = field(default_factory=list)
    configurations: list[dict[str, Any]] = field(default_factory=list)
    """One for each that was raced, best first."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Certificate:
        """What `to_dict` gave; keys of a later version are passed over."""
        known = {one.name for one in fields(cls)}
        return cls(**{key: value for key, value in stored.items() if key in known})

    def table(self) -> list[list[str]]:
        """What was raced, a row each below the headings: numbers as they are told to people."""
        rows = [["configuration", "trials", "mean", "expected", "P(best)", "in the sweep", ""]]
        for one in self.configurations:
            state = "failed too often" if one["unreliable"] else "" if one["still_in"] else "out"
            rows.append([
                one["configuration"], str(one["trials"]), _number(one["mean"]), _number(one["expected"]),
                "" if one["probability_best"] is None else f"{one['probability_best']:.2f}",
                _number(one["in_sweep"]), state,
            ])  # fmt: skip
        return rows

    def text(self) -> str:
        """For people."""
        rows = self.table()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [f"{self.metric} ({self.mode}) of {self.sweep} on fresh seeds, {self.trials} trials"]
        lines += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join(lines + self.findings() + [f"note  {one}" for one in self.notes])

    def findings(self) -> list[str]:
        """The winner, what it is worth and gains, a sentence each."""
        if self.winner is None:
            return ["no configuration can be certified"]
        sure = self.probability_best
        chance = "" if sure is None else f", the best with probability {sure:.2f}"
        percent = f"{100 * self.confidence:g} %"
        found = [f"winner {self.winner}{chance}: {_words(self.winner_config or {})}"]
        range_ = _range(self.winner_low, self.winner_high, percent)
        in_sweep = f"; its value in the sweep was {_number(self.winner_in_sweep)}"
        found.append(f"{self.metric} {_number(self.winner_value)} expected{range_}{in_sweep}")
        if self.gain is not None:
            range_ = _range(self.gain_low, self.gain_high, percent)
            found.append(f"gain over the default configuration {self.gain:+.4g}{range_}")
        found.append(f"the default configuration is {self.default}")
        if self.noise is not None and not self.deterministic:
            found.append(
                f"one training differs from the next by {self.noise:.3g} (standard deviation, "
                f"{self.noise_degrees} degrees of freedom)"
            )
        return found


def read(results: Results) -> Certificate | None:
    """The certificate that is stored with a sweep; None where there is none."""
    content = results.folder.read(FILE)
    return None if content is None else Certificate.from_dict(json.loads(content))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _range(low: float | None, high: float | None, percent: str) -> str:
    return "" if low is None or high is None else f" ({percent}: {low:.4g} to {high:.4g})"


def _words(config: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in config.items()
    )
