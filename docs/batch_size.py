"""The table and the picture of docs/diagnosis.md, from a finished sweep of the recipe `batch_size`.

    python -m docs.batch_size results/batch-size      prints its table, writes docs/batch-size.svg

Images a second are those of the fastest report of all trials with that step: other work on the machine only
takes away. The picture needs matplotlib: `pip install -c constraints.txt '.[arena]'`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.svg import pyplot, save
from benchmarks.table import markdown
from sweeps import Results

TARGET = 0.95
"""Validation accuracy."""
TICKS = (1_000, 2_000, 5_000, 10_000, 20_000)
IMAGES = 1297
"""In an epoch of digits."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One trial."""

    batch_size: int
    accumulate: int
    lr: float
    accuracies: list[float]
    """After each epoch."""
    losses: list[float]
    speed: float
    """Images a second of the fastest report."""
    noise: list[tuple[float, float]]
    """(variance, square) of the gradient after each epoch; empty where it was not measured."""

    @property
    def step(self) -> int:
        """Samples of a step."""
        return self.batch_size * self.accumulate

    @property
    def epochs(self) -> float | None:
        """To the target, between two reports by a straight line; None: it was not reached."""
        before = 0.0
        for i, accuracy in enumerate(self.accuracies):
            if accuracy >= TARGET:
                return i + (TARGET - before) / (accuracy - before)
            before = accuracy
        return None


@dataclass(frozen=True, kw_only=True)
class Row:
    """All trials with one batch size and number of passes."""

    best: Curve
    """The one that got to the target in the fewest epochs; else that with the best accuracy."""
    speed: float

    @property
    def seconds(self) -> float | None:
        """To the target."""
        return None if self.best.epochs is None else self.best.epochs * IMAGES / self.speed

    @property
    def noise_scale(self) -> float | None:
        """Over the epochs to the target."""
        if not self.best.noise or self.best.epochs is None:
            return None
        until = max(1, round(self.best.epochs))
        variance, square = np.sum(self.best.noise[:until], axis=0)
        return float(variance / square)


def read(results: Results) -> list[Curve]:
    """Every trial with a report."""
    found = []
    for trial in results.trials:
        rows = results.metrics(trial=trial.id).sort_by("iteration").to_pylist()
        noise = [
            (row["grad_variance"], row["grad_square"])
            for row in rows
            if row.get("grad_variance") is not None and row.get("grad_square") is not None
        ]
        if rows:
            one = Curve(
                batch_size=trial.config["batch_size"],
                accumulate=trial.config.get("accumulate", 1),
                lr=trial.config["lr"],
                accuracies=[row["val_accuracy"] for row in rows],
                losses=[row["val_loss"] for row in rows],
                speed=max(row["images_per_s"] for row in rows),
                noise=noise,
            )
            found.append(one)
    return found


def rows(curves: Sequence[Curve]) -> list[Row]:
    """One a kind of step, smallest first."""
    kinds = sorted({(one.step, one.accumulate) for one in curves})
    found = []
    for step, accumulate in kinds:
        ones = [one for one in curves if (one.step, one.accumulate) == (step, accumulate)]
        best = min(ones, key=lambda one: (one.epochs or float("inf"), -one.accuracies[-1]))
        found.append(Row(best=best, speed=max(one.speed for one in ones)))
    return found


def table(found: Sequence[Row]) -> str:
    """Markdown."""
    lines = []
    for row in found:
        one = row.best
        kind = f"{one.accumulate} x {one.batch_size}" if one.accumulate > 1 else str(one.batch_size)
        epochs = one.epochs
        lines.append([
            kind,
            f"{one.lr:g}",
            f"{row.speed:,.0f}",
            f"not in {len(one.accuracies)}" if epochs is None else f"{epochs:.1f}",
            "" if epochs is None else f"{epochs * IMAGES / one.step:.0f}",
            "" if row.seconds is None else f"{row.seconds:.1f}",
            "" if row.noise_scale is None else f"{row.noise_scale:.0f}",
        ])  # fmt: skip
    header = ["samples a step", "lr", "images/s", "epochs", "steps", "seconds", "noise scale"]
    return markdown(header, lines)


def equal(curves: Sequence[Curve]) -> str:
    """How far accumulated steps are from the large batch's, over all epochs and learning rates."""
    far = []
    for one in curves:
        for other in curves:
            same = (one.step, one.lr) == (other.step, other.lr) and one.accumulate > other.accumulate == 1
            if same:
                pairs = zip(one.losses, other.losses, strict=False)
                far.append((max(abs(a - b) for a, b in pairs), one.step, one.lr))
    words = (f"{step} at lr {lr:g}: {gap:.1e}" for gap, step, lr in sorted(far))
    return "largest gap of val_loss between accumulated and large: " + ", ".join(words)


def draw(found: Sequence[Row], where: Path) -> None:
    """Throughput and epochs to the target on the left, seconds to it on the right, over samples a step."""
    plt = pyplot("batch-size")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    other = left.twinx()
    for alone, marker, label in ((True, "o", "one pass"), (False, "x", "passes of 16")):
        ones = [row for row in found if (row.best.accumulate == 1) == alone]
        there = [row for row in ones if row.best.epochs is not None]
        style = {"marker": marker, "ls": "-" if alone else ":"}
        left.plot([r.best.step for r in ones], [r.speed for r in ones], color="#1f4e9c", **style)
        other.plot([r.best.step for r in there], [r.best.epochs for r in there], color="#c97b12", **style)
        right.plot(
            [r.best.step for r in there], [r.seconds for r in there], color="#444", label=label, **style
        )
    left.set(xscale="log", yscale="log", xlabel="samples a step")
    left.set_ylabel("images/s", color="#1f4e9c")
    other.set_ylabel(f"epochs to {TARGET:.0%}", color="#c97b12")
    right.set(xscale="log", xlabel="samples a step", ylabel=f"seconds to {TARGET:.0%}")
    right.set_ylim(bottom=0)
    left.set_yticks(TICKS, [f"{tick:,}" for tick in TICKS])
    scales = [row.noise_scale for row in found if row.noise_scale is not None]
    if scales:
        right.axvspan(min(scales), max(max(scales), min(scales) * 1.1), color="#0b6e4f", alpha=0.15,
                      label="gradient noise scale")  # fmt: skip
    steps = sorted({row.best.step for row in found})
    for axes in (left, right):
        axes.set_xticks(steps, [str(step) for step in steps])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    right.legend()
    save(figure, where)


def main() -> None:
    """Print and draw."""
    curves = read(Results(sys.argv[1]))
    print(table(rows(curves)))
    print(equal(curves))
    draw(rows(curves), Path(__file__).with_name("batch-size.svg"))


if __name__ == "__main__":
    main()
