"""Games that are played side by side, each in a process of its own, and the note of when they were played."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa


def played() -> dict[str, str]:
    """The day, and the commit of the code that plays, with a + if it was changed since."""
    ask = ["git", "-C", str(Path(__file__).parent)]
    head = subprocess.run([*ask, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*ask, "diff", "--quiet", "HEAD", "--", ".", "../search_algs"])
    commit = (head.stdout.strip() or "?") + ("+" if changed.returncode else "")
    return {"day": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit}


def notes(schema: pa.Schema) -> dict[str, str]:
    """What is noted in a Parquet file of a game."""
    return {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}


def when(notes: Iterable[Mapping[str, str]]) -> str:
    """Days and commits at which games were played."""
    notes = list(notes)
    days, commits = ({note.get(key, "?") for note in notes} for key in ("day", "commit"))
    return f"played on {', '.join(sorted(days))} at {', '.join(sorted(commits))}"


def play_all(play: Callable[..., None], games: Sequence[tuple[Any, ...]], jobs: int | None) -> int:
    """Call `play` with each of `games`, `jobs` at once, and show how far it is; how many failed."""
    failed = 0
    with ProcessPoolExecutor(jobs) as pool:
        waiting = {pool.submit(play, *game): game for game in games}
        for number, one in enumerate(as_completed(waiting), 1):
            error = one.exception()
            if error is not None:
                failed += 1
                print(f"\n{waiting[one]}: {type(error).__name__}: {error}", file=sys.stderr)
            print(f"\r{number} of {len(games)} games, {failed} failed", end="", flush=True)
    print()
    return failed
