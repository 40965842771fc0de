"""What a person sees while a sweep runs: one line a finished trial, one line of progress, what to type next.

On a terminal the progress line is redrawn in place; elsewhere it is printed every half minute.
"""

import math
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console as Terminal
from rich.live import Live
from rich.text import Text

from sweeps.spec import Sweep
from sweeps.store.bill import Bill
from sweeps.store.storage import Folder, without_secrets

if TYPE_CHECKING:
    from sweeps.drive import Outcome
    from sweeps.loop.conductor import Conductor

REDRAW_S, REPEAT_S = 0.25, 30.0
MARKS = {"completed": "[green]done   [/]", "stopped": "[yellow]stopped[/]", "failed": "[red]failed [/]"}


class Console:
    """The console of one run.

    Args:
        sweep, folder: what runs and where its results go.
        quiet: print nothing.
    """

    def __init__(self, sweep: Sweep, folder: Folder, *, quiet: bool) -> None:
        self.sweep, self.where = sweep, without_secrets(folder.uri)
        # A notebook's output calls itself a terminal, but keeps every redraw; as HTML, each line apart.
        notebook = type(sys.stdout).__module__.startswith("ipykernel")
        drawn = False if notebook else None
        self.terminal = Terminal(quiet=quiet, highlight=False, force_jupyter=False, force_terminal=drawn)
        self.live: Live | None = None
        self.started = self.drawn = time.monotonic()
        self.configs: dict[str, Mapping[str, Any]] = {}
        self.last: dict[str, float] = {}
        self.iterations: dict[str, int] = {}
        self.best: tuple[bool, float, str] | None = None
        """Of the best trial that has ended: whether it completed (those come first), its value and its id."""
        self.faults: dict[str, int] = {}
        self.ends: list[float] = []
        """When the first trial of this session ended, and the last."""
        self.ended_now = 0
        self.hints: list[str] = []
        self.searched = {d.name for d in sweep.search_space().dimensions}
        self.bill = Bill()

    # -- events ------------------------------------------------------------------------------------

    def recall(self, past: Iterable[Mapping[str, Any]]) -> None:
        """The events of earlier sessions, without a word: the best so far, and the trials that go on."""
        for event in past:
            self.bill.fold(event)
            if event["event"] in ("suggested", "reported"):
                self.fold(event)
            elif event["event"] == "copied":
                self.configs[event["trial"]] = event["config"]
            elif event["event"] == "ended":
                self._leave(event["trial"], event["state"])

    def fold(self, event: Mapping[str, Any]) -> None:
        """One event of the journal."""
        self.bill.fold(event)
        kind, trial = event["event"], event.get("trial", "")
        if kind == "suggested":
            self.configs[trial] = event["config"]
        elif kind == "reported":
            value = event["metrics"].get(self.sweep.metrics[0])
            self.iterations[trial] = event["iteration"]
            if isinstance(value, int | float) and math.isfinite(value):
                self.last[trial] = float(value)
        elif kind == "copied":
            self.configs[trial] = event["config"]
            self._say(f"{trial}  [cyan]copies [/]  {event['donor']} as of {event['donor_iteration']}")
        elif kind == "failed":
            self._say(f"{trial}  [red]crashed[/]  tried again: {_last(event['error'])}")
        elif kind == "moved":
            where = f"its node is taken away; goes on from {event['iteration']} it"
            self._say(f"{trial}  [cyan]moves  [/]  {where}")
        elif kind == "ended":
            self._ended(trial, event["state"], event.get("reason"))

    def _ended(self, trial: str, state: str, reason: str | None) -> None:
        self.ended_now += 1
        self.ends = [*self.ends[:1], time.monotonic()]
        value, iterations, config, best = self._leave(trial, state)
        if state == "failed":
            self._failure(trial, reason or "without a reason")
            return
        star = " [bold]best[/]" if best else " " * 5
        shown = f"{self.sweep.metrics[0]} {value:<8.5g}" if value is not None else ""
        words = self._words(config, SHOWN)
        self._say(f"{trial}  {MARKS[state]}  {iterations:>4} it  {shown}{star}  [dim]{words}[/]")

    def _words(self, config: Mapping[str, Any], most: int | None = None) -> str:
        """The searched values, the first so many of them."""
        words = [f"{name}={_short(value)}" for name, value in _leaves(config) if name in self.searched]
        left = len(words) - most if most is not None else 0
        return " ".join(words[:most] + ([f"[dim]and {left} more[/]"] if left > 0 else []))

    def _leave(self, trial: str, state: str) -> tuple[float | None, int, Mapping[str, Any], bool]:
        """A trial's value, iterations and configuration, and whether it is the best now; it is forgotten."""
        value, iterations = self.last.pop(trial, None), self.iterations.pop(trial, 0)
        best = state != "failed" and value is not None and self._better(state == "completed", value)
        if best and value is not None:
            self.best = (state == "completed", value, trial)
        return value, iterations, self.configs.pop(trial, {}), best

    def _failure(self, trial: str, reason: str) -> None:
        """The first of its kind with its last lines, the others counted."""
        short = _last(reason)
        self.faults[short] = count = self.faults.get(short, 0) + 1
        if count > 1:
            self._say(f"{trial}  {MARKS['failed']}  the same, {count} times now: {_escape(short)}")
            return
        self._say(f"{trial}  {MARKS['failed']}  {_escape(short)}")
        for line in reason.splitlines()[:-1][-8:]:
            self._say(f"         [dim]{_escape(line)}[/]")

    def _better(self, completed: bool, value: float) -> bool:
        """As `sweeps.results` judges: a trial that completed is before any that was stopped."""
        sign = 1.0 if self.sweep.modes[0] == "max" else -1.0
        return self.best is None or (completed, sign * value) > (self.best[0], sign * self.best[1])

    # -- progress ----------------------------------------------------------------------------------

    def starting(self, extended: int = 0) -> None:
        """Before Ray starts; `extended` trials were added to those that the sweep's file asks for."""
        sweep = self.sweep
        workers = f"{sweep.ranks} rank{'s' * (sweep.ranks > 1)} a trial, {sweep.cpus_per_rank:g} CPU"
        workers += f" and {sweep.gpus_per_rank:g} GPU each" if sweep.gpus_per_rank else " each"
        trials = f"{sweep.trials + extended} trials" if sweep.trials else "every point of the grid"
        search, scheduler = sweep.search_choice[0], sweep.scheduler_choice[0]
        self._say(f"[bold]{sweep.name}[/]  {trials}, {search} search, {scheduler} scheduler, {workers}")
        self._say(f"[dim]results in {self.where}; starting Ray ...[/]")

    def tick(self, now: float, conductor: "Conductor") -> None:
        """Redraw the progress line if it is time."""
        if self.terminal.quiet or now - self.drawn < (REDRAW_S if self.terminal.is_terminal else REPEAT_S):
            return
        self.drawn = now
        line = self._progress(now, conductor)
        if not self.terminal.is_terminal:
            self._say(line)
            return
        if self.live is None:
            self.live = Live(console=self.terminal, auto_refresh=False, transient=True)
            self.live.start()
        self.live.update(Text.from_markup(line), refresh=True)

    def _progress(self, now: float, conductor: "Conductor") -> str:
        states, total = conductor.history.states, conductor.trials
        done = sum(states.values())
        words = [f"{done}/{total if total is not None else '?'} trials"]
        running = len(conductor.history.unfinished)
        words += [f"{running} under way"] if running else []
        words += [f"[red]{states['failed']} failed[/]"] if states.get("failed") else []
        if self.best:
            words.append(f"best {self.sweep.metrics[0]} {self.best[1]:.5g} ({self.best[2]})")
        if self.bill.known:
            words.append(f"${self.bill.total(time.time()):.2f}")
        if total is not None and self.ended_now > 1:  # the first took longer: processes had to start
            each_s = (self.ends[-1] - self.ends[0]) / (self.ended_now - 1)
            words.append(f"{span(each_s * (total - done))} left")
        return f"[dim]{span(now - self.started)}[/]  " + "  ".join(words)

    def interrupted(self) -> None:
        """Ctrl-C was seen."""
        self._say("stopping; what was reported is kept (Ctrl-C again: at once)")

    def warn(self, text: str) -> None:
        """Something that does not end the sweep."""
        self._say(f"[yellow]note[/]  {_escape(text)}")

    def page(self, url: str) -> None:
        """Where the sweep is seen in a browser."""
        self._say(f"[dim]on W&B:[/] {_escape(url)}")

    def hint(self, command: str | None) -> None:
        """A further command to type, for the end."""
        if command:
            self.hints.append(command)

    def close(self) -> None:
        """Take the progress line away, however the run ends."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def ended(self, outcome: "Outcome") -> None:
        """The last words: how it ended, the best, and what to type next."""
        self.close()
        results = outcome.results
        counts = ", ".join(f"{n} {state}" for state, n in results.status().items() if n)
        counts += f", ${cost['total']:.2f}" if (cost := results.dollars) is not None else ""
        self._say(f"[bold]{ENDS[outcome.why]}[/] after {span(time.monotonic() - self.started)}: {counts}")
        if outcome.fault:
            self._say(f"[red]{_escape(outcome.fault)}[/]")
        best = results.best
        if best is not None and best.value is not None and best.state != "failed":
            words = self._words(best.config)
            self._say(f"best {self.sweep.metrics[0]} [bold]{best.value:.5g}[/] by {best.id}: {words}")
        if outcome.why in ("finished", "target"):
            self._say(f"next: [bold]starling best {_escape(shlex.quote(self.where))}[/]")
        elif outcome.why != "metric":
            self._say(f"next: [bold]{_escape(resume_command(outcome.why, self.where))}[/]")
        for command in self.hints:
            self._say(f"      [bold]{_escape(command)}[/]")

    def _say(self, markup: str) -> None:
        self.terminal.print(markup, soft_wrap=True)


SHOWN = 10
"""Hyperparameters in the line of an ended trial at most."""

ENDS = {
    "finished": "finished",
    "interrupted": "interrupted",
    "failures": "stopped: too many trials failed",
    "metric": "stopped: the metric is not reported",
    "target": "finished: the target is reached",
    "time_budget": "stopped: the time budget is used up",
    "max_cost": "stopped: the money is used up",
    "stopped": "stopped",
}
"""Why a sweep was closed, in words."""

MORE = {"time_budget": " --time-budget TIME", "max_cost": " --max-cost DOLLARS"}
"""What a resume needs after that."""


def resume_command(why: str, where: str) -> str:
    """What to type to go on with a sweep that was closed for that reason."""
    return f"starling resume {shlex.quote(where)}{MORE.get(why, '')}"


def _leaves(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in config.items():
        found += (
            _leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
        )
    return found


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else _escape(str(value))


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _escape(text: str) -> str:
    return text.replace("[", "\\[")


def span(seconds: float) -> str:
    """A span of time in two units at most: `42s`, `3m10s`, `2h05m`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
