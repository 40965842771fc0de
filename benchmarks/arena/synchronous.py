"""pyswarms as a searcher: it evaluates whole generations, so that workers wait for the last of each.

pyswarms calls back with all positions at once and wants all losses at once. It runs in a thread that sleeps
while a generation is evaluated; `suggest` gives None to a worker that must wait.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

import numpy as np
from ray.tune.search import Searcher

from search_algs.space import Space

SETTINGS: dict[str, dict[str, Any]] = {
    "constriction": {"options": {"w": 0.7298, "c1": 1.49618, "c2": 1.49618}, "bh_strategy": "nearest"},
    "defaults": {"options": {"w": 0.9, "c1": 0.5, "c2": 0.3}, "bh_strategy": "periodic"},
}
"""Clerc & Kennedy's constants with positions clipped to the bounds; the values of pyswarms' own examples."""


class Pyswarms(Searcher):
    """`pyswarms.single.GlobalBestPSO` over the unit cube of a `Space`."""

    def __init__(self, settings: str, seed: int, particles: int = 10, trials: int = 200) -> None:
        super().__init__()
        self._settings, self._seed = SETTINGS[settings], seed
        self._particles, self._generations = particles, -(-trials // particles)
        self._asked: queue.Queue[Any] = queue.Queue()
        self._answers: queue.Queue[Any] = queue.Queue()
        self._waiting: list[int] = []
        self._trials: dict[str, int] = {}
        self._losses: dict[int, float] = {}
        self._thread: threading.Thread | None = None

    def set_search_properties(self, metric: Any, mode: Any, config: dict[str, Any], **spec: Any) -> bool:
        """Take over the space."""
        self._metric, self._space = metric, Space(config)
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next particle of this generation; None while it is not complete."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._optimize, daemon=True)
            self._thread.start()
            self._begin()
        if not self._waiting:
            return None
        self._trials[trial_id] = i = self._waiting.pop(0)
        return self._space.decode(self._positions[i])

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing."""

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """One loss; with the last the next generation begins."""
        self._losses[self._trials.pop(trial_id)] = result[self._metric]
        if len(self._losses) == len(self._positions):
            self._answers.put(np.array([self._losses[i] for i in range(len(self._positions))]))
            self._begin()

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a run of the arena is not resumed in its middle."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""

    def _begin(self) -> None:
        found = self._asked.get()
        self._losses = {}
        self._positions = np.empty((0, 0)) if found is None else np.clip(found, 0, 1)
        self._waiting = list(range(len(self._positions)))

    def _optimize(self) -> None:
        import pyswarms

        logging.disable(logging.INFO)
        np.random.seed(self._seed)  # noqa: NPY002  (pyswarms draws from it)
        bounds = (np.zeros(len(self._space)), np.ones(len(self._space)))
        swarm = pyswarms.single.GlobalBestPSO(
            n_particles=self._particles, dimensions=len(self._space), bounds=bounds, **self._settings
        )
        swarm.optimize(self._evaluate, iters=self._generations, verbose=False)
        self._asked.put(None)

    def _evaluate(self, positions: Any) -> Any:
        self._asked.put(positions.copy())
        return self._answers.get()
