"""Particle swarm without generations: whoever is free flies on (Kennedy & Eberhart 1995; with inertia: Shi &
Eberhart 1998, eq. 1; its constants: Clerc & Kennedy 2002).

    x    position of a particle, in the unit cube          W    inertia
    v    velocity: its last move, as really made           C1   pull of its own best point b
    b    the best point it found                           C2   pull of its best informant's b, called g

    x' = x + W v + C1 r1 (b - x) + C2 r2 (g - x)           r1, r2: uniform draws in [0, 1), one per coordinate

A worker is free: the particle that has rested longest moves; if none rests, or too little is known yet, a new
particle is born at a random point. So the swarm grows to the number of workers, nobody waits for a
generation, and results may come in any order. A crashed trial frees its particle and changes nothing else.

What is searched is not always a continuous cube. A choice is not flown to but taken over: from b, from g, or
at random. A coordinate that is inactive in b or g pulls at nothing. A configuration that was tried already is
not tried again. Departures from the papers, each measured in the arena: velocity zero at birth, reflection at
the bounds, and a small chance for each coordinate to be drawn anew, without which swarms this small settle.

Cost: 0.3 ms a suggestion at any n.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np

from search_algs.ask_tell import Active, AskTell, Shared, Unit
from search_algs.space import Choice
from search_algs.space.nearest import nearest

OWN, LEADERS = 0.40, 0.45
"""Chances that a choice is taken over from the particle's own best and from g; else it is drawn."""
TRIES = 10
"""Moves drawn until one is new; after that each coordinate is drawn anew with chance `SHAKE`."""
SHAKE = 0.3
LEARNED = 1 << 20
"""Marks random draws that belong to no suggestion."""
SAME = 1e-9
"""What a continuous coordinate may lose by the way through its value."""
CHOICES = {
    "topology": ("global", "ring", "random"),
    "bounds": ("reflect", "clip"),
}


@dataclass(frozen=True, slots=True)
class Best:
    """The best point that a particle found."""

    point: Unit
    """Shape (d,)."""
    active: Active
    """Which of its coordinates mean something, shape (d,)."""
    loss: float


@dataclass(slots=True)
class Particle:
    """One member of the swarm."""

    x: Unit
    """Position, shape (d,)."""
    v: Unit
    """Velocity, shape (d,)."""
    best: Best | None = None
    """None until it has a result."""


