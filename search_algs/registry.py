"""Search algorithms by name: the file's name is the algorithm's, so that adding one is adding a file."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_algs.ask_tell import AskTell, Shared
from search_algs.space.nearest import nearest

NO_ALGORITHMS = frozenset({"ask_tell", "models", "objectives", "registry", "space"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that can be set of an algorithm."""

    name: str
    default: Any
    type: str
    """As annotated."""
    doc: str
    """One line."""


def names() -> list[str]:
    """Every algorithm, sorted; `random_search.py` is `random`, `optuna_sampler.py` is `optuna`."""
    return sorted(_files())


def load(name: str) -> type[AskTell]:
    """The class of an algorithm; ValueError with the nearest name for an unknown one. The file's name will do
    too."""
    files = _files()
    file = files.get(name, name if name in files.values() else None)
    if file is None:
        raise ValueError(f"there is no search algorithm {name!r}{nearest(name, names())}")
    module = importlib.import_module(f"search_algs.{file}")
    found = [
        one
        for one in vars(module).values()
        if inspect.isclass(one) and issubclass(one, AskTell) and one.__module__ == module.__name__
    ]
    assert len(found) == 1, f"search_algs/{file}.py must define one search algorithm, not {found}"
    return found[0]


def parameters(algorithm: type[AskTell] | str) -> dict[str, Parameter]:
    """What can be set of an algorithm beside what all share (space, metric, mode, seed, constraints, max_t,
    time_attr)."""
    cls = load(algorithm) if isinstance(algorithm, str) else algorithm
    docs = _argument_docs(cls.__doc__ or "")
    return {
        p.name: Parameter(p.name, p.default, str(p.annotation), docs.get(p.name, ""))
        for p in inspect.signature(cls).parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name not in Shared.__annotations__
    }


def build(name: str, **settings: Any) -> AskTell:
    """An algorithm by name with its settings; ValueError with the nearest name for an unknown setting."""
    cls = load(name)
    known = [*parameters(cls), *Shared.__annotations__]
    for setting in settings:
        if setting not in known:
            raise ValueError(
                f"the search algorithm {name!r} has no parameter {setting!r}{nearest(setting, known)}"
            )
    return cls(**settings)


def _files() -> dict[str, str]:
    here = [str(Path(__file__).parent)]
    found = (module.name for module in pkgutil.iter_modules(here))
    return {
        re.sub("_(search|sampler)$", "", one): one
        for one in found
        if one not in NO_ALGORITHMS and one[0] != "_"
    }


def _argument_docs(doc: str) -> dict[str, str]:
    """The entries `name: text` of a docstring's Args section, each text on one line."""
    section = inspect.cleandoc(doc).partition("Args:")[2].split("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)$", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}
