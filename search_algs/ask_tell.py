"""The template of every search algorithm: what Ray asks for, done once, so that an algorithm is its idea.

An algorithm implements `start`, `ask`, `tell` and where it needs them `issued`, `rejected` and `lost`. It
sees points of the unit cube and finite losses to minimise, nothing else. The template does the rest: signs,
NaN, missing metrics, crashed, doubled, late and unknown trials, the gate, constraints, saving and restoring.

State is the sequence of events. Suggestion number n draws its randomness from `default_rng([seed, n])` alone,
so that replaying the events (suggestions read, not recomputed) gives the same state, and the same next
suggestion, as never having stopped.

The gate: a trial that a scheduler ended before half of `max_t` gave no result. Searchers that believe such
shallow values chase what looks good early and do worse than random search under ASHA; those told that the
trial was lost do better.

(Longer than most files, so that the author of an algorithm has one to read; half of it is documentation.)
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray
from ray import cloudpickle
from ray.tune.search import Searcher

from search_algs.models.rungs import TRUSTED
from search_algs.objectives import Objectives, number
from search_algs.space import Space
from search_algs.space.conditions import remove_conditionals
from search_algs.space.nearest import nearest

Unit = NDArray[np.float64]
"""A point of the unit cube, shape (d,)."""
Active = NDArray[np.bool_]
"""Which of its coordinates mean something, shape (d,)."""
FORMAT = 1
LEARNED = 1 << 20
"""Marks random draws that belong to no suggestion but to an earlier search's result."""
NEAR = 64
"""Points drawn to find one that is allowed near one that is not."""
AGAIN = 5
"""Of the earlier configurations that an algorithm cannot learn from so many are tried again."""


class Shared(TypedDict, total=False):
    """Keywords of every algorithm; see `AskTell`."""

    space: Space | Mapping[str, Any] | None
    metric: str | Sequence[str] | None
    mode: str | Sequence[str] | None
    seed: int
    constraints: Sequence[str]
    max_t: float | None
    time_attr: str


class Exhausted(Exception):
    """Raised by `ask` when there is nothing left to try."""


@dataclass(slots=True)
class _Trial:
    number: int
    unit: Unit
    memo: dict[str, Any] | None
    open: bool = True


