"""Any sampler of Optuna 5, asked and told through a study of Optuna's own in memory.

Every suggestion gets a fresh sampler, seeded from (seed, number), so that no sampler's hidden state needs
saving; what a sampler keeps in the study (CMA-ES its distribution, NSGA-II its generations) is recorded in
the suggestion's memo and put back on replay.

Numbers go to Optuna with their own distribution: floats linear or logarithmic, everything on a lattice as the
integers k of value = k * q, choices as categories; what Optuna has no distribution for (normal, beta,
weighted choices) as a latent uniform(0, 1). Parameters are defined by run: only active ones are asked for.
With conditions TPE models a group of parameters that are always there together and each other one by itself;
GP and CMA-ES model what is always there and draw the rest at random.

Earlier results are complete trials for samplers that look at those (TPE, GP), and of the first generation of
genetic ones; other samplers cannot use them.

Cost: the sampler's own and 1 ms.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from search_algs.ask_tell import Active, AskTell, Shared, Unit
from search_algs.space import Choice, Domain, Real, Stepped
from search_algs.space.laws import LogUniform, Uniform
from search_algs.space.nearest import nearest

INSTEAD = {
    "CmaEsSampler": "cmaes",
    "GridSampler": "grid",
    "BruteForceSampler": "grid",
    "PartialFixedSampler": "a constant in the space",
}
GENETIC = optuna.samplers.BaseGASampler
LEARNERS = (optuna.samplers.TPESampler, optuna.samplers.GPSampler, GENETIC)
"""Those that use every complete trial of the study, genetic ones if it belongs to a generation."""
IN_GENERATIONS = (GENETIC, optuna.samplers.CmaEsSampler)


class OptunaSampler(AskTell):
    """An Optuna sampler.

    Args:
        sampler: name of a class in `optuna.samplers`, such a class, or a function from a seed to a sampler.
            `CmaEsSampler` is `cmaes` here.
        settings: further arguments of the class.

    Raises:
        ValueError: for an unknown sampler or setting, with the nearest known one.
    """

    several_objectives = True

    def __init__(
        self,
        *,
        sampler: str | type[BaseSampler] | Callable[[int], BaseSampler] = "TPESampler",
        settings: Mapping[str, Any] | None = None,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(**shared)
        self._class, self._factory = _find(sampler)
        self._settings = dict(settings or {})
        if self._class is None:
            if self._settings:
                raise ValueError(
                    f"settings {sorted(self._settings)} are given beside a function; set them in the function"
                )
            return
        self._accepts = [p for p in inspect.signature(self._class).parameters if p != "seed"]
        for key in self._settings:
            if key not in self._accepts:
                raise ValueError(
                    f"{self._class.__name__} has no setting {key!r}{nearest(key, self._accepts)}"
                )
        with quiet():
            self._fresh(0)  # so that bad settings are refused now

    def start(self) -> None:
        """An empty study."""
        self._storage = _Recorder()
        directions = [StudyDirection.MINIMIZE] * max(1, len(self.metrics))
        with quiet():
            self._study = optuna.create_study(
                storage=self._storage, sampler=self._fresh(0), directions=directions
            )
        self._parameters = [_Parameter(d.name, d.domain) for d in self.space.dimensions]
        self._trials_of: dict[int, int] = {}  # suggestion's number -> Optuna's
        self._open: optuna.Trial | None = None
        self._failed = 0

    def ask(self, number: int, rng: np.random.Generator) -> Unit:
        """What a fresh sampler suggests."""
        self._begin_turn()
        unit = [0.5] * len(self.space)
        with quiet():
            self._study.sampler = self._fresh(int(rng.integers(2**31 - 1)))
            self._open = self._study.ask()
            for i in self.space.parents_first:
                if not self.space.dimensions[i].conditions or self.space.active(unit)[i]:
                    unit[i] = self._parameters[i].suggest(self._open)
        return np.array(unit, dtype=float)

    def skip(self, number: int) -> None:
        """The point of this suggestion is not Optuna's."""
        self._begin_turn()
        self._open = None

    def rejected(self, number: int) -> None:
        """For Optuna the trial failed, if it knew of it."""
        if self._open is None:
            return
        with quiet():
            self._study.tell(self._open, state=TrialState.FAIL)
        self._open, self._failed = None, 1

    def issued(self, number: int, unit: Unit, active: Active, memo: dict[str, Any] | None) -> dict[str, Any]:
        """A running trial in the study."""
        if memo is None and self._open is not None:
            self._trials_of[number] = self._open.number
            params, attrs = self._open.params, self._storage.trial_attrs
            self._open = None
            return {"params": params, "failed": 0, "trial": attrs, "study": self._storage.study_attrs}
        if not memo:  # the point is another than Optuna's, or nothing is remembered of it
            used = zip(self._parameters, unit.tolist(), active, strict=True)
            asked: dict[str, Any] = {"failed": 0, "trial": {}, "study": {}}
            if memo is None:
                asked |= {"failed": self._failed, "study": self._storage.study_attrs}
                if isinstance(self._study.sampler, IN_GENERATIONS):
                    asked["trial"] = self._storage.trial_attrs  # it belongs to the generation all the same
            memo = {"params": {p.name: p.param(u) for p, u, there in used if there}, **asked}
        else:
            for _ in range(memo["failed"]):
                self._study.add_trial(create_trial(state=TrialState.FAIL))
            for key, value in memo["study"].items():
                self._storage.set_study_system_attr(self._study._study_id, key, value)
        distributions = {p.name: p.distribution for p in self._parameters if p.name in memo["params"]}
        self._trials_of[number] = len(self._study.get_trials(deepcopy=False))
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=memo["params"],
                distributions=distributions,
                system_attrs=memo["trial"],
            )
        )
        return memo

    def tell(
        self, number: int, unit: Unit, active: Active, losses: tuple[float, ...], extra: dict[str, float]
    ) -> None:
        """The trial is complete."""
        with quiet():
            self._study.tell(self._trials_of.pop(number), list(losses))

    def lost(self, number: int) -> None:
        """The trial failed: Optuna's samplers leave it out."""
        with quiet():
            self._study.tell(self._trials_of.pop(number), state=TrialState.FAIL)

    def learned(self, unit: Unit, active: Active, losses: tuple[float, ...]) -> bool:
        """A complete trial in the study, for samplers that use those of others; in the first generation of
        genetic ones."""
        sampler = self._study.sampler
        if not isinstance(sampler, LEARNERS):
            return False
        there = self.space.active(unit)
        used = [(p, u) for p, u, one in zip(self._parameters, unit.tolist(), there, strict=True) if one]
        self._study.add_trial(
            create_trial(
                values=list(losses),
                params={p.name: p.param(u) for p, u in used},
                distributions={p.name: p.distribution for p, _ in used},
                system_attrs={sampler._get_generation_key(): 0} if isinstance(sampler, GENETIC) else {},
            )
        )
        return True

    def _begin_turn(self) -> None:
        self._failed = 0
        self._storage.trial_attrs, self._storage.study_attrs = {}, {}

    def _fresh(self, seed: int) -> BaseSampler:
        if self._class is None:
            return self._factory(seed)
        settings = dict(self._settings)
        if issubclass(self._class, optuna.samplers.QMCSampler):  # its seed is the sequence's, not the point's
            settings = {
                "independent_sampler": optuna.samplers.RandomSampler(seed),
                "scramble": True,
                **settings,
            }
            seed = self.seed
        try:
            return self._class(**settings, seed=seed)  # type: ignore[call-arg]
        except TypeError as error:
            raise ValueError(f"{self._class.__name__} cannot be built with {settings}: {error}") from error


