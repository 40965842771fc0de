"""The sweep that a Python file defines or runs, found without running it."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

from sweeps.spec import SpecError, Sweep

_loading: ContextVar[bool] = ContextVar("_loading", default=False)


class Running(BaseException):
    """Raised by `Sweep.run` while a file is loaded: the file ran its sweep, and this is it."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep


def caught(sweep: Sweep) -> None:
    """Called by `Sweep.run`: while a file is loaded, its sweep is taken instead of run."""
    if _loading.get():
        raise Running(sweep)


@contextmanager
def taking() -> Iterator[None]:
    """While open, a sweep that is run raises `Running` instead."""
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)


def from_python(path: Path) -> Sweep:
    """The sweep of a recipe: its `sweep`, else its only one, else the first that it runs."""
    module, running = import_file(path)
    if running is not None:
        return running
    if isinstance(getattr(module, "sweep", None), Sweep):
        return module.sweep
    found = {id(value): name for name, value in vars(module).items() if isinstance(value, Sweep)}
    if len(found) == 1:
        return getattr(module, next(iter(found.values())))
    if found:
        raise SpecError(
            [f"{path}: defines {len(found)} sweeps ({', '.join(found.values())}); name one of them `sweep`."]
        )
    raise SpecError([f"{path}: defines no sweep; write `sweep = Sweep(...)` at its top level."])


def import_file(path: Path) -> tuple[ModuleType, Sweep | None]:
    """Import a file under a name of its own, its folder in `sys.path` as `python FILE` has it.

    Returns:
        The module, and the sweep that the file ran at its top level: the module then ends at that line.

    Raises:
        SpecError: Whatever the file raises, with its line.
    """
    from ray import cloudpickle

    path = path.absolute()
    name = f"starling_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Workers cannot import a module of that name: what it defines travels with the trial.
    cloudpickle.register_pickle_by_value(module)
    try:
        with taking():
            spec.loader.exec_module(module)
    except Running as running:
        return module, running.sweep
    except SpecError as error:
        raise SpecError(error.problems, f"{path} cannot be run as written") from None
    except (Exception, SystemExit) as error:  # whatever a stranger's file raises is its author's to read
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), None)
        line = error.lineno if isinstance(error, SyntaxError) else line
        where = f"{path}, line {line}" if line else str(path)
        raise SpecError([f"{where}: {type(error).__name__}: {error}"]) from error
    return module, None