class AskTell(Searcher):
    """Base of every search algorithm; usable as `tune.TuneConfig(search_alg=...)`.

    Args:
        space: a `Space` or `param_space`; None: Ray hands over the Tuner's.
        metric, mode: what to optimise, "min" or "max"; lists for several objectives; None: Ray hands over
            TuneConfig's.
        seed: non-negative; same seed and same order of events, same suggestions.
        constraints: texts such as "batch_size * accumulate <= 1024", obeyed by every suggestion.
        max_t: the scheduler's last iteration; trials that end before its half are lost (the gate). None: no
            gate.
        time_attr: name of the iteration in results.
    """

    several_objectives: bool = False
    """Whether it can serve more than one metric."""
    learns: ClassVar[bool] = True
    """Whether results matter to it; if not, it needs no metric."""
    watches: ClassVar[bool] = False
    """Whether `watch` is told how trials stand before their end."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Beginnings of further result keys that `tell` gets in `extra`, e.g. ("hypergrad/",)."""

    space: Space

    def __init__(
        self,
        space: Space | Mapping[str, Any] | None = None,
        metric: str | Sequence[str] | None = None,
        mode: str | Sequence[str] | None = None,
        *,
        seed: int = 0,
        constraints: Sequence[str] = (),
        max_t: float | None = None,
        time_attr: str = "training_iteration",
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed is {seed!r}; it must be a non-negative integer")
        if max_t is not None and not max_t > 0:
            raise ValueError(f"max_t is {max_t!r}; give the scheduler's last iteration, or None for no gate")
        if isinstance(space, Space) and constraints:
            raise ValueError("constraints are given beside a Space; give them to the Space")
        super().__init__()
        self.seed, self.max_t, self.time_attr = int(seed), max_t, time_attr
        self._constraints = (constraints,) if isinstance(constraints, str) else tuple(constraints)
        self._set_objectives(metric, mode)
        self._reset()
        self._saved: dict[str, Any] | None = None
        self._ready = space is not None
        if space is not None:
            self.space = space if isinstance(space, Space) else Space(space, self._constraints)

    # What an algorithm implements.

    def start(self) -> None:
        """Forget everything; `self.space`, `self.metrics` and `self.seed` are set. Called before the first
        event and before a replay."""

    def ask(self, number: int, rng: np.random.Generator) -> Unit | None:
        """A point to try as suggestion `number`, None while there is none; raises `Exhausted` when there
        never will be one.

        All randomness comes from `rng`. Constraints need not be looked at, see `rejected`.
        """
        raise NotImplementedError

    def rejected(self, number: int) -> None:
        """The point just asked for is not the one that goes out: it breaks a constraint, or one from an
        earlier search comes first."""

    def issued(
        self, number: int, unit: Unit, active: Active, memo: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """The point goes out as suggestion `number`: the one asked for, another after `rejected`, or one
        replayed.

        Args:
            number: counts from 0.
            unit, active: the point as its configuration encodes it; after `rejected` an allowed one near the
                one asked for, or one from an earlier search.
            memo: None for a new point. For a replayed one what this method returned then; {} where that is
                not known.

        Returns:
            What the algorithm must know of the suggestion beside its configuration (JSON), None for nothing.
        """
        return None

    def extras(self, number: int) -> dict[str, Any]:
        """What the configuration of suggestion `number` carries beside its parameters; names begin with _."""
        return {}

    def tell(
        self, number: int, unit: Unit, active: Active, losses: tuple[float, ...], extra: dict[str, float]
    ) -> None:
        """Suggestion `number` gave these finite losses (one a metric, to minimise); `extra` has what `reads`
        names."""

    def watch(self, number: int, iteration: int, losses: tuple[float, ...]) -> None:
        """Suggestion `number` runs and stands at these finite losses, deep enough to trust (`TRUSTED`)."""

    def lost(self, number: int) -> None:
        """Suggestion `number` will give no result."""

    def learned(self, unit: Unit, active: Active, losses: tuple[float, ...]) -> bool:
        """An earlier search found these losses there. False: of no use; the point is to be tried again."""
        return False

    @property
    def total(self) -> int | None:
        """How many suggestions there are in all; None: endlessly many."""
        return None

    # What Ray calls.

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Take over the Tuner's metric, mode and space; False where this searcher already has another
        space."""
        if metric is not None or mode is not None:
            self._set_objectives(
                metric if metric is not None else self._metric, mode if mode is not None else self._mode
            )
        if not self._ready:
            self.space, self._ready = Space(config, self._constraints), True
        else:
            given = Space(config)
            if len(given) and given.describe() != self.space.describe():
                return False
        remove_conditionals(config)
        return True

    def suggest(self, trial_id: str) -> Any:
        """The next configuration (a dict) for a new trial; None: not now; "FINISHED": never again."""
        self._begin()
        if (known := self._trials.get(trial_id)) is not None:
            return self.space.decode(known.unit) | self.extras(known.number)
        number = len(self._trials)
        try:
            config = self._feasible(number)
        except Exhausted:
            return "FINISHED"
        if config is not None:
            self._issue(trial_id, *self.space.encode(config), None)
            config |= self.extras(number)
        return config

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing for most algorithms: values before the end mislead (the gate).

        Those that watch are told from `TRUSTED` of `max_t` on; without `max_t` nobody knows how deep that is.
        """
        trial = self._trials.get(trial_id)
        if not self.watches or self.max_t is None or trial is None or not trial.open:
            return
        iteration = result.get(self.time_attr, 0)
        losses = self._objectives.losses(result)
        if losses is not None and iteration >= TRUSTED * self.max_t:
            self._watch(trial_id, int(iteration), losses)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the algorithm, or lose the trial if it failed, has no finite metric or ended before the
        gate."""
        if not result or error:
            self.lose(trial_id)
            return
        self.on_trial_result(trial_id, result)
        if self._shallow(result):
            self.lose(trial_id)
        else:
            self.conclude(trial_id, result)

    def save(self, checkpoint_path: str) -> None:
        """Write the events so far as JSON, and the space, pickled: `Tuner.restore` hands over none."""
        state: dict[str, Any] = {
            "format": FORMAT,
            "algorithm": type(self).__name__,
            "seed": self.seed,
            "events": self._events,
        }
        if self._ready:
            state |= {"space": self._fingerprint(), "metric": self._metric, "mode": self._mode}
            state["pickled_space"] = base64.b64encode(cloudpickle.dumps(self.space)).decode()
        state = self._saved if self._saved is not None else state
        Path(checkpoint_path).write_text(json.dumps(state))

    def restore(self, checkpoint_path: str) -> None:
        """Replay the events of a file written by `save`, in place of any so far.

        What this searcher has not been given, space or metric, is that of the file. Its space is pickled:
        restore your own files only.
        """
        state = json.loads(Path(checkpoint_path).read_text())
        if state.get("format") != FORMAT or state.get("algorithm") != type(self).__name__:
            raise ValueError(
                f"{checkpoint_path} was saved by {state.get('algorithm')} (format {state.get('format')}); "
                f"this is {type(self).__name__} (format {FORMAT}): "
                "restore it with the algorithm that saved it"
            )
        if not self._ready and "pickled_space" in state:
            self.space = cloudpickle.loads(base64.b64decode(state["pickled_space"]))
            self._ready = True
        if not self._objectives.known:
            self._set_objectives(state.get("metric"), state.get("mode"))
        self._reset()
        self._saved = state
        if self._ready:
            self._begin()

    # What Starling's sweeps call beyond Ray.

    def learn(
        self,
        config: Mapping[str, Any],
        result: Mapping[str, Any] | None = None,
        unknown: Sequence[str] = (),
    ) -> None:
        """Know a configuration from an earlier search; best ones first, before the first suggestion.

        Args:
            config: of this space; `space.repair` makes one of another space fit.
            result: with this search's metrics, where they mean the same as here; without a finite value
                there is nothing to learn. None: the configuration is suggested at the start, as are the first
                `AGAIN` with a result where the algorithm cannot use another's.
            unknown: parameters whose values in `config` are guesses: nothing is learned of those.

        Raises:
            ValueError: the configuration does not fit the space or its constraints, or suggestions were made.
        """
        self._begin()
        if self._trials:
            raise ValueError("learn() comes before the first suggestion")
        if broken := self.space.violated(config):
            raise ValueError(f"the configuration {dict(config)} breaks {', '.join(broken)}")
        losses = None if result is None else self._objectives.losses(result)
        if result is None or losses is not None:
            self._learn(self.space.encode(config)[0], losses, list(unknown))

    def memo(self, trial_id: str) -> dict[str, Any] | None:
        """What `recall` needs of a suggestion beside its configuration (JSON)."""
        return self._trials[trial_id].memo if trial_id in self._trials else None

    def recall(self, trial_id: str, config: Mapping[str, Any], memo: dict[str, Any] | None = None) -> None:
        """Replay a suggestion: the configuration is read, not computed."""
        self._begin()
        if trial_id not in self._trials:
            self._issue(trial_id, *self.space.encode(config), memo if memo is not None else {})

    def lose(self, trial_id: str) -> None:
        """The trial gives no result: it crashed, was stopped early, or went on with another's state."""
        trial = self._trials.get(trial_id)
        if trial is not None and trial.open:
            trial.open = False
            self._events.append(["lose", trial_id])
            self.lost(trial.number)

    def conclude(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """The trial ended as it should, however early: a user's own goal may end it before the gate."""
        trial = self._trials.get(trial_id)
        if trial is None or not trial.open:
            return
        losses = self._objectives.losses(result)
        if losses is None:
            self.lose(trial_id)
            return
        extra = {}
        if self.reads:
            found = {name: number(value) for name, value in result.items() if name.startswith(self.reads)}
            extra = {name: value for name, value in found.items() if value is not None}
        self._tell(trial_id, losses, extra)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the objectives."""
        return self._objectives.metrics

    # The rest is the template's own.

    def _set_objectives(self, metric: Any, mode: Any) -> None:
        self._metric, self._mode = metric, mode  # where Ray looks for them
        self._objectives = Objectives(metric, mode)

    def _reset(self) -> None:
        self._trials: dict[str, _Trial] = {}
        self._events: list[list[Any]] = []
        self._again: list[Unit] = []  # of earlier searches: suggestion i is _again[i] while there are any
        self._useless = 0  # results of earlier searches that the algorithm could not learn from
        self._begun = False

    def _begin(self) -> None:
        """Check that all is known, start the algorithm, replay what was saved."""
        if self._begun:
            return
        name = type(self).__name__
        if not self._ready:
            raise ValueError(f"{name} has no space; give param_space to the Tuner or space= to {name}")
        if self.learns and not self._objectives.known:
            raise ValueError(f"{name} has no metric and mode; give them to tune.TuneConfig or to {name}")
        if len(self.metrics) > 1 and not self.several_objectives:
            raise ValueError(
                f"{name} optimises one metric, {list(self.metrics)} are given; {_who_can()} optimise several"
            )
        self._begun = True
        self.start()
        if self._saved is not None:
            self._replay(self._saved)
            self._saved = None

    def _replay(self, state: dict[str, Any]) -> None:
        if state.get("space", self._fingerprint()) != self._fingerprint():
            raise ValueError(
                f"the saved {type(self).__name__} searched another space; "
                "restore it with the space it was saved with"
            )
        if state["seed"] != self.seed:
            raise ValueError(
                f"the saved {type(self).__name__} has seed {state['seed']}, "
                f"this one {self.seed}; give them the same"
            )
        for kind, trial_id, *rest in state["events"]:
            match kind:
                case "suggest":
                    unit = np.array(rest[0], dtype=float)
                    memo = rest[1] if rest[1] is not None else {}
                    self._issue(trial_id, unit, np.array(self.space.active(unit), dtype=bool), memo)
                case "tell":
                    self._tell(trial_id, tuple(rest[0]), rest[1])
                case "learn":
                    losses = None if rest[1] is None else tuple(rest[1])
                    self._learn(np.array(rest[0], dtype=float), losses, rest[2])
                case "watch":
                    self._watch(trial_id, rest[0], tuple(rest[1]))
                case "lose":
                    self.lose(trial_id)

    def _fingerprint(self) -> list[Any]:
        return [self.space.describe(), [one.text for one in self.space.constraints]]

    def _feasible(self, number: int) -> dict[str, Any] | None:
        """What was asked for, or an allowed configuration near it; first those that are tried again."""
        rng = np.random.default_rng([self.seed, number])
        unit = self.ask(number, rng)
        if unit is None:
            return None
        config = self.space.decode(unit)
        if number < len(self._again):
            self.rejected(number)
            return self.space.decode(self._again[number])
        if not self.space.violated(config):
            return config
        self.rejected(number)
        return self.space.decode(self._allowed_near(unit, rng))

    def _allowed_near(self, unit: Unit, rng: np.random.Generator) -> Unit:
        """Of random points on the way to `unit` the nearest to it that no constraint forbids.

        A model that takes the best to lie beyond a constraint asks for points there again and again. To ask
        it 8 times and then to draw uniformly made it a random search: where the best lay on an edge, TPE's
        mean loss (later half of 40 trials, 8 seeds) was 0.95 of random search's, and is 0.15 so.
        """
        best = self.space.sample(rng)
        for _ in range(NEAR):
            point = unit + rng.random() * (rng.random(len(unit)) - unit)
            nearer = np.abs(point - unit).sum() < np.abs(best - unit).sum()
            if nearer and not self.space.violated(self.space.decode(point)):
                best = point
        return best

    def _issue(self, trial_id: str, unit: Unit, active: Active, memo: dict[str, Any] | None) -> None:
        number = len(self._trials)
        kept = self.issued(number, unit, active, memo)
        memo = kept if memo is None else (memo or None)
        self._trials[trial_id] = _Trial(number, unit, memo)
        self._events.append(["suggest", trial_id, unit.tolist(), memo])

    def _learn(self, unit: Unit, losses: tuple[float, ...] | None, unknown: list[str]) -> None:
        place = len(self._events)
        self._events.append(["learn", "", unit.tolist(), None if losses is None else list(losses), unknown])
        if not self.learns:
            return
        if losses is None:
            self._again.append(unit)
        elif not self.learned(*self._without_guesses(unit, unknown, place), losses):
            self._useless += 1
            if self._useless <= AGAIN:
                self._again.append(unit)

    def _without_guesses(self, unit: Unit, unknown: Sequence[str], place: int) -> tuple[Unit, Active]:
        """The point with random values for what is not known of it, and which coordinates mean something."""
        guessed = np.array([name in unknown for name in self.space.names], dtype=bool)
        if guessed.any():
            rng = np.random.default_rng([self.seed, place, LEARNED])
            drawn = np.where(guessed, rng.random(len(unit)), unit)
            unit = self.space.encode(self.space.decode(drawn))[0]
        return unit, np.array(self.space.active(unit), dtype=bool) & ~guessed

    def _watch(self, trial_id: str, iteration: int, losses: tuple[float, ...]) -> None:
        self._events.append(["watch", trial_id, iteration, list(losses)])
        self.watch(self._trials[trial_id].number, iteration, losses)

    def _tell(self, trial_id: str, losses: tuple[float, ...], extra: dict[str, float]) -> None:
        trial = self._trials[trial_id]
        trial.open = False
        self._events.append(["tell", trial_id, list(losses), extra])
        self.tell(
            trial.number, trial.unit, np.array(self.space.active(trial.unit), dtype=bool), losses, extra
        )

    def _shallow(self, result: Mapping[str, Any]) -> bool:
        """Whether the trial ended before the gate."""
        if self.max_t is None:
            return False
        if self.time_attr not in result:
            raise ValueError(
                f"results have no {self.time_attr!r}, "
                f"by which max_t is measured{nearest(self.time_attr, result)}"
            )
        return bool(result[self.time_attr] < self.max_t / 2)


def _who_can() -> str:
    from search_algs import load, names  # which import this module

    return ", ".join(name for name in names() if load(name).several_objectives)
