"""A W&B sweep configuration as a sweep of ours, unchanged:
https://docs.wandb.ai/models/sweeps/sweep-config-keys.

What each key becomes, beside the obvious:

| W&B                   | here                                                                     |
|-----------------------|--------------------------------------------------------------------------|
| `method: bayes`       | `METHODS["bayes"]`                                                       |
| `method: custom`      | W&B leaves it to a program of the user's; here as bayes, or nsga2 for    |
|                       | several `metrics`                                                        |
| `method: grid`        | every point once, names sorted, the last fastest; `q_uniform` is         |
|                       | `arange(min, max, q)`; probabilities do not matter                       |
| no `run_cap`          | the whole grid; else `UNCAPPED` trials, where W&B would go on for ever   |
| `metric.target`       | no further trial starts once one is this good                            |
| `metric.impute`       | accepted, without effect: a crashed trial is lost to the search          |
| `program`, `command`  | the script runs as a trial (`trainables.program.script`); without        |
|                       | either, a run needs --trainable                                          |
| `project`, `entity`   | trials are logged to that project (`Sweep.wandb`)                        |
| `name`                | the sweep's name with the time: W&B lets two sweeps have one name        |
| `early_terminate`     | asha, see below                                                          |
| `scheduler`           | W&B would run its program; here `method` searches `parameters`           |
| `controller`, `kind`, `apiVersion`, `description`, `job`, `image_uri` | accepted, without effect |

W&B's `hyperband` is asynchronous: whenever a run logs the metric, W&B looks at the last band (row number)
that it has passed, and stops it unless its best value so far is among the best 1/eta of the values that all
runs had there. That is asynchronous successive halving (Li et al. 2018, arXiv:1810.05934), so it becomes
`asha` with one bracket: `min_iter` gives the rungs min_iter * eta^k without end; `max_iter` and `s` the rungs
max_iter / eta^k for k = 1..s, and a trial that reaches max_iter is complete. Departures: a trial is judged
once at each rung, by its value there, against the trials that came before; rungs below 1 are left out;
`strict` has no effect, as asha always is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, FiniteFloat, model_validator
from ray import tune

from sweeps.files.distribution_shapes import DEPRECATED, Distribution, Kind, Stepped, Weighted
from sweeps.files.shapes import Shape, read
from sweeps.files.space_yaml import read_space
from sweeps.spelling import slug

METHODS = {"bayes": "tpe", "random": "random", "grid": "grid", "custom": "tpe"}
"""Our search algorithm for each of W&B's methods."""

UNCAPPED = 100
"""Trials of a sweep without `run_cap`, where W&B would not stop."""

ENDLESS = 10**9
"""`max_t` of asha where the trial ends by itself: no trial gets there."""

Aggregate = Literal["latest", "best", "worst"]


class Metric(Shape):
    """`metric`, and each entry of `metrics`."""

    name: str
    goal: Literal["minimize", "maximize"] = "minimize"
    target: FiniteFloat | None = None
    impute: Aggregate | None = None
    impute_while_running: Literal["latest", "best", "worst", "false"] | None = None


class Hyperband(Shape):
    """`early_terminate`."""

    type: Literal["hyperband"]
    min_iter: int | None = Field(default=None, ge=1)
    max_iter: int | None = Field(default=None, ge=1)
    s: FiniteFloat | None = None
    eta: FiniteFloat = Field(default=3, gt=1)
    strict: bool = True

    @model_validator(mode="after")
    def _bands(self) -> Hyperband:
        if self.min_iter is None and (self.max_iter is None or self.s is None):
            raise ValueError("give `min_iter`, or `max_iter` together with `s`.")
        if self.min_iter is None and not self.rungs():
            raise ValueError(f"max_iter {self.max_iter} and s {self.s} leave no band above 0; raise one.")
        return self

    def rungs(self) -> list[int]:
        """The bands of the form with `max_iter`, ascending."""
        assert self.max_iter is not None
        assert self.s is not None
        found = [int(self.max_iter / self.eta**k) for k in range(1, int(self.s) + 1)]
        return sorted(band for band in found if band >= 1)

    def asha(self) -> dict[str, Any]:
        """The same as parameters of `asha`."""
        if self.max_iter is not None and self.s is not None:
            first, end = self.rungs()[0], self.max_iter
        else:
            first, end = self.min_iter or 1, ENDLESS
        return {"name": "asha", "grace_period": first, "reduction_factor": self.eta, "max_t": end}


class Controller(Shape):
    """`controller`: W&B's, which may hold more than the type."""

    model_config = Shape.model_config | {"extra": "ignore"}

    type: Literal["local", "cloud"]


class Scheduler(Shape):
    """`scheduler`: a program that W&B runs to choose the next configurations."""

    engine: Literal["wandb"]
    source: str | None = None
    optimizer: str | None = None
    search_space: str | None = None


class Config(Shape):
    """The top level; `parameters` is read by `sweeps.files.space_yaml`."""

    method: Literal["bayes", "random", "grid", "custom"]
    parameters: Any = None
    metric: Metric | None = None
    metrics: list[Metric] | None = Field(default=None, min_length=2)
    run_cap: int | None = Field(default=None, gt=0)
    early_terminate: Hyperband | None = None
    program: str | None = None
    command: list[Any] | None = None
    project: str | None = None
    entity: str | None = None
    name: str | None = None
    description: str | None = None
    scheduler: Scheduler | None = None
    controller: Controller | None = None
    job: str | None = None
    image_uri: str | None = None
    apiVersion: str | None = None
    kind: Literal["sweep"] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Translation:
    """What a W&B configuration says, as fields of `Sweep`."""

    fields: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def is_wandb(config: Mapping[str, Any]) -> bool:
    """Whether a mapping is written in W&B's way, not in ours: it has a `method`, or no key but W&B's."""
    from sweeps.files.sweep_file import KEYS

    return "method" in config or (
        "parameters" in config and not set(config) & (KEYS - set(Config.model_fields))
    )


