"""Tables and curves of the games that were played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import svg
from benchmarks.arena.tables import BOOTSTRAPS, interval
from benchmarks.games import when
from benchmarks.gradient.games import BUDGET, PROBLEMS, SEARCHERS, WORKERS, Array, Game, read
from benchmarks.table import markdown

GRID = np.arange(5.0, BUDGET + 1)
"""Budgets, in plain trainings, at which searches are compared."""
HERO, RIVALS = "gradient", ("tpe", "trust region")
Games = dict[Game, dict[str, Any]]


def curves(games: Games, problem: str, searcher: str) -> Array:
    """Judged loss of the incumbent at each budget, shape (seeds, len(GRID)); seeds that all have played."""
    played = [{g.seed for g in games if g.problem == problem and g.searcher == name} for name in SEARCHERS]
    rows = []
    everyone = [one for one in played if one]
    for seed in sorted(everyone[0].intersection(*everyone)) if everyone else ():
        if Game(problem, seed, searcher) in games:
            game = games[Game(problem, seed, searcher)]
            last = np.searchsorted(game["cost"], GRID, side="right") - 1
            rows.append(game["incumbent"][np.maximum(last, 0)])
    return np.array(rows)


def less_compute(ours: Array, theirs: Array) -> tuple[float, float, float]:
    """How many times less the hero spends until its mean loss is the rival's at the end; 95 % interval.

    Below 1 if it never is: the share of the budget at which the rival was where the hero ends.
    """
    picks = np.random.default_rng(0).integers(len(ours), size=(BOOTSTRAPS, len(ours)))
    found = [_times(ours[one].mean(0), theirs[one].mean(0)) for one in picks]
    low, high = np.quantile(found, [0.025, 0.975])
    return _times(ours.mean(0), theirs.mean(0)), float(low), float(high)


def _times(ours: Array, theirs: Array) -> float:
    if ours[-1] <= theirs[-1]:
        return _first(theirs, theirs[-1]) / _first(ours, theirs[-1])
    return _first(theirs, ours[-1]) / BUDGET


def _first(curve: Array, loss: float) -> float:
    """The budget from which on a curve, which ends there, is at `loss` or below."""
    above = np.flatnonzero(curve > loss)
    return float(GRID[above[-1] + 1 if len(above) else 0])


def tables(folder: Path, seeds: int) -> str:
    """Final losses of all, then the hero against its rivals."""
    games = read(folder, seeds)
    rows, duels = [], []
    for problem in PROBLEMS:
        finals = {name: curves(games, problem, name) for name in SEARCHERS}
        finals = {name: one for name, one in finals.items() if len(one)}
        if HERO not in finals:
            continue
        losses = {name: one[:, -1].mean() for name, one in finals.items()}
        note = next(game["notes"] for g, game in games.items() if g.problem == problem)
        cells = [f"{losses[name]:.3f}" if name in losses else "" for name in SEARCHERS]
        rows.append([problem, f"{len(finals[HERO])}", f"{1 + float(note['price']):.1f}", *cells])
        for rival in RIVALS:
            if rival in finals:
                ours, theirs = finals[HERO], finals[rival]
                times = "{:.1f} [{:.1f}, {:.1f}]".format(*less_compute(ours, theirs))
                duels.append([problem, rival, interval(ours[:, -1], theirs[:, -1]), times])
    head = ("problem-K", "seeds", "cost of a trial with derivatives", *SEARCHERS)
    played = when(game["notes"] for game in games.values())
    about = (
        "Mean loss on fresh seeds and data (ridge: the outer loss) of the incumbent after the compute of "
        f"{BUDGET:.0f} plain trainings, {WORKERS} at once; {played}."
    )
    duel = markdown((f"`{HERO}` to", "rival", "loss, ratio", "times less compute to the rival's loss"), duels)
    return f"{about}\n\n{markdown(head, rows)}\n\n{duel}\n"


def draw(folder: Path, seeds: int, where: Path) -> None:
    """Mean judged loss against compute, one panel a problem, an SVG."""
    pyplot = svg.pyplot("gradient")
    games = read(folder, seeds)
    problems = [name for name in PROBLEMS if any(game.problem == name for game in games)]
    count = -(-len(problems) // 3)
    figure, axes = pyplot.subplots(count, 3, figsize=(13, 3.8 * count), squeeze=False)
    for axis, problem in zip(axes.flat, problems, strict=False):
        for number, name in enumerate(SEARCHERS):
            rows = curves(games, problem, name)
            if len(rows):
                width = 2.4 if name == HERO else 1.2
                axis.plot(GRID, rows.mean(0), label=name, color=f"C{number}", linewidth=width)
        axis.set(title=problem, xlabel="compute, in plain trainings", ylabel="loss", yscale="log")
        axis.grid(alpha=0.3, which="both")
    axes[0][0].legend(fontsize="small", frameon=False)
    figure.tight_layout()
    svg.save(figure, where)
