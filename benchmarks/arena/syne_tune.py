"""Syne Tune's searchers (Salinas et al. 2022), without its tuner: told of results as its own scheduler does.

`kde` is BOHB's model, `bore` classification with gradient-boosted trees (Tiao et al. 2021). `cqr` needs three
more packages than the rest and seconds a suggestion; `botorch` needs BoTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.tune.search import Searcher
from syne_tune import config_space
from syne_tune.optimizer.schedulers.searchers.searcher_factory import searcher_cls

from search_algs.space import Space


class SyneTune(Searcher):
    """A searcher of Syne Tune by its name there, over spaces of plain numbers."""

    def __init__(self, name: str, seed: int) -> None:
        super().__init__()
        self._name, self._seed = name, seed
        self._configs: dict[str, dict[str, Any]] = {}

    def set_search_properties(self, metric: Any, mode: Any, config: dict[str, Any], **spec: Any) -> bool:
        """Take over the space."""
        self._metric = metric
        space = {one.name: _domain(one.domain) for one in Space(config).dimensions}
        np.random.seed(self._seed)  # noqa: NPY002  (its models draw from it)
        self._searcher = searcher_cls(self._name)(space, random_seed=self._seed)
        return True

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """What it suggests, as Python's own numbers."""
        found = self._searcher.suggest()
        self._configs[trial_id] = found
        return {key: one.item() if isinstance(one, np.generic) else one for key, one in found.items()}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """A result."""
        self._searcher.on_trial_complete(int(trial_id), self._configs.pop(trial_id), result[self._metric])

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a run of the arena is not resumed in its middle."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


def _domain(domain: Any) -> Any:
    if domain.kind == "float":
        make = config_space.loguniform if domain.log else config_space.uniform
        return make(domain.low, domain.high)
    make = config_space.lograndint if domain.log else config_space.randint
    return make(int(domain.low), int(domain.high))
