"""Descent on hyperparameters by their gradients, from where a model found it worthwhile.

A trial may report `hypergrad/<name>`: the derivative of what is minimised with respect to a hyperparameter,
through its whole training (for example by `trainables.hypergrad`; Maclaurin et al. 2015, Franceschi et al.
2017). A model (`bayesian`) searches first. Then its best point is tried again, now with its gradient, and a
chain descends from there, by a line search whose steps are tried by whoever is free, all at once. After a
round of steps without success the model has its turn, and the chain goes on from what it finds: where noise
hides what a step brings, a model of all results sees more. What no gradient is known of stays with the model,
but for one probe in six: choices, integers, and untrusted derivatives.

    x, f, g    a chain's point in the unit cube, its loss, its gradient there (dimensions without one: 0)
    h          its steps: how far each coordinate moves

    probes     x - a h sign(g)   for a = 1, 2, 1/2, 4, 1/4: the speculative line search; and one of a = 1
               with one choice or integer drawn anew

The first probe with a smaller loss becomes the chain's point, as does any better point of the model's; if no
probe has, h shrinks to its quarter; a chain whose h is tiny ends, and another begins at the model's next
point. Of g only the signs are used: its length is astronomic beyond the edge of chaos, and its coordinates
differ by decades, so that along g itself most would stand still. As in Rprop (Riedmiller & Braun 1993) a
coordinate's h grows while its sign stays the same from point to point, and is halved when it turns.

A trial is told in `_hypergrad_of` which metric to differentiate, and in `_hypergrad_if_below` which loss it
must beat for its gradient to be of use (None: any); a trainable that obeys spares itself the backward sweep
where a probe fails. Before the first descent nothing is asked for: better points are still to come, and each
gradient would be paid for in vain. `_seed` is a training seed of its own, so that a descent cannot fit the
luck of one. `hypergrad/_trusted` 0 marks a gradient as unreliable.

It pays with dozens of continuous hyperparameters that each matter (schedules, values per layer or group);
with fewer than `least` a model alone is better, TPE, and searches alone. A trial without `hypergrad/` values
is a result for the model, nothing more.
"""

from __future__ import annotations

import logging
import math
from bisect import insort
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np

from search_algs.ask_tell import Active, AskTell, Shared, Unit
from search_algs.bayesian import Bayesian
from search_algs.space import Real
from search_algs.tpe import Tpe

PROBES = (1.0, 2.0, 0.5, 4.0, 0.25)
"""Steps of a line search, in h; each is tried once."""
SWITCH = 0.0
"""One more probe: the step h, and one choice or integer drawn anew."""
SHRINK = 0.25
GROW, TURN = 1.2, 0.5
"""Of a coordinate's step when the sign of its derivative has stayed or turned (Rprop's)."""
SMALLEST = 1e-3
"""A chain ends when all its steps are below this."""
ANEW = 0.25
"""Least share of the first step with which a chain goes on from a point of the model's."""


@dataclass(slots=True)
class Chain:
    """One descent."""

    x: Unit
    loss: float
    """Infinite at a point of the model's that is being tried again for its gradient."""
    signs: Unit
    """Of the gradient: -1, 0 or 1."""
    steps: Unit
    open: list[float]
    """Probes from here that are not under way and have not failed."""
    running: int = 0
    """Probes from here that are under way."""


