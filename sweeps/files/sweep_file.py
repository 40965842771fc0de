"""A sweep from a file and back: our YAML, a W&B sweep YAML, or a Python recipe that defines a `Sweep`.

Our YAML has the fields of `Sweep` as its keys, with the space in the notation of `sweeps.files.space_yaml`:

    trainable: classify
    space:
      lr: {distribution: log_uniform_values, min: 1e-4, max: 1.0}
    metric: val_accuracy
    mode: max
    trials: 32

`parameters` may stand for `space`, and `program` with `command` for `trainable`, as in W&B's files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweeps import recipes
from sweeps.checks import validation
from sweeps.files import options
from sweeps.files.pinning import pinned
from sweeps.files.python_file import from_python
from sweeps.files.space_yaml import read_space, write_space
from sweeps.files.trainable_reference import load_program, reference
from sweeps.spec import SpecError, Sweep
from sweeps.spelling import allowed, nearest

KEYS = {f.name for f in dataclasses.fields(Sweep) if f.init} | {"parameters", "program", "command"}
"""The keys of our YAML."""


def load(
    path: str | Path, overrides: Mapping[str, Any] | None = None, pins: Mapping[str, Any] | None = None
) -> Sweep:
    """The sweep that a file defines.

    Args:
        path: `.py`, or anything else for YAML (JSON is YAML).
        overrides: New values of `Sweep`'s fields; those that are None are left as the file says.
        pins: Values of the trainable's hyperparameters by dotted name (`--set key=value`), as in
            `Sweep.override`.

    Raises:
        SpecError: With every problem at once; nothing was started.
    """
    path = Path(path)
    changes = {key: value for key, value in (overrides or {}).items() if value is not None}
    if path.is_dir() or not path.exists():
        raise SpecError([_absent(path)])
    if path.suffix == ".py":
        return from_python(path).override(set=pins, **changes)
    try:
        text = path.read_text()
    except UnicodeDecodeError as error:
        raise SpecError([f"{path}: is no text. Give a .py or .yaml file."]) from error
    return loads(text, path.parent, changes, pins, title=f"{path} cannot be run as written")


def _absent(path: Path) -> str:
    """What is said of a file that is not there: the one meant may lie beside it, or be a recipe of ours."""
    what = "is a folder, not a file" if path.is_dir() else "does not exist"
    siblings = [p.name for p in path.parent.glob("*") if p.suffix in (".py", ".yaml", ".yml")]
    if near := nearest(path.name, siblings):
        return f"{path}: {what}. Did you mean {path.with_name(near)}?"
    recipe = Path(recipes.__file__).with_name(path.name)
    if recipe.is_file() and recipe.name != "__init__.py":
        return f"{path}: {what}. Did you mean {recipe}?"
    return f"{path}: {what}. Give a .py or .yaml file."


def loads(
    text: str,
    folder: Path,
    overrides: Mapping[str, Any] | None = None,
    pins: Mapping[str, Any] | None = None,
    title: str = "this sweep cannot be run as written",
) -> Sweep:
    """The sweep of a YAML text, its scripts and modules looked for in `folder`; otherwise as `load`."""
    from sweeps.files import wandb_yaml

    try:
        config = options.read_yaml(text)
    except ValueError as error:
        raise SpecError([str(error)], title) from error
    if not isinstance(config, Mapping):
        raise SpecError([f"the file holds {config!r}; it must map keys such as `space` to values."], title)
    warnings: list[str] = []
    if wandb_yaml.is_wandb(config):
        translation = wandb_yaml.translate(config, folder)
        fields, problems, warnings = translation.fields, translation.problems, translation.warnings
    else:
        fields, problems = _own_fields(config, folder)
    fields |= overrides or {}
    if pins:
        space, fixed = fields.get("space", {}), fields.get("fixed", {})
        if isinstance(space, Mapping) and isinstance(fixed, Mapping):
            fields["space"], fields["fixed"] = pinned(space, fixed, pins)
    if overrides:  # what was filled in for want of a value is settled
        warnings = [w for w in warnings if not _settled(w, overrides)]
    sweep = _make(fields, problems, title)
    object.__setattr__(sweep, "_warnings", tuple(warnings))
    return sweep


def _settled(warning: str, overrides: Mapping[str, Any]) -> bool:
    return any(
        warning.startswith(key + ":") and field in overrides
        for key, field in (("run_cap", "trials"), ("program", "trainable"))
    )


def _own_fields(config: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    problems = [
        f"{key}: there is no such key; {allowed(str(key), sorted(KEYS))}"
        for key in config
        if key not in {*KEYS, "cannot_resume"}
    ]
    problems += [f"cannot_resume: {reason}" for reason in config.get("cannot_resume", ())]
    fields = {key: value for key, value in config.items() if key in KEYS}
    if "space" in fields and "parameters" in fields:
        problems.append("parameters: cannot stand beside `space`; they are two names for one thing.")
    space = fields.pop("parameters", None)
    space = fields.pop("space", space)
    if space is None:
        problems.append("space: is missing; say what each parameter may be.")
    else:
        before = len(problems)
        fields["space"] = read_space(space, problems) if space != {} else {}
        if len(problems) > before:  # what else is said of parameters cannot be judged
            fields = {key: value for key, value in fields.items() if key not in ("space", "constraints")}
    script = {key: fields.pop(key) for key in ("program", "command") if key in fields}
    if script and fields.get("trainable") is not None:
        problems.append(f"{next(iter(script))}: cannot stand beside `trainable`; keep one of them.")
    elif script:
        fields["trainable"] = script | {"folder": str(folder.absolute())}
    fields.setdefault("trainable", None)
    if isinstance(fields["trainable"], str):
        fields["trainable"] = _beside(fields["trainable"], folder)
    return fields, problems


def _beside(trainable: str, folder: Path) -> str:
    """`my_file:MyTask` as `/where/the/yaml/is/my_file.py:MyTask` if that file is there, else unchanged."""
    module, colon, name = trainable.rpartition(":")
    candidate = folder / (module if module.endswith(".py") else module.replace(".", "/") + ".py")
    return f"{candidate.absolute()}:{name}" if colon and module and candidate.is_file() else trainable


def _make(fields: dict[str, Any], problems: list[str], title: str) -> Sweep:
    """The sweep of these fields, or `problems` together with those of the fields that could be read."""
    if not problems:
        try:
            return Sweep(**fields)
        except SpecError as error:
            raise SpecError(error.problems, title) from None
    draft = _Draft({"space": {}, "trainable": None} | fields)
    try:
        more = validation.examine(draft)[0]
    except (TypeError, AttributeError):  # a field of the wrong type may mislead the checks of others
        more = []
    said = {_key(problem) for problem in problems}
    raise SpecError(problems + [p for p in more if _key(p) not in said and p not in problems], title)


def _key(problem: str) -> str:
    """The top-level key that a problem is about."""
    key = problem.partition(":")[0].partition(".")[0]
    return {"parameters": "space"}.get(key, key)


class _Draft:
    """Fields that are no sweep yet, seen by `validation.examine` as one."""

    trainable: Any

    def __init__(self, fields: Mapping[str, Any]) -> None:
        fields_of = dataclasses.fields(Sweep)
        defaults = {f.name: f.default for f in fields_of if f.default is not dataclasses.MISSING}
        self.__dict__.update(defaults | {"fixed": {}} | dict(fields))

    param_space = Sweep.param_space
    metrics = Sweep.metrics
    search_space = Sweep.search_space

    def program(self) -> Any:
        return None if self.trainable is None else load_program(self.trainable)


# -- writing ---------------------------------------------------------------------------------------


def dump(sweep: Sweep) -> str:
    """The sweep in our YAML: what `resume` starts from. `loads(dump(sweep), ...)` gives an equal sweep.

    Where something cannot be found again from a file (a lambda, a search object of the user's), the key
    `cannot_resume` says so, and `loads` refuses with its reasons.
    """
    written, lost = _written(sweep)
    return options.write_yaml(({"cannot_resume": lost} if lost else {}) | written)


def lost(sweep: Sweep) -> list[str]:
    """Why the sweep cannot be resumed from its file, a reason each; empty if it can."""
    return _written(sweep)[1]


def _written(sweep: Sweep) -> tuple[dict[str, Any], list[str]]:
    """The fields as plain values, and what no file can hold of them."""
    lost: list[str] = []
    fields = {f.name: getattr(sweep, f.name) for f in dataclasses.fields(sweep) if f.init}
    fields["trainable"] = _kept(lost, "trainable", lambda: reference(sweep.trainable), sweep.trainable)
    fields["space"] = _kept(lost, "space", lambda: _plain_yaml(write_space(sweep.space)), sweep.space)
    fields["fixed"] = _kept(lost, "fixed", lambda: _plain_yaml(dict(sweep.fixed)), sweep.fixed)
    if not isinstance(sweep.search, str | Mapping):
        lost.append(
            f"its search is an object ({sweep.search!r}), not a name; only a named search can be resumed"
        )
        fields["search"] = repr(sweep.search)
    written = {
        key: value
        for key, value in fields.items()
        if (value is not None and value not in ((), [], {})) or key == "space"
    }
    return written, lost


def parse(text: str) -> Sweep:
    """The sweep that `dump` wrote. As `loads` otherwise; nothing in it is relative to a folder."""
    return loads(text, Path.cwd())


def _kept(lost: list[str], key: str, attempt: Callable[[], Any], value: Any) -> Any:
    try:
        return attempt()
    except ValueError as error:
        lost.append(f"{key}: {error}")
        return repr(value)


def _plain_yaml(value: dict[str, Any]) -> dict[str, Any]:
    import yaml

    try:
        options.write_yaml(value)
    except yaml.YAMLError as error:
        raise ValueError(
            f"it holds an object that no file can: {error}; use numbers, texts, lists and dicts"
        ) from error
    return value
