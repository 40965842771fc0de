"""Descent on hyperparameters by their gradients, from where a model found it worthwhile.

A trial may report `hypergrad/<name>`: the derivative of what is minimised with respect to a hyperparameter,
through its whole training (for example by `trainables.hypergrad`; Maclaurin et al. 2015, Franceschi et al.
2017). A model (TPE) searches first. Then a chain descends from its best point, by a line search whose
steps are tried by whoever is free, all at once. What no gradient is known of stays with the model, but for
one probe in six: choices, integers, and untrusted derivatives.

    x, f, g    a chain's point in the unit cube, its loss, its gradient there (dimensions without one: 0)
    h          its steps: how far each coordinate moves

    probes     x - a h sign(g)   for a = 1, 2, 1/2, 4, 1/4: the speculative line search; and one of a = 1
               with one choice or integer drawn anew

The first probe with a smaller loss becomes the chain's point; if none has, h shrinks to its quarter; a
chain whose h is tiny ends, and another begins at the model's next point. Of g only the signs are used: its
length is astronomic beyond the edge of chaos, and its coordinates differ by decades, so that along g itself
most would stand still. As in Rprop (Riedmiller & Braun 1993) a coordinate's h grows while its sign stays the
same from point to point, and is halved when it turns.

A trial is told in `_hypergrad_of` which metric to differentiate, and in `_hypergrad_if_below` which loss it
must beat for its gradient to be of use (None: any); a trainable that obeys spares itself the backward sweep
where a probe fails. `_seed` is a training seed of its own, so that a descent cannot fit the luck of one.
`hypergrad/_trusted` 0 marks a gradient as unreliable.

It pays with dozens of continuous hyperparameters that each matter (schedules, values per layer or group);
with five or fewer the model alone is better, and searches alone. A trial without `hypergrad/` values is a
result for the model, nothing more.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np

from search_algs.ask_tell import Active, AskTell, Shared, Unit
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


@dataclass(slots=True)
class Chain:
    """One descent."""

    x: Unit
    loss: float
    signs: Unit
    """Of the gradient: -1, 0 or 1."""
    steps: Unit
    open: list[float]
    """Probes from here that are not under way and have not failed."""
    running: int = 0
    """Probes from here that are under way."""


class Gradient(AskTell):
    """TPE first, then a fleet of gradient descents from its best points.

    Args:
        model_trials: results before the first descent.
        chains: descents at once; one has work for six workers.
        step: how far each coordinate moves at first, in the unit cube, in (0, 1].
        least: fewest parameters with a derivative that it descends on.
        n_startup_trials: results at random before the model is used.

    Raises:
        ValueError: for a value outside its range.
    """

    reads: ClassVar[tuple[str, ...]] = ("hypergrad/",)

    def __init__(
        self,
        *,
        model_trials: int = 16,
        chains: int = 1,
        step: float = 0.1,
        least: int = 6,
        n_startup_trials: int = 10,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(**shared)
        if model_trials < 1 or chains < 1:
            raise ValueError(f"model_trials is {model_trials} and chains {chains}; both must be at least 1")
        if not 0 < step <= 1:
            raise ValueError(f"step is {step!r}; it must lie in (0, 1]")
        self._first, self._wanted, self._step = model_trials, chains, step
        self._least, self._startup = least, n_startup_trials

    def start(self) -> None:
        """The model knows nothing, and nobody descends."""
        self._model = Tpe(
            space=self.space, metric=list(self.metrics), mode=["min"] * len(self.metrics), seed=self.seed,
            n_startup_trials=self._startup,
        )  # fmt: skip
        self._model.start()
        self._all: list[float] = [*PROBES]
        self._smooth = np.array([isinstance(d.domain, Real) for d in self.space.dimensions], dtype=bool)
        if not self._smooth.all():
            self._all.insert(len(PROBES) // 2, SWITCH)  # not last: a fast descent would never come to it
        self._descends = int(self._smooth.sum()) >= self._least
        self._chains: dict[int, Chain] = {}
        self._count = 0
        self._probes: dict[int, tuple[int, float]] = {}  # suggestion -> chain, probe
        self._starts: list[tuple[float, Unit, Unit]] = []  # of the model's: loss, point, signs
        self._results = 0
        self._asked: tuple[int, float] | None = None

    def ask(self, number: int, rng: np.random.Generator) -> Unit:
        """The next probe of the chain that has fewest under way, or what the model suggests."""
        waiting = [name for name, chain in self._chains.items() if chain.open]
        if not waiting:
            self._asked = None
            return self._model.ask(number, rng)
        name = min(waiting, key=lambda one: self._chains[one].running)
        chain = self._chains[name]
        self._asked = (name, chain.open[0])
        probe = chain.open[0] or 1.0
        x = np.clip(chain.x - probe * chain.steps * chain.signs, 0.0, 1.0)
        self._model.skip(number)
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
        return kept

    def extras(self, number: int) -> dict[str, Any]:
        """What a suggestion asks of its trial: which metric to differentiate, the loss to beat for that, and
        a training seed of its own."""
        if not self._descends:
            return {}
        beat: float | None = None  # a chain could begin anywhere
        if number in self._probes:
            beat = self._chains[self._probes[number][0]].loss
        elif len(self._starts) >= self._wanted:
            beat = self._starts[self._wanted - 1][0]
        return {"_hypergrad_of": self.metrics[0], "_hypergrad_if_below": beat, "_seed": number}

    def learned(self, unit: Unit, active: Active, losses: tuple[float, ...]) -> bool:
        """A result for the model."""
        return self._model.learned(unit, active, losses)

    def tell(
        self, number: int, unit: Unit, active: Active, losses: tuple[float, ...], extra: dict[str, float]
    ) -> None:
        """A result for the model; a step of its chain if it is better."""
        self._model.tell(number, unit, active, losses, {})
        self._results += 1
        signs = self._signs(unit, active, extra)
        loss, probe = losses[0], self._probes.pop(number, None)
        chain = self._chains.get(probe[0]) if probe else None
        if probe is not None and chain is not None:
            self._stepped(probe, chain, unit, loss, signs)
        elif signs is not None:
            self._starts.append((loss, unit, signs))
            self._starts.sort(key=lambda one: one[0])
        if self._results == self._first and not self._starts and self._descends:
            logging.getLogger("search_algs").warning(
                "search gradient: no trial has reported a `hypergrad/<name>` that can be trusted; "
                "until one does, the model (TPE) searches alone"
            )
        self._begin_chains()

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
            del self._chains[name]
        else:
            same = chain.signs * signs
            turns = np.where(same > 0, GROW, np.where(same < 0, TURN, 1.0))
            steps = chain.steps * turns * max(step or 1.0, 0.5)
            moved = Chain(unit, loss, signs, np.minimum(1.0, steps), [*self._all])
            self._chains[name] = moved
            moved.running = sum(one == name for one, _ in self._probes.values())

    def _missed(self, name: int, chain: Chain) -> None:
        chain.running -= 1
        if chain.open or chain.running > 0:
            return
        chain.steps = chain.steps * SHRINK
        chain.open = [*self._all]
        if chain.steps.max() < SMALLEST:
            del self._chains[name]

    def _begin_chains(self) -> None:
        """Descents from the model's best points, once it knows enough."""
        while self._results >= self._first and self._starts and len(self._chains) < self._wanted:
            loss, unit, signs = self._starts.pop(0)
            steps = np.full(len(unit), self._step)
            self._chains[self._count] = Chain(unit, loss, signs, steps, [*self._all])
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