class Pso(AskTell):
    """Particle swarm search, asynchronous.

    Args:
        swarm_size: particles at least, and results awaited before the first one moves. 10 did as well as 16
            and 40 with 200 trials; there are never fewer particles than trials at once.
        inertia: W in [0, 1]. 0.7298 with both pulls 1.49618 keeps a swarm from exploding (Clerc & Kennedy
            2002).
        cognitive: C1 >= 0, the pull of a particle's own best.
        social: C2 >= 0, the pull of its best informant.
        topology: who informs a particle: "global" everyone, "ring" the two beside it (Kennedy 1999), "random"
            `informants` others drawn at each move (Clerc's Standard PSO 2006 keeps them for a while).
        informants: how many with topology "random".
        bounds: a move that leaves the cube is sent back into it ("reflect") or ends at its face ("clip").
            Clipping finds optima that lie on a bound, and loses elsewhere.
        mutation: chance in [0, 1] of each coordinate to be drawn anew; None: 0.05, and 0 with generations.
        generational: the textbook's swarm of `swarm_size`, in which all wait for the last and may try a
            configuration again; for comparison. (Papers say synchronous mode; `mode` is Ray's min or max.)

    Raises:
        ValueError: for a value outside its range, with the nearest allowed one.
    """

    def __init__(
        self,
        *,
        swarm_size: int = 10,
        inertia: float = 0.7298,
        cognitive: float = 1.49618,
        social: float = 1.49618,
        topology: Literal["global", "ring", "random"] = "global",
        informants: int = 3,
        bounds: Literal["reflect", "clip"] = "reflect",
        mutation: float | None = None,
        generational: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(**shared)
        for name, value, low, high in (
            ("swarm_size", swarm_size, 1, math.inf),
            ("informants", informants, 1, math.inf),
            ("inertia", inertia, 0, 1),
            ("cognitive", cognitive, 0, math.inf),
            ("social", social, 0, math.inf),
            ("mutation", mutation or 0, 0, 1),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; it must lie in [{low}, {high}]")
        for name, text in (("topology", topology), ("bounds", bounds)):
            if text not in CHOICES[name]:
                raise ValueError(f"{name} is {text!r}{nearest(text, CHOICES[name])}")
        self._size, self._generational = swarm_size, generational
        self._inertia, self._pulls = inertia, (cognitive, social)
        self._topology, self._informants, self._clips = topology, informants, bounds == "clip"
        self._mutation = (0.0 if generational else 0.05) if mutation is None else mutation

    def start(self) -> None:
        """No particles yet."""
        self._is_choice = np.array([isinstance(d.domain, Choice) for d in self.space.dimensions], dtype=bool)
        self._swarm: list[Particle] = []
        self._resting: deque[int] = deque()
        self._flights: dict[int, tuple[int, Unit]] = {}  # suggestion -> particle, where it is
        self._told: dict[int, tuple[Unit, Active, float]] = {}  # by particle, until its generation ends
        self._back = 0
        self._leader: Best | None = None
        self._tried: set[bytes] = set()
        self._asked: tuple[int, Unit | None] | None = None

    def ask(self, number: int, rng: np.random.Generator) -> Unit | None:
        """Where the next particle flies to; None only while a generation waits for its last."""
        who = self._next()
        if who is None:
            return None
        x = self._fly(who, rng)
        self._asked = (who, x if self._generational else self._untried(who, x, rng))
        return self._asked[1]

    def rejected(self, number: int) -> None:
        """If no move is allowed, the template draws a point at random for this particle."""
        assert self._asked is not None
        self._asked = (self._asked[0], None)

    def issued(self, number: int, unit: Unit, active: Active, memo: dict[str, Any] | None) -> dict[str, Any]:
        """The particle is on its way; to be remembered: which one, and where between a lattice's values."""
        if memo is None:
            assert self._asked is not None
            who, x = self._asked
        else:
            who = memo.get("particle", len(self._swarm))
            x = np.array(memo["x"]) if "x" in memo else None
        x = unit if x is None else np.where(np.abs(x - unit) < SAME, unit, x)
        if who == len(self._swarm):
            self._swarm.append(Particle(x, np.zeros(len(x))))
        else:
            self._resting.remove(who)  # the first of them
        self._flights[number] = (who, x)
        self._tried.add(unit.tobytes())
        return {"particle": who} if np.array_equal(x, unit) else {"particle": who, "x": x.tolist()}

    def tell(
        self, number: int, unit: Unit, active: Active, losses: tuple[float, ...], extra: dict[str, float]
    ) -> None:
        """The particle is there: it keeps its velocity, and the point if it is its best."""
        who, x = self._flights.pop(number)
        self._back += 1
        if self._generational:
            self._told[who] = (x, active, losses[0])
            self._end_generation()
        else:
            self._arrive(who, x, active, losses[0])
            self._resting.append(who)

    def lost(self, number: int) -> None:
        """The particle is free again, where it was."""
        who, _ = self._flights.pop(number)
        if self._generational:
            self._end_generation()
        else:
            self._resting.append(who)

    def learned(self, unit: Unit, active: Active, losses: tuple[float, ...]) -> bool:
        """A resting particle, for the first `swarm_size` of them; at random where nothing is known."""
        if len(self._swarm) < self._size:
            rng = np.random.default_rng([self.seed, len(self._swarm), LEARNED])
            unit = np.where(active, unit, rng.random(len(unit)))
            self._resting.append(len(self._swarm))
            self._swarm.append(Particle(unit, np.zeros(len(unit))))
            self._arrive(len(self._swarm) - 1, unit, active, losses[0])
            self._back += 1
        return True

    def _next(self) -> int | None:
        """The particle that moves: a resting one, a new one (numbered by the swarm's length), or none yet."""
        if self._generational:
            if len(self._swarm) < self._size:
                return len(self._swarm)
            return self._resting[0] if self._resting else None
        if self._resting and len(self._swarm) >= self._size and self._back >= self._size:
            return self._resting[0]
        return len(self._swarm)

    def _fly(self, who: int, rng: np.random.Generator) -> Unit:
        """One move by the rule on top; a new particle's is to a random point."""
        if who == len(self._swarm):
            return self.space.sample(rng)
        p, g = self._swarm[who], self._informant(who, rng)
        own = p.best or g
        x = p.x + self._inertia * p.v
        for pull, best in zip(self._pulls, (own, g), strict=True):
            draws = rng.random(len(x))
            if best is not None:
                x += pull * draws * np.where(best.active, best.point - p.x, 0.0)
        x = np.clip(x, 0.0, 1.0) if self._clips else 1.0 - np.abs(1.0 - x % 2.0)
        if self._is_choice.any():
            x = np.where(self._is_choice, _choose(own, g, rng, len(x)), x)
        return np.where(rng.random(len(x)) < self._mutation, rng.random(len(x)), x)

    def _untried(self, who: int, x: Unit, rng: np.random.Generator) -> Unit:
        """The move `x`, or another if it leads to a configuration that was tried."""
        for _ in range(TRIES):
            if self.space.encode(self.space.decode(x))[0].tobytes() not in self._tried:
                return x
            x = self._fly(who, rng)
        return np.where(rng.random(len(x)) < SHAKE, rng.random(len(x)), x)

    def _informant(self, who: int, rng: np.random.Generator) -> Best | None:
        """The best of those who inform a particle, itself among them; None where none has a result."""
        n = len(self._swarm)
        match self._topology:
            case "ring":
                near = [who - 1, who, (who + 1) % n]
            case "random":
                near = [who, *rng.integers(n, size=self._informants)]
            case _:
                return self._leader
        found = [best for i in near if (best := self._swarm[i].best) is not None]
        return min(found, key=lambda best: best.loss, default=None)

    def _arrive(self, who: int, x: Unit, active: Active, loss: float) -> None:
        p = self._swarm[who]
        p.x, p.v = x, x - p.x
        if p.best is None or loss < p.best.loss:
            p.best = Best(x, active, loss)
            if self._leader is None or loss < self._leader.loss:
                self._leader = p.best

    def _end_generation(self) -> None:
        """If it was the last of its generation: all arrive at once, and rest."""
        if self._flights or self._resting or len(self._swarm) < self._size:
            return
        for who, arrived in sorted(self._told.items()):
            self._arrive(who, *arrived)
        self._told.clear()
        self._resting.extend(range(len(self._swarm)))


def _choose(own: Best | None, g: Best | None, rng: np.random.Generator, d: int) -> Unit:
    """For every coordinate that of the own best, of g, or a random one, shape (d,); for choices."""
    which, x = rng.random(d), rng.random(d)
    for best, low, high in ((own, 0.0, OWN), (g, OWN, OWN + LEADERS)):
        if best is not None:
            x = np.where((low <= which) & (which < high) & best.active, best.point, x)
    return x