class Gradient(AskTell):
    """Bayesian search first, then gradient descents from its best points, and the two in turn.

    Args:
        model_trials: results before the first descent. None: 24, but 12 with more dimensions than 24: a model
            that has seen fewer results than there are dimensions knows little.
        model_turn: suggestions of the model after a descent has ended; and after each round of one that
            brought nothing, once it has seen more results than there are dimensions.
        chains: descents at once; one has work for six workers.
        step: how far each coordinate moves at first, in the unit cube, in (0, 1].
        least: fewest parameters with a derivative that it descends on.
        n_startup_trials: results before the model is used. None: 20, at most `model_trials`; TPE's own number
            where that is the model.

    Raises:
        ValueError: for a value outside its range.
    """

    reads: ClassVar[tuple[str, ...]] = ("hypergrad/",)

    def __init__(
        self,
        *,
        model_trials: int | None = None,
        model_turn: int = 20,
        chains: int = 1,
        step: float = 0.1,
        least: int = 6,
        n_startup_trials: int | None = None,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(**shared)
        for name, value, lowest in (
            ("model_trials", model_trials, 1),
            ("model_turn", model_turn, 0),
            ("chains", chains, 1),
            ("least", least, 1),
            ("n_startup_trials", n_startup_trials, 1),
        ):
            if value is not None and value < lowest:
                raise ValueError(f"{name} is {value!r}; it must be at least {lowest}")
        if not 0 < step <= 1:
            raise ValueError(f"step is {step!r}; it must lie in (0, 1]")
        self._model_trials, self._turn, self._wanted, self._step = model_trials, model_turn, chains, step
        self._least, self._startup = least, n_startup_trials

    def start(self) -> None:
        """The model knows nothing, and nobody descends."""
        self._all: list[float] = [*PROBES]
        self._smooth = np.array([isinstance(d.domain, Real) for d in self.space.dimensions], dtype=bool)
        if not self._smooth.all():
            self._all.insert(len(PROBES) // 2, SWITCH)  # not last: a fast descent would never come to it
        self._descends = int(self._smooth.sum()) >= self._least
        self._first = self._model_trials or (12 if len(self.space) > 24 else 24)
        self._model = self._new_model()
        self._chains: dict[int, Chain] = {}
        self._count = 0
        self._probes: dict[int, tuple[int, float]] = {}  # suggestion -> chain, probe
        self._starts: list[tuple[float, Unit, Unit | None]] = []  # of the model's: loss, point, signs
        self._results = 0
        self._left = 0  # of the model's turn
        self._said = False
        self._asked: tuple[int, float] | None = None

    def _new_model(self) -> Bayesian | Tpe:
        modes = ["min"] * len(self.metrics)
        given: dict[str, Any] = {"metric": list(self.metrics), "mode": modes}
        given |= {"space": self.space, "seed": self.seed}
        model: Bayesian | Tpe
        if self._descends:
            model = Bayesian(n_startup_trials=self._startup or min(20, self._first), **given)
        elif self._startup is not None:
            model = Tpe(n_startup_trials=self._startup, **given)
        else:
            model = Tpe(**given)
        model.start()
        return model

    def ask(self, number: int, rng: np.random.Generator) -> Unit:
        """The next probe of the chain that has fewest under way, or what the model suggests."""
        waiting = [] if self._left else [name for name, chain in self._chains.items() if chain.open]
        if not waiting:
            self._asked = None
            return self._model.ask(number, rng)
        name = min(waiting, key=lambda one: self._chains[one].running)
        chain = self._chains[name]
        self._asked = (name, chain.open[0])
        probe = chain.open[0] or 1.0
        x = np.clip(chain.x - probe * chain.steps * chain.signs, 0.0, 1.0)
        if chain.open[0] == SWITCH:
            x[rng.choice(np.flatnonzero(~self._smooth))] = rng.random()
        return x

    def rejected(self, number: int) -> None:
        """What goes out instead of a probe counts as that probe, also in a replay."""
        if self._asked is None:
            self._model.rejected(number)

    def issued(self, number: int, unit: Unit, active: Active, memo: dict[str, Any] | None) -> dict[str, Any]:
        """A probe or a point of the model's is under way."""
        if memo is None:
            probe, known = self._asked, None
        else:
            probe, known = memo.get("probe"), memo.get("model", {})
        self._asked = None
        kept: dict[str, Any] = {"model": self._model.issued(number, unit, active, known)}
        if probe is not None and probe[0] in self._chains:
            name, step = probe
            chain = self._chains[name]
            if step in chain.open:
                chain.open.remove(step)
            chain.running += 1
            self._probes[number] = (name, step)
            kept["probe"] = [name, step]
        else:
            self._left = max(0, self._left - 1)
        return kept

    def extras(self, number: int) -> dict[str, Any]:
        """What a suggestion asks of its trial: which metric to differentiate, the loss to beat for that, and
        a training seed of its own."""
        if not self._descends:
            return {}
        beat = self._chains[self._probes[number][0]].loss if number in self._probes else self._worst()
        if beat == -math.inf:
            return {"_seed": number}
        return {
            "_hypergrad_of": self.metrics[0],
            "_hypergrad_if_below": beat if math.isfinite(beat) else None,
            "_seed": number,
        }

    def _worst(self) -> float:
        """What the model must beat to be of use to a chain; without one nothing can be."""
        return max((one.loss for one in self._chains.values() if math.isfinite(one.loss)), default=-math.inf)

    def learned(self, unit: Unit, active: Active, losses: tuple[float, ...]) -> bool:
        """A result for the model, and a point to descend from."""
        if not self._model.learned(unit, active, losses):
            return False
        if self._descends:
            self._results += 1
            self._keep(losses[0], unit, None)
            self._begin_chains()
        return True

    def tell(
        self, number: int, unit: Unit, active: Active, losses: tuple[float, ...], extra: dict[str, float]
    ) -> None:
        """A result for the model; a step of its chain if it is better."""
        self._model.tell(number, unit, active, losses, {})
        self._results += 1
        signs = self._signs(unit, active, extra)
        self._said |= signs is not None
        loss, probe = losses[0], self._probes.pop(number, None)
        chain = self._chains.get(probe[0]) if probe else None
        if probe is not None and chain is not None:
            if not self._said:
                self._say()
                self._descends = bool(extra)
            self._stepped(probe, chain, unit, loss, signs)
        elif signs is not None and loss < self._worst():
            self._goes_on(unit, loss, signs)
        elif self._descends:
            self._keep(loss, unit, signs)
        self._begin_chains()

    def _say(self) -> None:
        """Once: a point was run again for its gradient, and none has come so far."""
        self._said = True
        logging.getLogger("search_algs").warning(
            "search gradient: the best trial, run again for its gradient, gave no `hypergrad/<name>` that "
            "can be trusted; until one does, the model (bayesian) searches alone"
        )

    def lost(self, number: int) -> None:
        """No result: a probe has failed."""
        self._model.lost(number)
        name, _ = self._probes.pop(number, (-1, 0.0))
        if name in self._chains:
            self._missed(name, self._chains[name])
            self._begin_chains()

    def _stepped(
        self, probe: tuple[int, float], chain: Chain, unit: Unit, loss: float, signs: Unit | None
    ) -> None:
        """A probe has come back: the chain moves, or has one probe fewer."""
        name, step = probe
        if loss >= chain.loss:
            self._missed(name, chain)
        elif signs is None:  # better, but there is no way on from here
            self._end(name)
        else:
            same = chain.signs * signs
            turns = np.where(same > 0, GROW, np.where(same < 0, TURN, 1.0))
            self._move(name, unit, loss, signs, chain.steps * turns * max(step or 1.0, 0.5))

    def _move(self, name: int, unit: Unit, loss: float, signs: Unit, steps: Unit) -> None:
        running = sum(one == name for one, _ in self._probes.values())
        self._chains[name] = Chain(unit, loss, signs, np.minimum(1.0, steps), [*self._all], running)

    def _missed(self, name: int, chain: Chain) -> None:
        chain.running -= 1
        if chain.open or chain.running > 0:
            return
        chain.steps = chain.steps * SHRINK
        chain.open = [*self._all]
        self._left = self._turn if self._results > len(self.space) else 0
        if chain.steps.max() < SMALLEST or not math.isfinite(chain.loss):
            self._end(name)

    def _end(self, name: int) -> None:
        """The model has its turn before another begins."""
        del self._chains[name]
        self._left = self._turn

    def _goes_on(self, unit: Unit, loss: float, signs: Unit) -> None:
        """The chain that is most behind leaves for a point of the model's."""
        name = next(name for name, chain in self._chains.items() if chain.loss == self._worst())
        steps = np.maximum(self._chains[name].steps, ANEW * self._step)
        self._move(name, unit, loss, signs, steps)

    def _keep(self, loss: float, unit: Unit, signs: Unit | None) -> None:
        insort(self._starts, (loss, unit, signs), key=lambda one: one[0])

    def _begin_chains(self) -> None:
        """Descents from the model's best points, once it knows enough and its turn is over."""
        if self._results < self._first or self._left:
            return
        while self._starts and len(self._chains) < self._wanted:
            loss, unit, signs = self._starts.pop(0)
            steps = np.full(len(unit), self._step)
            if signs is not None:
                self._move(self._count, unit, loss, signs, steps)
            else:  # its only probe is the point itself
                self._chains[self._count] = Chain(unit, math.inf, np.zeros(len(unit)), steps, [1.0])
            self._count += 1

    def _signs(self, unit: Unit, active: Active, extra: dict[str, float]) -> Unit | None:
        """Which way is up in the unit cube, -1, 0 or 1 for each coordinate; None if unknown."""
        if extra.get("hypergrad/_trusted", 1.0) == 0:
            return None
        found, known = np.zeros(len(unit)), 0
        for i, dimension in enumerate(self.space.dimensions):
            slope = extra.get(f"hypergrad/{dimension.name}")
            if slope is None or not math.isfinite(slope) or not self._smooth[i] or not active[i]:
                continue
            found[i] = np.sign(slope)  # a value rises with its unit coordinate
            known += 1
        found[((unit <= 0) & (found > 0)) | ((unit >= 1) & (found < 0))] = 0.0  # it cannot leave the cube
        return found if found.any() and known >= self._least else None
