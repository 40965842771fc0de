"""The arena's results: one Parquet file a game, a Markdown table with bootstrap intervals, and curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.arena.clock import Run, incumbents
from benchmarks.arena.problem import Array, Problem
from benchmarks.arena.suites import Game, Suite

BOOTSTRAPS = 4000
COLUMNS = (
    "searcher",
    "pairs",
    "regret",
    "to random",
    "to tpe",
    "at random's time, to random",
    "makespan to random's",
    "idle",
    "trials",
    "ms a suggestion",
)
GRID = np.linspace(0.02, 1.0, 50)
"""Shares of random search's makespan at which curves are compared."""


def path(folder: Path, game: Game) -> Path:
    """Where a game's rows lie."""
    plain = "".join(c if c.isalnum() else "-" for c in f"{game.searcher}")
    return folder / f"{game.problem}" / f"{game.seed}-{game.workers}-{plain}.parquet"


def write(folder: Path, game: Game, problem: Problem, run: Run) -> None:
    """One row a trial, in the order in which they ended."""
    n = len(run.loss)
    columns: dict[str, Any] = {
        "problem": [game.problem] * n, "seed": [game.seed] * n, "workers": [game.workers] * n,
        "searcher": [game.searcher] * n, "trial": list(range(n)), "ended_s": run.ended_s, "loss": run.loss,
        "regret": run.truth, "incumbent": incumbents(run, problem.max_t), "iterations": run.iterations,
        "suggest_s": run.suggest_s, "idle_s": [run.idle_s] * n,
    }  # fmt: skip
    where = path(folder, game)
    where.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), where.with_suffix(".part"))
    where.with_suffix(".part").rename(where)


def read(folder: Path, suite: Suite) -> dict[Game, dict[str, Array]]:
    """The columns of every game that was played."""
    found = {}
    for game in suite.games():
        if path(folder, game).exists():
            table = pq.read_table(path(folder, game))
            found[game] = {
                name: table[name].to_numpy()
                for name in ("ended_s", "incumbent", "iterations", "suggest_s", "idle_s")
            }
    return found


def ratio(ours: Array, theirs: Array) -> tuple[float, float, float]:
    """Ratio of mean regrets over the same pairs, and its 95 % bootstrap interval."""
    picks = np.random.default_rng(0).integers(len(ours), size=(BOOTSTRAPS, len(ours)))
    ratios = ours[picks].mean(1) / theirs[picks].mean(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(ours.mean() / theirs.mean()), float(low), float(high)


def markdown(folder: Path, suite: Suite) -> str:
    """A table for each number of workers."""
    games, lines = read(folder, suite), []
    for workers in suite.workers:
        lines += ["", f"{workers} workers:", "", f"| {' | '.join(COLUMNS)} |"]
        lines.append("|---" + "|--:" * (len(COLUMNS) - 1) + "|")
        rows = []
        for searcher in suite.searchers:
            mine = [g for g in games if g.workers == workers and g.searcher == searcher]
            pairs = [(g, _other(g, "random"), _other(g, "tpe")) for g in mine]
            pairs = [pair for pair in pairs if pair[1] in games and pair[2] in games]
            if pairs:
                rows.append(_row(games, searcher, workers, pairs))
        lines += [text for _, text in sorted(rows)]
    return f"{suite.about}.\n" + "\n".join(lines) + "\n"


def _other(game: Game, searcher: str) -> Game:
    return Game(game.problem, game.seed, game.workers, searcher)


def _row(
    games: dict[Game, dict[str, Array]], searcher: str, workers: int, pairs: list[tuple[Game, Game, Game]]
) -> tuple[float, str]:
    last = np.array([[games[g]["incumbent"][-1] for g in pair] for pair in pairs])
    at_once = np.array([[_at(games[g], games[pair[1]]["ended_s"][-1]) for g in pair[:2]] for pair in pairs])
    spans = np.array([[games[g]["ended_s"].max() for g in pair[:2]] for pair in pairs])
    idle = np.mean([games[g]["idle_s"][0] / (workers * games[g]["ended_s"].max()) for g, *_ in pairs])
    cost = np.mean([games[g]["suggest_s"].mean() for g, *_ in pairs])
    trials = np.mean([len(games[g]["ended_s"]) for g, *_ in pairs])
    cells = [
        searcher, f"{len(pairs)}", f"{last[:, 0].mean():.3f}", _interval(last[:, 0], last[:, 1]),
        _interval(last[:, 0], last[:, 2]), _interval(at_once[:, 0], at_once[:, 1]),
        f"{np.median(spans[:, 0] / spans[:, 1]):.2f}", f"{idle:.1%}", f"{trials:.0f}", f"{1e3 * cost:.2g}",
    ]  # fmt: skip
    return last[:, 0].mean(), f"| {' | '.join(cells)} |"


def _interval(ours: Array, theirs: Array) -> str:
    middle, low, high = ratio(ours, theirs)
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def _at(columns: dict[str, Array], second: float) -> float:
    """Regret of the incumbent at a simulated second; 1, a random configuration's, before the first result."""
    known = int(np.searchsorted(columns["ended_s"], second, side="right"))
    return float(columns["incumbent"][known - 1]) if known else 1.0


def draw(folder: Path, suite: Suite, where: Path) -> None:
    """Mean regret against trials and against simulated time, an SVG."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    games = read(folder, suite)
    figure, axes = pyplot.subplots(
        len(suite.workers), 2, figsize=(11, 4 * len(suite.workers)), squeeze=False, sharey=True
    )
    for (by_trial, by_time), workers in zip(axes, suite.workers, strict=True):
        for number, searcher in enumerate(suite.searchers):
            mine = [g for g in games if g.workers == workers and g.searcher == searcher]
            mine = [g for g in mine if _other(g, "random") in games]
            if not mine:
                continue
            n = min(len(games[g]["incumbent"]) for g in mine)
            style = {"label": searcher, "color": f"C{number % 10}", "linestyle": "-" if number < 10 else "--"}
            by_trial.plot(
                range(1, n + 1), np.mean([games[g]["incumbent"][:n] for g in mine], axis=0), **style
            )
            times = [
                [_at(games[g], share * games[_other(g, "random")]["ended_s"][-1]) for share in GRID]
                for g in mine
            ]
            by_time.plot(GRID, np.mean(times, axis=0), **style)
        by_trial.set(xlabel="trials ended", ylabel=f"regret, {workers} workers", yscale="log")
        by_time.set(xlabel="simulated time, in random search's makespan")
    axes[0][1].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(where)
