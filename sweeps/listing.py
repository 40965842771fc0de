"""What `starling ls`, `status` and `best` print: tables for people, JSON for programs."""

import json
from typing import Any

from rich.console import Console as Terminal
from rich.table import Table

from sweeps.catalogue import list_sweeps, summary
from sweeps.console import ENDS, resume_command
from sweeps.results import Results
from sweeps.store.storage import open_folder


def print_sweeps(storage: str, *, as_json: bool) -> int:
    """The sweeps in a storage, the newest first."""
    found = sorted(list_sweeps(storage), key=lambda s: s.when.timestamp() if s.when else 0.0, reverse=True)
    if as_json:
        print(json.dumps([one.to_dict() for one in found], default=str))
        return 0
    table = _table("sweep", "state", "trials", "failed", "best", "last event")
    for one in found:
        done = f"{one.done}/{one.total}" if one.total is not None else str(one.done)
        best = f"{one.metric} {one.best:.5g}" if one.best is not None else ""
        when = one.when.astimezone().strftime("%Y-%m-%d %H:%M:%S") if one.when else ""
        table.add_row(one.name, one.state, done, str(one.failed or ""), best, when)
    if found:
        _print(table)
    else:
        print(f"no sweeps in {storage}")
    return 0


def print_status(path: str, *, as_json: bool) -> int:
    """Where one sweep stands: its state, counts, the trials under way, the best so far."""
    results = Results(path)
    one = summary(open_folder(path))
    counts = results.status()
    under_way = [t for t in results.trials if t.state in ("pending", "running", "paused")]
    if as_json:
        shown = one.to_dict() | {"status": counts, "under_way": [t.id for t in under_way]}
        shown["dollars"] = results.dollars
        print(json.dumps(shown, default=str))
        return 0
    total = f" of {one.total}" if one.total is not None else ""
    print(f"{one.name}: {ENDS.get(one.state, one.state)}, {one.done}{total} trials ended")
    print("  " + (", ".join(f"{n} {state}" for state, n in counts.items() if n) or "nothing yet"))
    for trial in under_way[:20]:
        value = f"  {one.metric} {trial.value:.5g}" if trial.value is not None else ""
        print(f"  {trial.id}  {trial.state:<8} {trial.iterations:>4} it{value}")
    failures: dict[str, list[str]] = {}
    for trial in results.trials:
        if trial.state == "failed":
            lines = (trial.error or "without a reason").strip().splitlines()
            failures.setdefault(lines[-1], []).append(trial.id)
    for reason, ids in failures.items():
        print(f"  {len(ids)} failed: {reason}  ({', '.join(ids[:5])}{', ...' * (len(ids) > 5)})")
    if one.best is not None and results.best is not None:
        print(f"  best {one.metric} {one.best:.5g} by {results.best.id}")
    if (cost := results.dollars) is not None:
        of_trials = cost["total"] - cost["boot"] - cost["idle"]
        print(
            f"  ${cost['total']:.2f}: ${of_trials:.2f} for trials, ${cost['boot']:.2f} while nodes started, "
            f"${cost['idle']:.2f} idle"
        )
    if one.state not in ("running", "finished", "target", "metric"):
        print(f"  next: {resume_command(one.state, path)}")
    return 0


def print_best(path: str, count: int, *, as_json: bool) -> int:
    """The best trials with their configurations."""
    if count < 1:
        raise ValueError(f"-n is {count}; give how many trials to show, at least 1")
    results = Results(path)
    several = not isinstance(results.metric, str)
    trials = results.pareto()[:count] if several else results.top(count)
    if as_json:
        shown: Any = [trial.to_dict() for trial in trials]
        print(json.dumps(shown, default=str))
        return 0
    if not trials:
        print("no trial has reported yet")
        return 0
    metrics = [results.metric] if isinstance(results.metric, str) else results.metric
    known = results.manifest.parameters
    names = [name for name in known if any(_at(trial.config, name) is not None for trial in trials)]
    table = _table("trial", *metrics, "iterations", "state", *names)
    for trial in trials:
        values = [f"{v:.5g}" if v is not None else "" for v in trial.values]
        config = [_text(_at(trial.config, name)) for name in names]
        table.add_row(trial.id, *values, str(trial.iterations), trial.state, *config)
    _print(table)
    if trials[0].checkpoint:
        print(f"checkpoint of {trials[0].id}: {trials[0].checkpoint}")
    return 0


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print(table: Table) -> None:
    terminal = Terminal(highlight=False)
    if not terminal.is_terminal:
        terminal = Terminal(highlight=False, width=10_000)  # a pipe has no width: nothing is cut
    terminal.print(table)


def _at(config: Any, name: str) -> Any:
    for step in name.split("."):
        config = config.get(step) if isinstance(config, dict) else None
    return config


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
