"""How results and trials show themselves in a notebook: a small HTML table, everything in it escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.results import Results, Trial

ROWS = 5
COLUMNS = 12
"""Hyperparameters in a table at most."""


def results_html(results: Results) -> str:
    """Counts, the best value, and the best trials with their searched values."""
    counts = ", ".join(f"{count} {state}" for state, count in results.status().items()) or "no trials yet"
    best, metric = results.best, next(iter(results.manifest.objectives))
    text = f"<b>{escape(results.folder.name)}</b>: {escape(counts)}"
    if best is not None:
        text += f"; best {escape(metric)} <b>{_shown(best.value)}</b> by {escape(best.id)}"
    if (cost := results.dollars) is not None:
        text += f"; ${cost['total']:.2f}"
    trials = results.top(ROWS)
    names = [
        name for name in results.manifest.parameters if any(_at(t.config, name) is not None for t in trials)
    ]
    left_out = f"<br><small>and {len(names) - COLUMNS} more values</small>" if len(names) > COLUMNS else ""
    head = ["trial", *results.manifest.objectives, "iterations", "state", *names[:COLUMNS]]
    rows = [
        [t.id, *map(_shown, t.values), str(t.iterations), t.state]
        + [_shown(_at(t.config, name)) for name in names[:COLUMNS]]
        for t in trials
    ]
    table = _table(head, rows) if rows else ""
    return f"<div>{text}{table}{left_out}<small>{escape(results.path)}</small></div>"


def trial_html(trial: Trial, objectives: Mapping[str, str]) -> str:
    """One trial: how it went, and its configuration."""
    facts: dict[str, Any] = {"state": trial.state, "iterations": trial.iterations}
    facts |= dict(zip(objectives, trial.values, strict=True))
    facts |= {"seconds": trial.seconds, "dollars": trial.dollars, "checkpoint": trial.checkpoint}
    facts["error"] = trial.error.strip().splitlines()[-1] if trial.error else None
    rows = [[name, _shown(value)] for name, value in facts.items() if value is not None]
    rows += [[f"config.{name}", _shown(value)] for name, value in _leaves(trial.config)]
    return f"<div><b>trial {escape(trial.id)}</b>{_table(None, rows)}</div>"


def _table(head: Sequence[str] | None, rows: Iterable[Sequence[str]]) -> str:
    top = f"<thead><tr>{_cells(head, 'th')}</tr></thead>" if head else ""
    body = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in rows)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def _cells(texts: Sequence[str], tag: str) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def _at(config: Any, name: str) -> Any:
    if isinstance(config, Mapping) and name in config:
        return config[name]
    for step in name.split("."):
        config = config.get(step) if isinstance(config, Mapping) else None
    return config


def _leaves(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in config.items():
        name = f"{prefix}{key}"
        found += _leaves(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return found
