"""From what a user names to something that Tune can run: `load`, `names`, `register`, `Program`."""

from __future__ import annotations

import abc
import copyreg
import difflib
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from trainables.engine import hparams
from trainables.engine.hparams import Hyperparameter
from trainables.engine.task import Task

ENTRY_POINTS = "starling.trainables"
_registered: dict[str, Any] = {}
T = TypeVar("T")


class Program(abc.ABC):
    """What a sweep runs many times: knows its hyperparameters and makes its own Tune trainable."""

    name: str
    hyperparameters: dict[str, Hyperparameter] | None = None
    """What can be set, by name; None where that is unknown (plain functions)."""
    metrics: tuple[str, ...] | None = None
    """What every report contains beside Ray's own keys; None where that is unknown."""
    default_metric: tuple[str, str] | None = None
    """Name and "min" or "max"."""
    mutable: frozenset[str] = frozenset()
    """Hyperparameters that may change while a trial runs."""
    checkpoints: bool = True
    """Whether Tune asks for a checkpoint after each report; else the program saves when it likes, if ever."""
    continues: bool = True
    """Whether a trial can go on from a checkpoint; if not, it cannot be paused or copied."""
    sparse: bool = False
    """Whether reports may lack the metric, as rows of a script's log do."""

    def reports(self, config: Mapping[str, Any]) -> int | None:
        """How many reports a full training makes with these values; None where that is unknown."""
        return None

    def check(self, config: Mapping[str, Any]) -> list[str]:
        """What is wrong with the values of a config, or of its fixed part; one sentence each."""
        return []

    def obstacles(self, config: Mapping[str, Any]) -> list[str]:
        """What this machine lacks for a config whose values are right, such as data; one sentence each."""
        return []

    @abc.abstractmethod
    def trainable(self, ranks: int = 1, cpus_per_rank: float = 1, gpus_per_rank: float = 0) -> Any:
        """What to give to `tune.Tuner`, with its resources, ready for `reuse_actors=True`."""


class TaskProgram(Program):
    """A `Task` class, trained by the engine over any number of ranks."""

    def __init__(self, name: str, task: type[Task]) -> None:
        lacking = [m for m in ("setup", "build", "loss") if getattr(task, m) is getattr(Task, m)]
        if lacking and task.engine is Task.engine:
            raise ValueError(
                f"{task.__name__} lacks {', '.join(lacking)}; a task needs setup, build and loss."
            )
        self.name, self.task = name, task
        self.hyperparameters = hparams.declared(task.Config)
        self.mutable = hparams.mutable(task.Config)
        self.default_metric = task.metric
        declared = task.reported()
        self.metrics = (*declared, *task.beside) if declared else None

    def check(self, config: Mapping[str, Any]) -> list[str]:
        """Unknown names, values of the wrong type or out of bounds."""
        return hparams.problems(self.task.Config, config)

    def obstacles(self, config: Mapping[str, Any]) -> list[str]:
        """The task's own word."""
        return self.task.problems(config)

    def reports(self, config: Mapping[str, Any]) -> int | None:
        """The task's own word; None where values are wrong."""
        if hparams.problems(self.task.Config, config):
            return None
        return self.task.reports(hparams.make(self.task.Config, config))

    def trainable(
        self, ranks: int = 1, cpus_per_rank: float = 1, gpus_per_rank: float = 0, watchdog_s: float = 300.0
    ) -> Any:
        """A class Trainable over `ranks` rank actors, each in a bundle of its own.

        Args:
            gpus_per_rank: whole devices; a fraction only where `ranks` is 1.
            watchdog_s: a rank that makes no step for so long is reported as hung.

        Raises:
            ValueError: for resources that cannot work, or a class that cannot be sent to other processes.
        """
        from ray import cloudpickle

        from trainables.engine.ddp import Plan
        from trainables.engine.trial import environment, trial_class

        _let_modules_travel_by_name()
        try:
            task = cloudpickle.dumps(self.task)
        except Exception as error:
            raise ValueError(
                f"{self.name} cannot be sent to other processes: {error}. Keep locks, open files and the "
                "like out of module-level names that the task uses; make them in setup()."
            ) from error
        return trial_class(
            Plan(
                name=self.name,
                task=task,
                ranks=ranks,
                cpus_per_rank=cpus_per_rank,
                gpus_per_rank=gpus_per_rank,
                mutable=self.mutable,
                pictures=self.task.pictures is not Task.pictures,
                watchdog_s=watchdog_s,
                environment=environment(os.environ),
            )
        )


class FunctionProgram(Program):
    """A plain function `train(config)` that calls `tune.report`; runs as it is, in one process."""

    checkpoints = False

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function

    def trainable(self, ranks: int = 1, cpus_per_rank: float = 1, gpus_per_rank: float = 0) -> Any:
        """The function with its resources.

        Raises:
            ValueError: if `ranks` is not 1.
        """
        from ray import tune

        from trainables.engine import function_trial

        if ranks != 1:
            raise ValueError(
                f"ranks is {ranks}, and {self.name} is a plain function, which runs in one process. Use "
                "ranks=1, or write a Task (setup, build, loss): the engine spreads that over ranks."
            )
        bundle = {"CPU": float(cpus_per_rank)} | ({"GPU": float(gpus_per_rank)} if gpus_per_rank else {})
        given = tune.with_resources(self.function, tune.PlacementGroupFactory([bundle]))
        return function_trial.trial_class(given, self.name)


