"""One sweep as data: what is trained, searched, stopped, where it runs and what it costs.

    Sweep(trainable="classify", space={"lr": tune.loguniform(1e-4, 1.0)}, metric="val_accuracy", mode="max",
          search="tpe", scheduler="asha", trials=32).run()

A `Sweep` is checked when it is made: every mistake at once, each naming its key (`SpecError.problems`). What
depends on the machine (free CPUs, a writable storage, data files) is checked before a run by
`sweeps.checks.preflight`. The YAML form is in `sweeps.files.sweep_file`.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeps.files import options
from sweeps.spelling import allowed

if TYPE_CHECKING:
    from search_algs.ask_tell import AskTell
    from search_algs.space import Space
    from sweeps.results import Results
    from trainables import Program


class SpecError(ValueError):
    """A sweep that cannot be run as written: `problems` has a sentence for each mistake, the text all."""

    def __init__(self, problems: Sequence[str], title: str = "this sweep cannot be run as written") -> None:
        self.problems = list(problems)
        super().__init__(f"{title}:\n" + "\n".join(f"  {problem}" for problem in self.problems))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """One sweep. Every field is a keyword; `None` means absent.

    Raises:
        SpecError: Anything wrong, with every problem at once.
    """

    trainable: str | Mapping[str, Any] | type | Callable[..., Any] | Program | None
    """What one trial trains: a name (`"classify"`), `"my_file:MyTask"`, `"path/my_file.py:MyTask"`, a Task
    class, a plain function `train(config)`, or a script: `{"program": "train.py", "command": [...], "folder":
    DIR}` (W&B's `program` and `command`). None: not named yet; such a sweep can be checked, not run."""

    space: Mapping[str, Any]
    """What is searched: a Ray Tune `param_space` (nested dict of `tune.uniform(...)` and so on, constants
    allowed), with the distributions and the `when(...)` of `search_algs.space`."""

    constraints: Sequence[str] = ()
    """What every configuration must obey, for example `"batch_size * accumulate <= 1024"`."""

    metric: str | Sequence[str] | None = None
    """The reported value to improve; several for a multi-objective search. None: the trainable's own."""

    mode: str | Sequence[str] | None = None
    """`"min"` or `"max"`, one for each metric. None: the trainable's own for its default metric."""

    target: float | None = None
    """The sweep starts no further trial once a trial's metric is this good; None: no such end."""

    search: str | Mapping[str, Any] | AskTell = "random"
    """Which configurations to try: `"tpe"`, `"tpe:n_startup_trials=20"`, `{"name": "tpe", "n_startup_trials":
    20}`, or an algorithm object of yours (which cannot be resumed from its file)."""

    scheduler: str | Mapping[str, Any] = "fifo"
    """Which trials to stop early or to copy: `"asha"`, `"asha:max_t=27,grace_period=1"`, `{"name": "pbt",
    ...}`."""

    stop_on: str | Sequence[str] = ()
    """What ends a trial beside its scheduler: labels of `sweeps.diagnosis`, as `"diverged,overfit"`."""

    trials: int | None = None
    """How many trials. None: every point of the grid, for `search="grid"` only."""

    max_iterations: int | None = None
    """Reports of a fully trained trial; a trial ends there. None: the trainable ends by itself."""

    ranks: int = 1
    """Processes that train one trial together (DDP)."""

    cpus_per_rank: float = 1
    """CPU cores of a rank."""

    gpus_per_rank: float = 0
    """GPUs of a rank: whole ones, or with one rank a fraction, so that trials share a device."""

    max_concurrent: int | None = None
    """Trials at a time; None: as many as fit."""

    time_budget: float | str | None = None
    """Wall-clock time after which no trial goes on: seconds, or `"2h"`, `"90m"`. It is that of the sweep: a
    resume has what is left of it."""

    max_cost: float | None = None
    """Dollars after which no trial goes on, those of boot and idle time included: of the sweep, as
    `time_budget`. It needs the cluster's YAML and prices. None: no such end."""

    max_failures: int | None = None
    """Trials that may fail before the sweep stops; None: all of them."""

    retries: int = 0
    """How often one trial starts again (from its last checkpoint) after it crashed."""

    storage: str = "results"
    """Where sweeps are kept: a folder, or any URI of `store.storage`. The sweep gets a folder in it."""

    name: str | None = None
    """The sweep's folder in `storage`; None: made from the trainable and the time."""

    seed: int = 0
    """Of the search, the scheduler and (as `seed` of each trial, where it has one) the training."""

    wandb: str | None = None
    """Weights & Biases project (`project` or `entity/project`) that every trial is logged to; None: none."""

    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Values given to every trial beside the searched ones (dotted names reach into nested ones)."""

    address: str | None = None
    """A running Ray cluster (`"auto"`, `"ray://host:10001"`); None: one of its own on this machine."""

    cluster: str | None = None
    """The cluster's YAML, which says how large it becomes. None: the one that `ray up` left on its head, else
    nothing beyond the nodes that are up."""

    prices: str | None = None
    """A file of prices that go before those of `cluster/prices.csv`, in its columns."""

    warm_start: Sequence[str] = ()
    """Folders of earlier sweeps that the search learns from (`sweeps.loop.warm_start` says how)."""

    quiet: bool = False
    """Print nothing but errors."""

    _program: Any = field(default=None, init=False, repr=False, compare=False)
    _warnings: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        from sweeps.checks import validation  # the checks know this class

        problems, filled = validation.examine(self)
        if problems:
            raise SpecError(problems)
        for key, value in filled.items():
            object.__setattr__(self, key, value)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the file it was read from says that has no effect, or another than its author may expect."""
        return self._warnings

    # -- what the fields mean ----------------------------------------------------------------------

    @property
    def metrics(self) -> tuple[str, ...]:
        """The objectives' names; empty for a sweep without a metric."""
        return _as_tuple(self.metric)

    @property
    def modes(self) -> tuple[str, ...]:
        """`"min"` or `"max"` for each of `metrics`."""
        return _as_tuple(self.mode)

    @property
    def search_choice(self) -> tuple[str, dict[str, Any]]:
        """Name and given parameters of the search algorithm; an object of yours is called by its class."""
        if isinstance(self.search, str | Mapping):
            return options.named(self.search)
        return type(self.search).__name__, {}

    @property
    def scheduler_choice(self) -> tuple[str, dict[str, Any]]:
        """Name and given parameters of the scheduler."""
        return options.named(self.scheduler)

    @property
    def bundle(self) -> dict[str, float]:
        """Resources of one rank, as Ray names them."""
        return {"CPU": self.cpus_per_rank, "GPU": self.gpus_per_rank}

    @property
    def time_budget_s(self) -> float | None:
        """`time_budget` in seconds."""
        return None if self.time_budget is None else options.seconds(self.time_budget)

    @property
    def param_space(self) -> dict[str, Any]:
        """`space` with `fixed` as its constants, nested: what a trial's configuration is made from."""
        merged = _nested_copy(self.space)
        for name, value in self.fixed.items():
            put(merged, name, value)
        return merged

    def search_space(self) -> Space:
        """The space that is searched, fixed values included as constants."""
        from search_algs.space import Space

        return Space(self.param_space, self.constraints)

    def program(self) -> Program | None:
        """What runs a trial; None where `trainable` is not named yet.

        Raises:
            ValueError: No such trainable; names the nearest.
        """
        if self._program is None and self.trainable is not None:
            from sweeps.files.trainable_reference import load_program

            object.__setattr__(self, "_program", load_program(self.trainable))
        return self._program

    def to_yaml(self) -> str:
        """The sweep in the YAML of `sweeps.files.sweep_file`."""
        from sweeps.files.sweep_file import dump

        return dump(self)

    @classmethod
    def from_yaml(cls, text: str) -> Sweep:
        """The sweep that `to_yaml` wrote.

        Raises:
            SpecError: It holds what no file can; names it.
        """
        from sweeps.files.sweep_file import parse

        return parse(text)

    # -- checking, changing, running ---------------------------------------------------------------

    def problems(self) -> list[str]:
        """What keeps this sweep from running on this machine, a sentence each; empty if nothing does."""
        from sweeps.checks.preflight import preflight

        return preflight(self)

    def override(self, *, set: Mapping[str, Any] | None = None, **fields: Any) -> Sweep:
        """This sweep with some fields replaced.

        Args:
            set: Values of the trainable's hyperparameters by dotted name. A searched parameter is no longer
                searched (what is conditional on it follows), any other joins `fixed`.
            fields: New values of `Sweep`'s fields; those that are None are left as they are.

        Raises:
            SpecError: An unknown field, or a sweep that cannot be run with these values.
        """
        known = [f.name for f in dataclasses.fields(self) if f.init]
        unknown = [
            f"{key}: a sweep has no such field; {allowed(key, known)}" for key in fields if key not in known
        ]
        if unknown:
            raise SpecError(unknown)
        changes = {key: value for key, value in fields.items() if value is not None}
        if set:
            from sweeps.files.pinning import pinned

            space, fixed = pinned(changes.get("space", self.space), changes.get("fixed", self.fixed), set)
            changes |= {"space": space, "fixed": fixed}
        if not changes:
            return self
        changed = dataclasses.replace(self, **changes)
        object.__setattr__(changed, "_warnings", self._warnings)
        return changed

    def run(self) -> Results:
        """Run the sweep to its end.

        Raises:
            SpecError: It cannot run here; nothing was started.
        """
        from sweeps.files.python_file import caught

        caught(self)
        from sweeps.run import run

        return run(self)

    def main(self, argv: Sequence[str] | None = None) -> None:
        """Run this sweep with the options of `starling run`, then exit with its code.

        A recipe ends in `if __name__ == "__main__": sweep.main()`, so that `python FILE --trials 8` does what
        `starling run FILE --trials 8` does.
        """
        from sweeps import cli
        from sweeps.files.python_file import caught

        caught(self)
        given = sys.argv[1:] if argv is None else list(argv)
        raise SystemExit(cli.main(["run", sys.argv[0], *given], sweep=self))


def _as_tuple(given: str | Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def put(config: dict[str, Any], name: str, value: Any) -> None:
    """Set `config["a"]["b"]` for the name `a.b`, making what is missing on the way.

    Raises:
        ValueError: Something on the way is no mapping.
    """
    *parents, last = name.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
        if not isinstance(config, dict):
            raise ValueError(f"{name}: {parent!r} is a parameter of its own, not a group of them.")
    config[last] = value


def _nested_copy(space: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _nested_copy(value) if isinstance(value, Mapping) else value for key, value in space.items()}
