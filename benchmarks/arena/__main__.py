"""Plays a suite of the arena: `python -m benchmarks.arena SUITE [--out DIR] [--table] [--plot FILE]`."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path


def play(name: str, game: object, out: Path) -> None:
    """One game, in a process of its own."""
    from ray.tune.schedulers import AsyncHyperBandScheduler

    from benchmarks.arena.clock import run
    from benchmarks.arena.peers import PEERS
    from benchmarks.arena.suites import SUITES, Game
    from benchmarks.arena.tables import write

    assert isinstance(game, Game)
    suite = SUITES[name]
    problem = suite.problems[game.problem](game.seed)
    scheduler = None
    if suite.grace is not None:
        scheduler = AsyncHyperBandScheduler(
            time_attr="training_iteration", max_t=problem.max_t, grace_period=suite.grace, reduction_factor=3
        )
    found = run(
        problem,
        PEERS[game.searcher](problem, game.seed, problem.max_t if scheduler else None),
        workers=game.workers,
        trials=suite.trials,
        trainings=suite.trainings,
        scheduler=scheduler,
        seed=game.seed,
    )
    write(out, game, problem, found)


def main() -> int:
    """Play what is not there yet, or show what is."""
    os.environ["OMP_NUM_THREADS"] = "1"  # games run side by side; inherited by their processes
    from benchmarks.arena.suites import SUITES
    from benchmarks.arena.tables import draw, markdown, path

    parser = argparse.ArgumentParser(prog="python -m benchmarks.arena", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--out", type=Path, default=Path("results/arena"), help="one Parquet file a game")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seeds", type=int, help="fewer than the suite has")
    parser.add_argument("--searchers", nargs="+", help="only these")
    parser.add_argument("--table", action="store_true", help="play nothing, print the table")
    parser.add_argument("--plot", type=Path, help="play nothing, draw the curves into this SVG")
    given = parser.parse_args()
    suite, folder = SUITES[given.suite], given.out / given.suite
    if given.table or given.plot:
        if given.plot:
            draw(folder, suite, given.plot)
        else:
            print(markdown(folder, suite))
        return 0
    games = [game for game in suite.games() if not path(folder, game).exists()]
    games = [game for game in games if given.seeds is None or game.seed < given.seeds]
    games = [game for game in games if given.searchers is None or game.searcher in given.searchers]
    failed = 0
    with ProcessPoolExecutor(given.jobs) as pool:
        waiting = {pool.submit(play, given.suite, game, folder): game for game in games}
        for number, one in enumerate(as_completed(waiting), 1):
            error = one.exception()
            if error is not None:
                failed += 1
                print(f"\n{waiting[one]}: {type(error).__name__}: {error}", file=sys.stderr)
            print(f"\r{number} of {len(games)} games, {failed} failed", end="", flush=True)
    print()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
