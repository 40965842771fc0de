"""Regret against trials and against simulated time, as one picture a suite."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import svg
from benchmarks.arena.suites import Game, Suite
from benchmarks.arena.tables import HEROES, Games, at, read

GRID = np.linspace(0.02, 2.5, 125)
"""Simulated times at which curves are compared, in random search's makespan."""


def draw(folder: Path, suite: Suite, where: Path) -> None:
    """Mean regret of all games of a searcher, an SVG."""
    pyplot = svg.pyplot("arena")
    games = read(folder, suite)
    figure, axes = pyplot.subplots(
        len(suite.workers), 2, figsize=(12, 4.2 * len(suite.workers)), squeeze=False, sharey=True
    )
    for row, workers in zip(axes, suite.workers, strict=True):
        for number, searcher in enumerate(suite.searchers):
            mine = [g for g in games if g.workers == workers and g.searcher == searcher]
            mine = [g for g in mine if _random(g) in games]
            if mine:
                style = {
                    "label": searcher,
                    "color": f"C{number % 10}",
                    "linestyle": "-" if number < 10 else "--",
                    "linewidth": 2.4 if searcher in HEROES else 1.2,
                }
                _curves(row, games, mine, style)
        row[0].set(xlabel="trials ended", ylabel=f"regret, {workers} workers", yscale="log")
        row[1].set(xlabel="simulated time, in random search's makespan")
        for axis in row:
            axis.set_yticks([0.1, 0.2, 0.3, 0.5, 1.0], ["0.1", "0.2", "0.3", "0.5", "1"], minor=False)
            axis.set_yticks([], minor=True)
            axis.grid(alpha=0.3)
    lines, names = axes[0][1].get_legend_handles_labels()
    figure.legend(lines, names, loc="center right", fontsize="small", frameon=False)
    figure.tight_layout(rect=(0, 0, 0.8, 1))
    svg.save(figure, where)


def _random(game: Game) -> Game:
    return Game(game.problem, game.seed, game.workers, "random")


def _curves(row: object, games: Games, mine: list[Game], style: dict[str, object]) -> None:
    by_trial, by_time = row  # type: ignore[misc]
    n = min(len(games[g]["incumbent"]) for g in mine)
    by_trial.plot(range(1, n + 1), np.mean([games[g]["incumbent"][:n] for g in mine], axis=0), **style)
    spans = [games[_random(g)]["ended_s"][-1] for g in mine]
    times = [[at(games[g], share * span) for share in GRID] for g, span in zip(mine, spans, strict=True)]
    by_time.plot(GRID, np.mean(times, axis=0), **style)
