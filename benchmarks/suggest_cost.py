"""What a suggestion costs the driver: CPU of suggesting a trial and telling its result, after n results.

Eight numbers and a choice, 16 trials running, a smooth loss; the mean over the tenth of n that follows (20
trials at least), so that a model's refits have their share. `gp` is Optuna's GPSampler inside our template,
which makes a fresh one for each suggestion; "Ray OptunaSearch (GP)" keeps one. Whoever would take minutes
stops earlier.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import optuna
from ray import tune
from ray.tune.search import Searcher

import search_algs
from benchmarks.table import markdown, verdict

SPACE = {f"x{i}": tune.uniform(0, 1) for i in range(8)} | {"c": tune.choice("abc")}
RUNNING = 16
AT = (10, 100, 1000, 10_000)


def _ray_optuna(sampler: Callable[..., optuna.samplers.BaseSampler]) -> Callable[[], Searcher]:
    def build() -> Searcher:
        from ray.tune.search.optuna import OptunaSearch

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return OptunaSearch(sampler=sampler(seed=0))

    return build


def _ours(name: str) -> Callable[[], Searcher]:
    return lambda: search_algs.build(name, seed=0)


CONTENDERS: dict[str, tuple[Callable[[], Searcher], int]] = {
    "random": (_ours("random"), 10_000),
    "pso": (_ours("pso"), 10_000),
    "bayesian": (_ours("bayesian"), 1000),
    "tpe": (_ours("tpe"), 1000),
    "Ray OptunaSearch (TPE)": (_ray_optuna(optuna.samplers.TPESampler), 1000),
    "gp": (_ours("gp"), 100),
    "Ray OptunaSearch (GP)": (_ray_optuna(optuna.samplers.GPSampler), 100),
}
"""How each is made, and the most results it is asked after."""


def costs(searcher: Searcher, most: int) -> dict[int, float]:
    """CPU milliseconds a trial after each of `AT` results up to `most`."""
    searcher.set_search_properties("loss", "min", dict(SPACE))
    running: deque[tuple[str, float]] = deque()
    begins = {n: 0.0 for n in AT if n <= most}
    found: dict[int, float] = {}
    number = results = 0
    while len(found) < len(begins):
        if results in begins and not begins[results]:
            begins[results] = time.process_time()  # a slow call on some machines: not for each trial
        for n, began in begins.items():
            if results == n + _stretch(n):
                found[n] = 1e3 * (time.process_time() - began) / _stretch(n)
        config = searcher.suggest(f"{number:05d}")
        assert config is not None
        running.append((f"{number:05d}", sum((config[f"x{i}"] - 0.3) ** 2 for i in range(8))))
        number += 1
        if len(running) > RUNNING:
            trial, loss = running.popleft()
            searcher.on_trial_complete(trial, {"loss": loss, "training_iteration": 1})
            results += 1
    return found


def _stretch(n: int) -> int:
    """Trials after n results that are measured."""
    return max(20, n // 10)


def main() -> None:
    """Print the table and whether the goals are met."""
    found = {name: costs(build(), most) for name, (build, most) in CONTENDERS.items()}
    rows = [
        [name, *(f"{one[n]:.3g}" if n in one else "" for n in AT)] for name, one in found.items()
    ]
    print(markdown(["CPU ms a trial, after", *(f"{n:,} results" for n in AT)], rows))
    print()
    for n in (10, 1000, 10_000):
        print(verdict(f"pso after {n:,} results, ms", found["pso"][n], 1, at_most=True))
    for n, goal in ((100, 10), (1000, 50)):
        print(verdict(f"bayesian after {n:,} results, ms", found["bayesian"][n], goal, at_most=True))


if __name__ == "__main__":
    main()