def translate(config: Mapping[str, Any], folder: Path) -> Translation:
    """A W&B sweep configuration as fields of `Sweep`, with every problem and warning.

    Args:
        folder: Where the file lies; its `program` is found, and runs, there.
    """
    found = Translation()
    problems = found.problems
    shape = read(Config, dict(config), "", problems)
    grid = config.get("method") == "grid"
    parameters = config.get("parameters")
    if parameters is not None:
        build = _grid_domain if grid else _domain
        known = dict(sorted(parameters.items())) if grid and isinstance(parameters, Mapping) else parameters
        found.fields["space"] = read_space(known, problems, ours=False, build=build)
        found.warnings.extend(_deprecated(parameters))
    if shape is None:
        found.fields.setdefault("trials", UNCAPPED)  # so that nothing is said of what could not be read
        return found
    problems += _rules(shape, parameters)
    _fill(found, shape, folder)
    return found


def _rules(config: Config, parameters: Any) -> list[str]:
    """What W&B's own validation asks for beyond the shape."""
    problems = []
    scheduler = config.scheduler
    if parameters is None and not (scheduler and scheduler.search_space):
        problems.append("parameters: is missing; name at least one parameter and what it may be.")
    if config.metric and config.metrics:
        problems.append("metrics: cannot stand beside `metric`; keep one of them.")
    if config.metrics and config.method != "custom":
        problems.append(f"metrics: several objectives need `method: custom`, and it is {config.method}.")
    if config.early_terminate and not config.metric:
        problems.append("early_terminate: needs `metric`, by which runs are compared.")
    if scheduler:
        for key in ("optimizer", "search_space"):
            if getattr(scheduler, key) is not None and scheduler.source is None:
                problems.append(f"scheduler.{key}: needs `scheduler.source`, the file that defines it.")
        if config.method == "custom":
            problems.append(
                "scheduler: its engine wandb does not go with `method: custom`; use bayes, random or grid."
            )
        if config.early_terminate:
            problems.append("early_terminate: cannot stand beside `scheduler`, which decides that itself.")
        if config.controller and config.controller.type == "local":
            problems.append("controller: `type: local` cannot stand beside `scheduler`; remove one of them.")
    return problems


def _fill(found: Translation, config: Config, folder: Path) -> None:
    fields, warnings = found.fields, found.warnings
    fields.setdefault("space", {})
    metrics = config.metrics or ([config.metric] if config.metric else [])
    goals = {"minimize": "min", "maximize": "max"}
    if len(metrics) == 1:
        fields |= {"metric": metrics[0].name, "mode": goals[metrics[0].goal], "target": metrics[0].target}
    elif metrics:
        fields |= {"metric": [m.name for m in metrics], "mode": [goals[m.goal] for m in metrics]}
    fields["search"] = "nsga2" if config.metrics else METHODS[config.method]
    if config.early_terminate:
        fields["scheduler"] = config.early_terminate.asha()
    fields["trials"] = config.run_cap
    if config.run_cap is None and config.method != "grid":
        fields["trials"] = UNCAPPED
        warnings.append(
            f"run_cap: is absent, so that W&B would go on for ever; here {UNCAPPED} trials (--trials N)."
        )
    if config.program or config.command:
        script = {"program": config.program, "command": config.command, "folder": str(folder.absolute())}
        fields["trainable"] = {key: value for key, value in script.items() if value is not None}
    else:
        fields["trainable"] = None
        warnings.append(
            "program: is absent; to run this sweep, add `program: train.py` or give --trainable NAME."
        )
    if config.project:
        fields["wandb"] = f"{config.entity}/{config.project}" if config.entity else config.project
    if config.name and slug(config.name):
        fields["name"] = f"{slug(config.name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    if any(m.impute or m.impute_while_running for m in metrics):
        warnings.append("metric.impute: has no effect; a crashed trial is lost to the search, not imputed.")
    if config.scheduler and (config.scheduler.source or config.scheduler.search_space):
        warnings.append(
            f"scheduler: W&B's scheduler programs are not run here; {fields['search']} searches instead."
        )
    for key in ("job", "image_uri"):
        if getattr(config, key):
            warnings.append(f"{key}: W&B Launch is not used here.")


def _domain(kind: Kind, described: Distribution) -> Any:
    return kind.domain(described)


def _grid_domain(kind: Kind, described: Distribution) -> Any:
    """A parameter of a W&B grid: its values as W&B's `grid_search.py` lists them."""
    if described.distribution == "q_uniform":
        assert isinstance(described, Stepped)
        return tune.choice(np.arange(described.min, described.max, described.q).tolist())  # type: ignore[attr-defined]
    if isinstance(described, Weighted):
        return tune.choice(described.values)
    return kind.domain(described)


def _deprecated(parameters: Any, where: str = "") -> list[str]:
    found = []
    for name, given in parameters.items() if isinstance(parameters, Mapping) else ():
        if not isinstance(given, Mapping):
            continue
        old = given.get("distribution")
        if isinstance(old, str) and old in DEPRECATED:
            found.append(
                f"{where}{name}: {old} takes min and max as exponents of e; W&B advises "
                f"{DEPRECATED[old]}, which takes the values themselves."
            )
        found += _deprecated(given.get("parameters"), f"{where}{name}.")
    return found
