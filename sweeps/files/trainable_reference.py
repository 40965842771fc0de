"""What `Sweep.trainable` names, and how a later process finds it again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trainables
from sweeps.files.python_file import Running, import_file, taking
from sweeps.spelling import allowed
from trainables.program import Script, script

SCRIPT_KEYS = ("program", "command", "folder")
"""The keys of a trainable that is a script."""


def load_program(trainable: Any) -> trainables.Program:
    """The program that `Sweep.trainable` names.

    Raises:
        ValueError: No such trainable or script; says what there is.
    """
    if isinstance(trainable, Mapping):
        unknown = [key for key in trainable if key not in SCRIPT_KEYS]
        if unknown:
            each = [f"{key!r}; {allowed(str(key), SCRIPT_KEYS)}" for key in unknown]
            raise ValueError("a script has no key " + " and no key ".join(each))
        return script(**trainable)
    try:
        with taking():
            return trainables.load(trainable)
    except Running:  # the trainable's file runs a sweep where it ends: what stands before that is there
        file, _, name = str(trainable).rpartition(":")
        module, _ = import_file(Path(file).with_suffix(".py"))
        return trainables.load(getattr(module, name))


def reference(trainable: Any) -> Any:
    """How a later process finds it again: a name, `"module:Class"`, `"/path/file.py:Class"`, or a script.

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
        raise ValueError(f"{trainable!r} has no name; name the trainable by a text, as 'my_file.py:MyTask'")
    if "<" in name:
        raise ValueError(f"{name} is defined inside a function; move it to the top level of a file")
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        raise ValueError(f"{name} was typed in, not written in a file; put it into one")
    packaged = "." in module and Path(file).with_name("__init__.py").is_file()
    return f"{module}:{name}" if packaged else f"{Path(file).absolute()}:{name}"
