"""The commands of `starling`, one a file: the file's name is the command's (`lr_range.py` is `lr-range`).

Each has `ABOUT`, a line of help; `options(parser)`, which adds its arguments; and `run(arguments)`, which
returns the exit code. A folder such as `cluster` is a group of further ones, and has no `run`. All are
imported whenever `starling` starts, so that what takes long to import is imported in `run`.
"""

import argparse
import pkgutil
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType


def add(parser: argparse.ArgumentParser, package: ModuleType, first: Sequence[str] = ()) -> None:
    """The commands of a package become those of a parser, which gives the chosen one's `run` as `command`.

    Args:
        parser: gets them.
        package: has a module for each.
        first: words that help shows first; the others follow by name.
    """
    made = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    files = sorted(found.name for found in pkgutil.iter_modules(package.__path__))
    words = {file.rstrip("_").replace("_", "-"): file for file in files}
    for word in sorted(words, key=lambda word: first.index(word) if word in first else len(first)):
        module = import_module(f"{package.__name__}.{words[word]}")
        one = made.add_parser(word, help=module.ABOUT, description=module.ABOUT, allow_abbrev=False)
        one.set_defaults(command=getattr(module, "run", None), parser=one)
        module.options(one)
