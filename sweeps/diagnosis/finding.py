"""What a diagnosis says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong with a training, or with a sweep as a whole, and what to do about it."""

    trial: str | None = None
    """Whose; None: of the sweep as a whole, or of a curve by itself."""

    label: str
    """One of `sweeps.diagnosis.labels`."""

    confidence: float
    """From 0 to 1; docs/diagnosis.md has the shares that were right."""

    evidence: Mapping[str, float] = field(default_factory=dict)
    """The numbers that it rests on, by name."""

    text: str
    """The evidence as a sentence."""

    next_step: str
    """The next thing to try."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"evidence": dict(self.evidence)}


def certainty(value: float, even: float, sure: float) -> float:
    """A confidence from one number of the evidence: 0.5 at `even`, 0.9 at `sure`, on a straight line between
    them and on to 0.99 at most, and to 0 on the other side.

    `sure` may be below `even`, where less is more.
    """
    share = (value - even) / (sure - even)
    return float(min(0.99, max(0.0, 0.5 + 0.4 * share)))