def register(name: str) -> Callable[[T], T]:
    """Decorator that gives a Task class or a function a public name.

    Raises:
        ValueError: if something else has that name.
    """

    def add(target: T) -> T:
        known = _registered.get(name)
        if known is not None and _place(known) != _place(target):
            raise ValueError(
                f"the name {name!r} already belongs to {_place(known)}; choose another for {_place(target)}."
            )
        if known is None and name in _shipped() and _shipped()[name] != getattr(target, "__module__", None):
            raise ValueError(f"the name {name!r} already belongs to {_shipped()[name]}; choose another.")
        _registered[name] = target
        return target

    return add


def names() -> list[str]:
    """Public names: shipped ones, registered ones and installed plugins'."""
    return sorted({*_shipped(), *_registered, *_plugins()})


def load(what: Any) -> Program:
    """The program behind a name: a public one, "my_file:MyTask", "pkg.mod:Class" or "path/file.py:Class".

    A Task class, a function train(config) and a Program are taken as they are.

    Raises:
        ValueError: saying what was found instead, and the nearest valid name.
    """
    if isinstance(what, Program):
        return what
    if isinstance(what, str):
        return _from_text(what)
    return _program(getattr(what, "__name__", repr(what)), what)


def _program(name: str, target: Any) -> Program:
    _send_by_value(target)
    if isinstance(target, Program):
        return target
    if inspect.isclass(target) and issubclass(target, Task):
        return TaskProgram(name, target)
    if inspect.isclass(target) and issubclass(target, Program):
        return target()
    if inspect.isclass(target) or not callable(target):
        raise ValueError(
            f"{name} is {target!r}; expected a subclass of trainables.engine.Task or a function "
            "train(config)."
        )
    return FunctionProgram(name, target)


def _from_text(what: str) -> Program:
    if ":" in what:
        place, _, attribute = what.rpartition(":")
        module = _module(place)
        if not hasattr(module, attribute):
            there = [
                n
                for n, v in vars(module).items()
                if inspect.isclass(v) and issubclass(v, Task) and v is not Task
            ]
            near = difflib.get_close_matches(attribute, [n for n in vars(module) if not n.startswith("_")], 1)
            hint = f"did you mean {near[0]!r}?" if near else f"its tasks: {', '.join(there) or 'none'}."
            raise ValueError(f"{place} has no {attribute!r}; {hint}")
        return _program(attribute, getattr(module, attribute))
    if what in _registered:
        return _program(what, _registered[what])
    if what in _shipped():
        importlib.import_module(_shipped()[what])
        return _program(what, _registered[what])
    if what in _plugins():
        return _program(what, _plugins()[what].load())
    near = difflib.get_close_matches(what, names(), 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"unknown trainable {what!r}; {hint}Known: {', '.join(names())}. "
        'Your own: "my_file:MyTask", "package.module:Class" or "path/to/file.py:Class".'
    )


def _module(place: str) -> ModuleType:
    """The module at a dotted name or a path, found from the working directory first."""
    path = Path(place)
    if path.suffix != ".py" and Path(f"{place}.py").is_file():
        path = Path(f"{place}.py")
    if path.suffix != ".py":
        if "" not in sys.path and os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
                raise  # the module is there and lacks something itself
            raise ValueError(f"no module {place!r} and no file {place}.py in {os.getcwd()}.") from error
    path = path.resolve()
    if not path.is_file():
        raise ValueError(f"there is no file {path}.")
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    name = (
        path.stem
        if known is None and importlib.util.find_spec(path.stem) is None
        else f"_starling_{path.stem}"
    )
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a .py file always has one
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # as for a script: its neighbours can be imported
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _send_by_value(target: Any) -> None:
    """Let a user's module travel to workers with the class: they may not have its file."""
    from ray import cloudpickle

    module = sys.modules.get(getattr(target, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if module is None or file is None or module.__name__ == "__main__":
        return
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    if not installed and module.__name__.split(".")[0] != "trainables":
        cloudpickle.register_pickle_by_value(module)


def _let_modules_travel_by_name() -> None:
    """torch puts objects of its own in the place of some modules (torch.distributed.config)."""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and type(module) is not ModuleType:
            copyreg.pickle(type(module), lambda m: (importlib.import_module, (m.__name__,)))


def _shipped() -> dict[str, str]:
    """Name -> module of the tasks beside this file, by `@register("name")` lines; imports nothing."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("*.py")):
        for name in re.findall(r'^@register\("([\w-]+)"\)', file.read_text(), re.MULTILINE):
            found[name] = f"trainables.{file.stem}"
    return found


def _plugins() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def _place(target: Any) -> str:
    return f"{getattr(target, '__module__', '?')}:{getattr(target, '__qualname__', target)}"
