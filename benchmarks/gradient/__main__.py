"""Plays search by hypergradients against searches without; what was played is not played again.

`--table`, `--plot` and `--write` play nothing and show what is there.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    """Play what is not there yet, or show what is."""
    os.environ["OMP_NUM_THREADS"] = "1"  # games run side by side; inherited by their processes
    from benchmarks.__main__ import README, put
    from benchmarks.games import play_all, played
    from benchmarks.gradient.games import PROBLEMS, SEARCHERS, games, path, play, price
    from benchmarks.gradient.tables import draw, tables

    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradient", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/gradient"), help="one Parquet file a game")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--searchers", nargs="+", choices=SEARCHERS, default=list(SEARCHERS))
    parser.add_argument("--table", action="store_true", help="print the Markdown tables")
    parser.add_argument("--plot", type=Path, help="draw the curves into this SVG")
    parser.add_argument("--write", action="store_true", help="put both into benchmarks/ and its README")
    given = parser.parse_args()
    if given.table:
        print(tables(given.out, given.seeds))
    if given.plot:
        draw(given.out, given.seeds, given.plot)
    if given.write:
        README.write_text(put(README.read_text(), "gradient", tables(given.out, given.seeds)))
        draw(given.out, given.seeds, README.with_name("gradient.svg"))
    if given.table or given.plot or given.write:
        return 0
    todo = [game for game in games(given.seeds) if not path(given.out, game).exists()]
    todo = [game for game in todo if game.problem in given.problems and game.searcher in given.searchers]
    prices = {name: price(PROBLEMS[name](0)) for name in {game.problem for game in todo}}
    note = played()
    calls = [(game, given.out, prices[game.problem], note) for game in todo]
    return int(play_all(play, calls, given.jobs) > 0)


if __name__ == "__main__":
    sys.exit(main())
