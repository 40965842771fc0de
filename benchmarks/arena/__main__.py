"""Plays a suite of the arena; what was played is not played again.

`--table`, `--plot`, `--arrow` and `--write` play nothing and show what is there.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def play(name: str, game: object, out: Path, played: dict[str, str]) -> None:
    """One game, in a process of its own."""
    from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

    from benchmarks.arena.clock import run
    from benchmarks.arena.peers import PEERS, Rules
    from benchmarks.arena.suites import SUITES, Game
    from benchmarks.arena.tables import write

    assert isinstance(game, Game)
    suite, peer = SUITES[name], PEERS[game.searcher]
    problem = suite.problems[game.problem](game.seed)
    scheduler: TrialScheduler | None = FIFOScheduler() if peer.hears_all else None
    if suite.grace is not None:
        scheduler = AsyncHyperBandScheduler(
            time_attr="training_iteration", max_t=problem.max_t, grace_period=suite.grace, reduction_factor=3
        )
    rules = Rules(
        seed=game.seed,
        workers=game.workers,
        max_t=problem.max_t,
        trials=suite.trials,
        stops=suite.grace is not None,
    )
    found = run(
        problem,
        peer.build(rules),
        workers=game.workers,
        trials=suite.trials,
        trainings=suite.trainings,
        scheduler=scheduler,
        seed=game.seed,
    )
    write(out, game, problem, found, played)


def main() -> int:
    """Play what is not there yet, or show what is."""
    os.environ["OMP_NUM_THREADS"] = "1"  # games run side by side; inherited by their processes
    from benchmarks.__main__ import put
    from benchmarks.arena.curves import draw
    from benchmarks.arena.suites import SUITES
    from benchmarks.arena.tables import export, markdown, path
    from benchmarks.games import play_all, played

    parser = argparse.ArgumentParser(prog="python -m benchmarks.arena", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--out", type=Path, default=Path("results/arena"), help="one Parquet file a game")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seeds", type=int, help="fewer than the suite has")
    parser.add_argument("--searchers", nargs="+", help="only these")
    parser.add_argument("--table", action="store_true", help="print the Markdown tables")
    parser.add_argument("--write", action="store_true", help="put them and the curves into docs/")
    parser.add_argument("--plot", type=Path, help="draw the curves into this SVG")
    parser.add_argument("--arrow", type=Path, help="all games as one Arrow file")
    given = parser.parse_args()
    suite, folder = SUITES[given.suite], given.out / given.suite
    if given.table:
        print(markdown(folder, suite))
    if given.plot:
        draw(folder, suite, given.plot)
    if given.arrow:
        export(folder, suite, given.arrow)
    if given.write:
        page = DOCS / "arena.md"
        page.write_text(put(page.read_text(), given.suite, markdown(folder, suite)))
        draw(folder, suite, DOCS / f"arena-{given.suite}.svg")
    if given.table or given.plot or given.arrow or given.write:
        return 0
    games = [game for game in suite.games() if not path(folder, game).exists()]
    games = [game for game in games if given.seeds is None or game.seed < given.seeds]
    games = [game for game in games if given.searchers is None or game.searcher in given.searchers]
    note = played()
    return int(play_all(play, [(given.suite, game, folder, note) for game in games], given.jobs) > 0)


if __name__ == "__main__":
    sys.exit(main())