class _Parameter:
    """One dimension as Optuna sees it: its distribution and the way from a parameter to the unit interval and
    back."""

    def __init__(self, name: str, domain: Domain) -> None:
        self.name, self._domain = name, domain
        self.distribution: BaseDistribution
        self._native = True
        match domain:
            case Real(law=Uniform() | LogUniform()):
                self.distribution = FloatDistribution(domain.low, domain.high, log=domain.log)
            case Stepped(law=Uniform() | LogUniform(), first=int(first), last=int(last)) if (
                not domain.log or first > 0
            ):
                self.distribution = IntDistribution(first, last, log=domain.log)
            case Choice(probabilities=None):
                self.distribution = CategoricalDistribution(tuple(range(domain.size)))
            case _:
                self.distribution, self._native = FloatDistribution(0.0, 1.0), False

    def suggest(self, trial: optuna.Trial) -> float:
        """Ask Optuna; the unit coordinate of its answer."""
        match self.distribution:
            case FloatDistribution(low=low, high=high, log=log):
                value = trial.suggest_float(self.name, low, high, log=log)
                return self._domain.to_unit(value) if self._native else value
            case IntDistribution(low=first, high=last, log=log):
                assert isinstance(self._domain, Stepped)
                return self._domain.to_unit(
                    self._domain.at(trial.suggest_int(self.name, first, last, log=log))
                )
        assert isinstance(self._domain, Choice)
        return self._domain.middle(trial.suggest_categorical(self.name, range(self._domain.size)))

    def param(self, u: float) -> Any:
        """Optuna's parameter at a unit coordinate."""
        if not self._native:
            return u
        return self._domain.from_unit(u) if isinstance(self._domain, Real) else self._domain.cell(u)


class _Recorder(optuna.storages.InMemoryStorage):
    """Optuna's storage in memory, which also notes what a sampler writes while it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.trial_attrs: dict[str, Any] = {}
        self.study_attrs: dict[str, Any] = {}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write and note it."""
        self.trial_attrs[key] = value
        super().set_trial_system_attr(trial_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write and note it."""
        self.study_attrs[key] = value
        super().set_study_system_attr(study_id, key, value)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Optuna says nothing below an error, and warns neither that parts of it are experimental nor of its
    arithmetic (a division of 0 by 0 in GP's acquisition); only within."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _find(sampler: Any) -> tuple[type[BaseSampler] | None, Callable[[int], BaseSampler]]:
    known = [n for n in optuna.samplers.__all__ if n.endswith("Sampler") and not n.startswith("Base")]
    name = sampler if isinstance(sampler, str) else getattr(sampler, "__name__", "")
    if name in INSTEAD:
        raise ValueError(
            f"{name} is not offered; use {INSTEAD[name]}, which does the same and can be resumed"
        )
    if isinstance(sampler, str):
        if sampler not in known:
            raise ValueError(f"{sampler!r} is no sampler of Optuna{nearest(sampler, known)}")
        sampler = getattr(optuna.samplers, sampler)
    if isinstance(sampler, type) and issubclass(sampler, BaseSampler):
        return sampler, sampler
    if callable(sampler) and not isinstance(sampler, BaseSampler):
        return None, sampler
    raise ValueError(
        f"sampler is {sampler!r}; give the name of a class in optuna.samplers or a function "
        "from a seed to a sampler, "
        "since every suggestion gets a fresh one"
    )
