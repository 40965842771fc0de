"""Ray's PBT and PB2, taught conditions and constraints: what they copy and perturb stays inside the space."""

import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ray.tune.schedulers import PopulationBasedTraining, TrialScheduler
from ray.tune.schedulers.pb2 import PB2
from ray.tune.schedulers.pbt import _explore

from search_algs.space import Space


def build(name: str, space: Space, mutable: frozenset[str] | None, **values: Any) -> TrialScheduler:
    """`pbt` or `pb2`, as `schedulers.build` describes it."""
    if name == "pbt":
        return Pbt(space=space, changes=perturbed(space, mutable, "pbt"), **values)
    return Pb2(space=space, changes=bounds(space, mutable), **values)


def perturbed(space: Space, mutable: frozenset[str] | None, name: str) -> dict[str, Any]:
    """What may change in mid-training, as Ray's `hyperparam_mutations`: top-level name -> list or domain.

    A parameter on which another's presence depends stays: after a copy the donor's branch is kept.
    """
    parents = {condition.parent for d in space.dimensions for condition in d.conditions}
    changes: dict[str, Any] = {}
    for dimension in space.dimensions:
        if len(dimension.path) > 1 or dimension.name in parents:
            continue
        if mutable is not None and dimension.name not in mutable:
            continue
        domain = dimension.domain
        changes[dimension.name] = (
            [domain.from_unit((k + 0.5) / domain.size) for k in range(domain.size)]
            if domain.kind == "categorical" and domain.size
            else (lambda domain=domain: domain.from_unit(_uniform()))
        )
    if not changes:
        can = "any parameter of its own" if mutable is None else ", ".join(sorted(mutable)) or "nothing"
        raise ValueError(
            f"scheduler {name} has nothing to change: the space has no parameter that may change in "
            f"mid-training; the trainable can change {can}"
        )
    return changes


def bounds(space: Space, mutable: frozenset[str] | None) -> dict[str, list[float]]:
    """PB2's `hyperparam_bounds`: only numbers that every configuration has."""
    changes = perturbed(space, mutable, "pb2")
    bounds = {
        d.name: [float(d.domain.from_unit(0.0)), float(d.domain.from_unit(1.0))]
        for d in space.dimensions
        if d.name in changes and d.domain.kind != "categorical" and not d.conditions
    }
    if not bounds:
        raise ValueError(
            "scheduler pb2 has nothing to change: it moves numbers that are always active, and none of "
            f"{', '.join(changes)} is one; use pbt"
        )
    return bounds


def _uniform() -> float:
    return random.random()  # Ray's PBT draws from the same generator; the run seeds it before every decision


class _InSpace:
    """A copied configuration is perturbed where it is active, and stays inside space and constraints."""

    _space: Space

    def _inside(self, explore: Callable[[], dict[str, Any]], donor: dict[str, Any]) -> dict[str, Any]:
        for _ in range(20):
            config = self._space.repair(explore())
            if not self._space.violated(config):
                return config
        return dict(donor)


class Pbt(_InSpace, PopulationBasedTraining):
    """Ray's PBT on a conditional space: inactive parameters are neither filled in nor perturbed."""

    def __init__(
        self, *, space: Space, changes: dict[str, Any], perturbation_interval: int, **rest: Any
    ) -> None:
        super().__init__(
            hyperparam_mutations=changes,
            perturbation_interval=perturbation_interval,
            log_config=False,
            **rest,
        )
        self._space = space

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial joins the population; Ray would fill in the parameters that are inactive in it."""
        with _Only(self, trial.config):
            super().on_trial_add(tune_controller, trial)

    def _get_new_config(self, trial: Any, trial_to_clone: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        donor = trial_to_clone.config

        def explore() -> dict[str, Any]:
            factors: Any = self._perturbation_factors
            return _explore(donor, self._hyperparam_mutations, self._resample_probability, factors, None)[0]

        return self._inside(explore, donor), {}

    def _exploit(self, tune_controller: Any, trial: Any, trial_to_clone: Any) -> None:
        with _Only(self, trial_to_clone.config):
            super()._exploit(tune_controller, trial, trial_to_clone)


class Pb2(_InSpace, PB2):
    """Ray's PB2, whose Gaussian process proposes reals: integers and steps are put back onto the space."""

    def __init__(
        self, *, space: Space, changes: dict[str, Any], perturbation_interval: int, **rest: Any
    ) -> None:
        super().__init__(
            hyperparam_bounds=changes, perturbation_interval=perturbation_interval, log_config=False, **rest
        )
        self._space = space

    def _get_new_config(self, trial: Any, trial_to_clone: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        donor = trial_to_clone.config

        def explore() -> dict[str, Any]:
            with warnings.catch_warnings():  # Ray's use of SciPy is dated, and its fit meets its bounds
                warnings.simplefilter("ignore")
                return super(Pb2, self)._get_new_config(trial, trial_to_clone)[0]

        return self._inside(explore, donor), {}


class _Only:
    """While open, PBT's mutations are those whose parameter is active in one configuration."""

    def __init__(self, scheduler: Any, config: Mapping[str, Any]) -> None:
        self.scheduler, self.config = scheduler, config

    def __enter__(self) -> None:
        self.every = self.scheduler._hyperparam_mutations
        active = {key: change for key, change in self.every.items() if key in self.config}
        self.scheduler._hyperparam_mutations = active

    def __exit__(self, *_: Any) -> None:
        self.scheduler._hyperparam_mutations = self.every
