"""Optuna's own way to tell a study of stopped trials: every report is told, and the trial is pruned."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from ray.tune.search import Searcher

from search_algs.space import Space


class Pruning(Searcher):
    """Optuna's TPE on a study of its own; a stopped trial is PRUNED."""

    def __init__(self, seed: int, max_t: int) -> None:
        super().__init__()
        self._max_t = max_t
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self._trials: dict[str, optuna.Trial] = {}

    def set_search_properties(self, metric: Any, mode: Any, config: dict[str, Any], **spec: Any) -> bool:
        """Take over the space."""
        self._metric, self._space = metric, Space(config)
        return True

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """What Optuna asks for."""
        trial = self._trials[trial_id] = self._study.ask()
        config = {}
        for one in self._space.dimensions:
            domain = one.domain
            if domain.kind == "float":
                config[one.name] = trial.suggest_float(one.name, domain.low, domain.high, log=domain.log)
            else:
                config[one.name] = trial.suggest_int(
                    one.name, int(domain.low), int(domain.high), log=domain.log
                )
        return config

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A report."""
        self._trials[trial_id].report(result[self._metric], result["training_iteration"])

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """COMPLETE at the last iteration, else PRUNED at what it reported last."""
        if result["training_iteration"] >= self._max_t:
            self._study.tell(self._trials[trial_id], result[self._metric])
        else:
            self.on_trial_result(trial_id, result)
            self._study.tell(self._trials[trial_id], state=optuna.trial.TrialState.PRUNED)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a run of the arena is not resumed in the middle."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""
