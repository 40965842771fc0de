"""The arena's results: one Parquet file a game, Markdown tables with bootstrap intervals, one Arrow table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.arena.clock import Run, incumbents
from benchmarks.arena.lcbench import HELD_OUT
from benchmarks.arena.problem import Array, Problem
from benchmarks.arena.suites import Game, Suite
from benchmarks.games import notes, when

BOOTSTRAPS = 4000
COLUMNS = (
    "searcher",
    "pairs",
    "regret",
    "to random",
    "held out, to random",
    "at random's time, to random",
    "makespan to random's",
    "idle",
    "trials",
)
HEROES = ("pso", "bayesian")
"""Whom the duels are about."""
Games = dict[Game, dict[str, Array]]
"""The columns of each game that was played."""


def path(folder: Path, game: Game) -> Path:
    """Where a game's rows lie."""
    plain = "".join(c if c.isalnum() else "-" for c in f"{game.searcher}")
    return folder / f"{game.problem}" / f"{game.seed}-{game.workers}-{plain}.parquet"


def write(folder: Path, game: Game, problem: Problem, run: Run, played: dict[str, str]) -> None:
    """One row a trial, in the order in which they ended; `played` (when, at which commit) beside them."""
    n = len(run.loss)
    columns: dict[str, Any] = {
        "problem": [game.problem] * n, "seed": [game.seed] * n, "workers": [game.workers] * n,
        "searcher": [game.searcher] * n, "trial": list(range(n)), "ended_s": run.ended_s, "loss": run.loss,
        "regret": run.truth, "incumbent": incumbents(run, problem.max_t), "iterations": run.iterations,
        "idle_s": [run.idle_s] * n,
    }  # fmt: skip
    where = path(folder, game)
    where.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(played), where.with_suffix(".part"))
    where.with_suffix(".part").rename(where)


def read(folder: Path, suite: Suite) -> Games:
    """Every game that was played."""
    found = {}
    for game in suite.games():
        if path(folder, game).exists():
            table = pq.read_table(path(folder, game))
            found[game] = {
                name: table[name].to_numpy()
                for name in ("ended_s", "incumbent", "iterations", "idle_s")
            }
    return found


def export(folder: Path, suite: Suite, where: Path) -> None:
    """All games as one Arrow file, one row a trial."""
    tables = [pq.read_table(path(folder, game)) for game in suite.games() if path(folder, game).exists()]
    together = pa.concat_tables([one.replace_schema_metadata(None) for one in tables])
    with pa.OSFile(str(where), "wb") as file, pa.ipc.new_file(file, together.schema) as writer:
        writer.write_table(together)


def ratio(ours: Array, theirs: Array) -> tuple[float, float, float]:
    """Ratio of mean regrets over the same pairs, and its 95 % bootstrap interval."""
    picks = np.random.default_rng(0).integers(len(ours), size=(BOOTSTRAPS, len(ours)))
    ratios = ours[picks].mean(1) / theirs[picks].mean(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(ours.mean() / theirs.mean()), float(low), float(high)


def interval(ours: Array, theirs: Array) -> str:
    """The ratio as a table shows it."""
    middle, low, high = ratio(ours, theirs)
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def at(columns: dict[str, Array], second: float) -> float:
    """Regret of the incumbent at a simulated second; 1, a random configuration's, before the first result."""
    known = int(np.searchsorted(columns["ended_s"], second, side="right"))
    return float(columns["incumbent"][known - 1]) if known else 1.0


def markdown(folder: Path, suite: Suite) -> str:
    """A table for each number of workers, then each hero against everyone."""
    games, lines = read(folder, suite), [f"{suite.about}; {when(_notes(folder, suite))}."]
    for workers in suite.workers:
        rows = []
        for searcher in suite.searchers:
            pairs = _pairs(games, searcher, "random", workers)
            if pairs:
                rows.append(_row(games, searcher, workers, pairs))
        lines += ["", f"{workers} workers:", "", *_table(COLUMNS, [row for _, row in sorted(rows)])]
    for hero in HEROES:
        columns = [f"`{hero}` to"]
        for workers in suite.workers:
            columns += [f"pairs, {workers} workers", "after all trials", "at equal time"]
        rows = []
        for rival in suite.searchers:
            if rival != hero and any(_pairs(games, hero, rival, workers) for workers in suite.workers):
                rows.append([rival, *_duel(games, hero, rival, suite.workers)])
        lines += ["", *_table(columns, rows)]
    return "\n".join(lines) + "\n"


def _notes(folder: Path, suite: Suite) -> list[dict[str, str]]:
    files = [path(folder, game) for game in suite.games() if path(folder, game).exists()]
    return [notes(pq.read_schema(file)) for file in files]


def _table(columns: Any, rows: list[list[str]]) -> list[str]:
    head = [f"| {' | '.join(columns)} |", "|---" + "|--:" * (len(columns) - 1) + "|"]
    return head + [f"| {' | '.join(row)} |" for row in rows]


def _pairs(games: Games, searcher: str, other: str, workers: int) -> list[tuple[Game, Game]]:
    """Games of two searchers on the same problem and seed."""
    mine = [game for game in games if game.workers == workers and game.searcher == searcher]
    both = [(game, Game(game.problem, game.seed, workers, other)) for game in mine]
    return [pair for pair in both if pair[1] in games]


def _row(
    games: Games, searcher: str, workers: int, pairs: list[tuple[Game, Game]]
) -> tuple[float, list[str]]:
    last = _both(pairs, lambda game, _: games[game]["incumbent"][-1])
    at_once = _both(pairs, lambda game, random: at(games[game], games[random]["ended_s"][-1]))
    spans = _both(pairs, lambda game, _: games[game]["ended_s"].max())
    held_out = np.array([pair[0].problem.rpartition("-")[2] in HELD_OUT for pair in pairs])
    idle = np.mean([games[g]["idle_s"][0] / (workers * games[g]["ended_s"].max()) for g, _ in pairs])
    trials = np.mean([len(games[g]["ended_s"]) for g, _ in pairs])
    cells = [
        searcher, f"{len(pairs)}", f"{last[:, 0].mean():.3f}", interval(*last.T),
        interval(*last[held_out].T) if held_out.any() else "", interval(*at_once.T),
        f"{np.median(spans[:, 0] / spans[:, 1]):.2f}", f"{idle:.1%}", f"{trials:.0f}",
    ]  # fmt: skip
    return last[:, 0].mean(), cells


def _both(pairs: list[tuple[Game, Game]], value: Callable[[Game, Game], float]) -> Array:
    """A value of each game of each pair, given the pair's second; shape (pairs, 2)."""
    return np.array([[value(game, pair[1]) for game in pair] for pair in pairs])


def _duel(games: Games, hero: str, rival: str, workers: tuple[int, ...]) -> list[str]:
    """Ratios of regrets with all trials used, and when the first of the two has used up its own."""
    cells = []
    for count in workers:
        pairs = _pairs(games, hero, rival, count)
        if not pairs:
            cells += ["0", "", ""]
            continue
        ends = [min(games[g]["ended_s"].max() for g in pair) for pair in pairs]
        timed = [[at(games[g], end) for g in pair] for pair, end in zip(pairs, ends, strict=True)]
        last = _both(pairs, lambda game, _: games[game]["incumbent"][-1])
        cells += [f"{len(pairs)}", interval(*last.T), interval(*np.array(timed).T)]
    return cells
