"""Who takes part: the best configurations of a sweep, and the default one that they are compared with."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeps.results import Results, Trial
from sweeps.spec import Sweep, put

if TYPE_CHECKING:
    from trainables import Program

DEFAULT = "default"
"""The name of the default configuration."""
SEEDS = ("seed", "random_seed", "random_state")
"""Under which of these names a function or script that was given one is taken to have its seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """What is run again and again, without its seed."""

    name: str
    """The id of the sweep's trial that had it, or `default`."""

    config: dict[str, Any]
    what: str = ""
    """Of the default configuration, what it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """All that take part in a race."""

    candidates: list[Configuration]
    """The sweep's best, best first."""

    default: Configuration | None
    default_is: str
    """What the default is, or why there is none."""

    seed_key: str | None
    """The hyperparameter that a fresh seed goes to; None: none is known."""

    used: frozenset[int]
    """Seeds that the sweep trained with."""


def choose(
    results: Results,
    sweep: Sweep,
    *,
    top: int,
    default: Mapping[str, Any] | None = None,
    settled: Configuration | None = None,
    seed_key: str | None = None,
) -> Field:
    """The field of a race.

    Args:
        results, sweep: the sweep.
        top: how many configurations at most; equal ones count once, failed trials do not.
        default: values of the default configuration that are other than the trainable's, by dotted name.
        settled: the default configuration, where an earlier call has settled it.
        seed_key: the name of the seed, where the trainable does not say.

    Raises:
        ValueError: no trial ended well, or `default` or `seed_key` is none of the trainable.
    """
    program = sweep.program()
    assert program is not None, "a sweep that ran has a trainable"
    known = {name: one.default for name, one in (program.hyperparameters or {}).items()}
    key = _seed_key(program, sweep, seed_key)
    plain, plain_is = (
        _default(program, sweep, known, key, dict(default or {}))
        if settled is None
        else (settled.config, settled.what)
    )
    own = _key({**known, **plain}) if plain is not None else None
    found: dict[str, Configuration] = {}
    for trial in _ended_well(results):
        config = without_seed(trial.config, key)
        mark = _key({**known, **config})
        if mark == own:
            if settled is None and "; trial " not in plain_is:
                plain_is += f"; trial {trial.id} of the sweep had it"
        elif mark not in found:
            found[mark] = Configuration(name=trial.id, config=config)
        if len(found) == top:
            break
    if not found:
        but = ", but for one of the default configuration" if " of the sweep had it" in plain_is else ""
        raise ValueError(
            f"{results.path} has no trial that ended with a value{but}: there is nothing to certify; "
            f"`starling status {results.path}` says what happened."
        )
    return Field(
        candidates=list(found.values()),
        default=None if plain is None else Configuration(name=DEFAULT, config=plain, what=plain_is),
        default_is=plain_is,
        seed_key=key,
        used=_used(results, key),
    )


def without_seed(config: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    """A configuration without its seed and without what a search algorithm asks of its trials (`_...`)."""
    kept = {name: copy.deepcopy(value) for name, value in config.items() if not name.startswith("_")}
    if key is not None:
        *way, last = key.split(".")
        place: Any = kept
        for step in way:
            place = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.pop(last, None)
    return kept


def _ended_well(results: Results) -> Iterator[Trial]:
    """Best first; those with a configuration that another trial's weights went on with (PBT) too."""
    for trial in results.top(len(results)):
        if trial.state in ("completed", "stopped"):
            yield trial


def _key(config: Mapping[str, Any]) -> str:
    """Equal for equal configurations."""
    return repr(sorted((name, repr(value)) for name, value in config.items()))


def _seed_key(program: Program, sweep: Sweep, given: str | None) -> str | None:
    known = program.hyperparameters
    if given is not None:
        if known is not None and given not in known:
            raise ValueError(
                f"--seed-key: {program.name} has no hyperparameter {given!r}; it has {', '.join(known)}."
            )
        return given
    names: Any = known
    if known is None:
        space = sweep.search_space()
        names = {*space.names, *space.constants}
    return next((name for name in SEEDS if name in names), None)


def _used(results: Results, key: str | None) -> frozenset[int]:
    seeds: set[Any] = set()
    if key is not None:
        for trial in results.trials:
            seeds |= {trial.config.get(key), trial.config.get("_seed")}
    return frozenset(seed for seed in seeds if isinstance(seed, int))


def _default(
    program: Program, sweep: Sweep, known: Mapping[str, Any], key: str | None, given: dict[str, Any]
) -> tuple[dict[str, Any] | None, str]:
    """(the default configuration, what it is), or (None, why there is none)."""
    space = sweep.search_space()
    config: dict[str, Any] = {}
    if program.hyperparameters is not None:
        what = f"the declared defaults of {program.name}"
        for name, value in space.constants.items():
            put(config, name, copy.deepcopy(value))
        for name in space.names:
            if name in known:
                put(config, name, copy.deepcopy(known[name]))
    else:
        what = f"the middle of the space, as {program.name} declares no defaults"
        config = space.decode(np.full(len(space), 0.5))
    if given:
        what += " with " + ", ".join(f"{name}={value}" for name, value in given.items())
        for name, value in given.items():
            put(config, name, value)
    config = without_seed(config, key)
    broken = [f"it breaks the constraint {text}" for text in space.violated(config)]
    wrong = [*program.check(config), *broken]
    if not wrong:
        return config, what
    if given:
        raise ValueError(f"--default: {what} cannot be run: {'; '.join(wrong)}")
    return None, f"{what} cannot be run ({'; '.join(wrong)}); give others with --default KEY=VALUE"
