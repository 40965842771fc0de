"""What `Sweep.trainable` names, and how a later process finds it again."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import trainables
from sweeps.spelling import allowed
from trainables.program import Script, script

SCRIPT_KEYS = ("program", "command", "folder")
"""The keys of a trainable that is a script."""


def load_program(trainable: Any, metrics: Sequence[str] = ()) -> trainables.Program:
    """The program that `Sweep.trainable` names.

    Args:
        metrics: What the sweep improves; a script's rows count once these are among them.

    Raises:
        ValueError: No such trainable or script; says what there is.
    """
    import trainables

    if isinstance(trainable, Script):
        return cast("trainables.Program", trainable)
    if isinstance(trainable, Mapping):
        unknown = [f"{key!r}; {allowed(key, SCRIPT_KEYS)}" for key in trainable if key not in SCRIPT_KEYS]
        if unknown:
            raise ValueError("a script has no key " + " and no key ".join(unknown))
        return cast("trainables.Program", script(**{"metrics": metrics, **trainable}))
    return trainables.load(trainable)


def reference(trainable: Any) -> Any:
    """How a later process finds a trainable again: a name, `"module:Class"`, `"/path/file.py:Class"`, or a
    script.

    Raises:
        ValueError: It cannot; says why and what to do.
    """
    if trainable is None or isinstance(trainable, str):
        return trainable
    if isinstance(trainable, Mapping):
        return dict(trainable)
    if isinstance(trainable, Script):
        known = {
            "program": trainable.program,
            "command": list(trainable.command),
            "folder": str(trainable.folder),
        }
        return {key: value for key, value in known.items() if value is not None}
    module, name = getattr(trainable, "__module__", None), getattr(trainable, "__qualname__", None)
    if module is None or name is None:
        raise ValueError(
            f"{trainable!r} has no name; name the trainable by a text such as 'my_file.py:MyTask'"
        )
    if "<" in name:
        raise ValueError(f"{name} is defined inside a function; move it to the top level of a file")
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        raise ValueError(f"{name} was typed in, not written in a file; put it into one")
    packaged = "." in module and Path(file).with_name("__init__.py").is_file()
    return f"{module}:{name}" if packaged else f"{Path(file).absolute()}:{name}"
