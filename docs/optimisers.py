"""The tables and the picture of docs/optimisers.md, from a finished sweep of the recipe `optimisers_cifar10`.

    python -m docs.optimisers results/optimisers            prints its table, writes docs/optimisers.svg
    python -m docs.optimisers results/optimisers resnet 2   trains the best setting of each rule again, here
                                                            a ResNet for 2 epochs, and prints that table
    python -m docs.optimisers results/optimisers simple_cnn 30 0.05     on a twentieth of the images

What it trains again lies beside the sweep, and is not trained twice. The picture needs matplotlib:
`pip install -c constraints.txt '.[arena]'`.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray import tune

from benchmarks.svg import pyplot, save
from benchmarks.table import markdown
from sweeps import Results, Sweep

OWN_OF = {
    "sgd": "weight_decay", "adamw": "weight_decay", "momentum": "momentum", "nesterov": "momentum",
    "rmsprop": "beta2", "adam": "beta2", "langevin": "temperature", "psgld": "temperature",
}  # fmt: skip
"""What of a rule is searched beside its learning rate."""
NEAR = 0.05
"""A learning rate is good that comes within so much accuracy of the best one's."""
CHANCE = 0.1
"""Accuracy of a guess: what a diverged trial counts."""


@dataclass
class Setting:
    """The trials of one rule, learning rate and own value: one a seed."""

    ends: list[float] = field(default_factory=list)
    """Validation accuracy at the end."""
    thirds: list[float] = field(default_factory=list)
    """At the first report."""
    gaps: list[float] = field(default_factory=list)
    """Validation less training loss at the end, of those that did not diverge."""
    diverged: int = 0

    @property
    def accuracy(self) -> float:
        """Its mean over seeds."""
        return statistics.mean(self.ends)

    def add(self, reports: list[dict[str, Any]], completed: bool) -> None:
        """One trial, by its reports in their order."""
        first, last = reports[0], reports[-1]
        self.thirds.append(first["val_accuracy"])
        self.ends.append(last["val_accuracy"] if completed else CHANCE)
        self.diverged += not completed
        if completed:
            self.gaps.append(last["val_loss"] - last["train_loss"])


Rules = dict[str, dict[tuple[float, float], Setting]]
"""By optimizer, then by learning rate and own value."""


def settings(results: Results) -> Rules:
    """All of a sweep whose trials have ended."""
    found: Rules = defaultdict(lambda: defaultdict(Setting))
    for trial in results.trials:
        if trial.state not in ("completed", "failed"):
            continue
        own = trial.config[OWN_OF[trial.config["optimizer"]]]
        reports = results.metrics(trial=trial.id).sort_by("iteration").to_pylist()
        one = found[trial.config["optimizer"]][trial.config["lr"], own]
        one.add(reports, trial.state == "completed")
    return found


def by_rate(rule: dict[tuple[float, float], Setting]) -> dict[float, float]:
    """Accuracy at each learning rate, with the better own value."""
    rates = sorted({lr for lr, _ in rule})
    return {lr: max(one.accuracy for (rate, _), one in rule.items() if rate == lr) for lr in rates}


def table(rules: Rules) -> str:
    """One row a rule, the best first."""
    rows = []
    for name, rule in rules.items():
        (lr, own), best = max(rule.items(), key=lambda pair: pair[1].accuracy)
        rates = by_rate(rule)
        good = [rate for rate, accuracy in rates.items() if accuracy >= best.accuracy - NEAR]
        trials = sum(len(one.ends) for one in rule.values())
        cells = [
            f"{name}, {own:g}",
            f"{lr:g}",
            f"{statistics.mean(best.thirds):.1%}",
            f"{best.accuracy:.1%} ({min(best.ends):.1%} to {max(best.ends):.1%})",
            f"{len(good)} of {len(rates)}",
            f"{sum(one.diverged for one in rule.values())} of {trials}",
            f"{statistics.mean(best.gaps):+.3f}",
        ]
        rows.append((best.accuracy, cells))
    header = ["rule, own value", "lr", "after a third", "at the end", "good rates", "diverged", "loss gap"]
    return markdown(header, [cells for _, cells in sorted(rows, reverse=True)])


def draw(rules: Rules, where: Path) -> None:
    """Accuracy against the learning rate: a line a rule, with the better own value."""
    plt = pyplot("optimisers")
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, rule in rules.items():
        rates = by_rate(rule)
        axes.plot(list(rates), [100 * accuracy for accuracy in rates.values()], marker="o", ms=4, label=name)
    axes.set(xscale="log", xlabel="learning rate", ylabel="validation accuracy after one epoch, %")
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, where)


def again(where: Path, rules: Rules, model: str, epochs: int, share: float, data: str) -> str:
    """The best setting of each rule, two seeds: with another network, longer, on fewer images. A row each."""
    rows = []
    for name, rule in rules.items():
        lr, own = max(rule, key=lambda setting: rule[setting].accuracy)
        folder = where.with_name(f"{where.name}-{model}-{epochs}-{share:g}-{name}")
        if not folder.exists():
            fixed = {
                "dataset": "cifar10", "data": data, "model": model, "batch_size": 100, "epochs": epochs,
                "train_share": share, "report_every": max(1, round(450 * share)), "optimizer": name, "lr": lr,
                OWN_OF[name]: own,
            }  # fmt: skip
            Sweep(
                trainable="classify", space={"seed": tune.choice([0, 1])}, fixed=fixed, search="grid",
                metric="val_accuracy", mode="max", storage=str(where.parent), name=folder.name,
            ).run()  # fmt: skip
        results = Results(folder)
        curves = [results.metrics(trial=one.id).sort_by("iteration").to_pylist() for one in results.trials]
        ends = [reports[-1] for reports in curves]
        least = [min(reports, key=lambda report: report["val_loss"]) for reports in curves]
        cells = [
            f"{name}, {own:g}, lr {lr:g}",
            spread_of([100 * end["val_accuracy"] for end in ends]),
            spread_of([end["train_loss"] for end in ends]),
            spread_of([end["val_loss"] for end in ends]),
            spread_of([one["val_loss"] for one in least]),
            " and ".join(str(one["iteration"]) for one in least),
        ]
        rows.append((statistics.mean(end["val_accuracy"] for end in ends), cells))
    header = ["rule", "held-out, %", "training loss", "held-out loss", "its least", "in epoch"]
    return markdown(header, [cells for _, cells in sorted(rows, reverse=True)])


def spread_of(values: list[float]) -> str:
    """Mean of the seeds, and each."""
    return f"{statistics.mean(values):.3g} ({', '.join(f'{value:.3g}' for value in values)})"


def main() -> None:
    """Print what is asked for."""
    where = Path(sys.argv[1])
    results = Results(where)
    found = settings(results)
    if len(sys.argv) > 2:
        data = results.trials[0].config.get("data") or os.environ["STARLING_DATA"]
        model, epochs, share = sys.argv[2], int(sys.argv[3]), float((*sys.argv, "1")[4])
        print(again(where, found, model, epochs, share, data))
    else:
        print(table(found))
        draw(found, Path(__file__).with_name("optimisers.svg"))


if __name__ == "__main__":
    main()
