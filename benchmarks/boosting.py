"""Boosting in a trial's engine beside the libraries called directly, on scikit-learn's tables, one rank.

Both sides train the same number of rounds to the same depth on the same rows; that they end with the same
margins, as far as splits are not tied, is tested in `tests/trainables/test_boosting.py`. Repeats alternate;
times are CPU times of the process, one thread. The engine's include its report (loss and score of the
training rows) and the margins of the held-out rows, which the libraries do not compute.

    python -m benchmarks.boosting [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.tree import DecisionTreeClassifier

from benchmarks.table import markdown, spread, verdict
from trainables import load
from trainables.boosters import tables
from trainables.engine import hparams
from trainables.engine.ddp import Ranks

ROUNDS = 50
GOALS = {"adaboost": 2.0, "gbdt": 2.0, "xgboost": 1.5}
"""Engine over library, at most. It pays for sums over ranks and state that a checkpoint can hold."""
CASES = [
    ("adaboost", "digits", 3),
    ("adaboost", "breast_cancer", 1),
    ("gbdt", "digits", 3),
    ("gbdt", "breast_cancer", 3),
    ("gbdt", "diabetes", 3),
    ("xgboost", "digits", 6),
    ("xgboost", "breast_cancer", 6),
]


def engine(name: str, dataset: str, depth: int) -> Callable[[], Any]:
    """One trial's training, a single report, from a task whose data are read."""
    task = load(name).task  # type: ignore[attr-defined]
    settings = {"dataset": dataset, "max_depth": depth, "rounds": ROUNDS, "report_every": ROUNDS}
    made = task(hparams.make(task.Config, settings))
    made.setup()
    return lambda: made.engine(Ranks(0, 1, torch.device("cpu"))).advance()


def library(name: str, dataset: str, depth: int) -> Callable[[], Any]:
    """The same by the library."""
    (x, y), _, _ = tables.load(dataset)
    if name == "adaboost":
        trees = DecisionTreeClassifier(max_depth=depth)
        return lambda: AdaBoostClassifier(trees, n_estimators=ROUNDS).fit(x, y)
    if name == "gbdt":
        kind = GradientBoostingClassifier if dataset in tables.CLASSES else GradientBoostingRegressor
        return lambda: kind(n_estimators=ROUNDS, max_depth=depth).fit(x, y)
    import xgboost

    params: dict[str, Any] = {"max_depth": depth, "nthread": 1, "objective": "binary:logistic"}
    if y.max() > 1:
        params |= {"objective": "multi:softprob", "num_class": int(y.max()) + 1}
    return lambda: xgboost.train(params, xgboost.QuantileDMatrix(x, y), ROUNDS)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    rows, verdicts = [], []
    for case in CASES:
        ways = {"engine": engine(*case), "library": library(*case)}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for repeat in range(repeats + 1):
            for way, train in ways.items():
                cpu = time.process_time()
                train()
                if repeat:  # the first one warms
                    seconds[way].append(time.process_time() - cpu)
        ratios = [a / b for a, b in zip(seconds["engine"], seconds["library"], strict=True)]
        name, dataset, depth = case
        what = f"{name}, {dataset}, depth {depth}"
        rows.append([what, spread(seconds["engine"]), spread(seconds["library"])])
        claim = f"{what}, engine / library, median of {len(ratios)} pairs"
        verdicts.append(verdict(claim, statistics.median(ratios), GOALS[name], at_most=True))
    print(f"{ROUNDS} rounds.\n")
    print(markdown(["what", "engine, CPU s", "library, CPU s"], rows), end="\n\n")
    print("\n".join(verdicts))


if __name__ == "__main__":
    main()
