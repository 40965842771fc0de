"""The race as a search algorithm, so that its trials run as those of any sweep do, and are resumed like them.

What a suggestion was is in the journal (`memo`), results are told on replay: nothing else is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from search_algs.ask_tell import Active, AskTell, Exhausted, Unit
from sweeps.certify import race
from sweeps.certify.arm import Arm
from sweeps.certify.candidates import Configuration
from sweeps.spec import put

FIRST_SEED = 1001
"""Of a race: the seeds count from here, without those that the sweep trained with."""

Told = Callable[[int, str, int | None, float | None], None]
"""Called with each result: the trial's number, configuration and seed, its loss or None if it failed."""


class Race(AskTell):
    """Suggests who is next in `certify.race`, with a seed that no other trial has.

    Args:
        candidates, default: who takes part.
        seed_key: where the seed goes; None: nowhere.
        used: seeds that are not fresh.
        told: shown each result, those of earlier sessions again.
    """

    def __init__(
        self,
        candidates: list[Configuration],
        default: Configuration | None,
        seed_key: str | None,
        used: frozenset[int],
        told: Told,
    ) -> None:
        super().__init__()
        self._configs = {one.name: one.config for one in candidates}
        self._what = {} if default is None else {default.name: default.what}
        self._names = list(self._configs)
        self._default_name = default.name if default is not None else None
        if default is not None:
            self._configs[default.name] = default.config
        self._seed_key, self._used, self._told = seed_key, used, told

    def start(self) -> None:
        """Nobody has a trial."""
        self._arms = {name: Arm(name) for name in self._configs}
        self._of: dict[int, tuple[str, int | None]] = {}
        self._last: dict[str, dict[str, Any]] = {}

    def ask(self, number: int, rng: np.random.Generator) -> Unit | None:
        """Whose turn it is; the point itself means nothing."""
        default = self._arms[self._default_name] if self._default_name is not None else None
        chosen = race.next_arm([self._arms[name] for name in self._names], default)
        if chosen is None:
            if any(arm.running for arm in self._arms.values()):
                return None
            raise Exhausted
        self._next = chosen.name
        return np.full(len(self.space), 0.5)

    def issued(self, number: int, unit: Unit, active: Active, memo: dict[str, Any] | None) -> dict[str, Any]:
        """Who it is, and the seed."""
        if memo is None:
            seed = self._fresh() if self._seed_key is not None else None
            memo = {"configuration": self._next, "seed": seed, "seed_key": self._seed_key}
            if self._next in self._what:
                memo["what"] = self._what[self._next]
        self._of[number] = memo["configuration"], memo["seed"]
        self._arms[memo["configuration"]].running += 1
        return memo

    def extras(self, number: int) -> dict[str, Any]:
        """The whole configuration, seed included."""
        name, seed = self._of[number]
        config = copy.deepcopy(self._configs[name])
        if self._seed_key is not None:
            put(config, self._seed_key, seed)
        return config

    def tell(
        self, number: int, unit: Unit, active: Active, losses: tuple[float, ...], extra: dict[str, float]
    ) -> None:
        """A trial ended well."""
        name, seed = self._of[number]
        self._arms[name].running -= 1
        self._arms[name].losses.append(losses[0])
        self._told(number, name, seed, losses[0])

    def lost(self, number: int) -> None:
        """A trial failed."""
        name, seed = self._of[number]
        self._arms[name].running -= 1
        self._arms[name].failed += 1
        self._told(number, name, seed, None)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A script's last row may lack the metric: the last value counts."""
        if self._objectives.losses(result) is not None:
            self._last[trial_id] = result

    def conclude(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """As the template does, with the last value."""
        last = self._last.pop(trial_id, {})
        super().conclude(trial_id, {**last, **result})

    def _fresh(self) -> int:
        taken = {seed for _, seed in self._of.values()} | self._used
        return next(seed for seed in range(FIRST_SEED, FIRST_SEED + len(taken) + 1) if seed not in taken)
