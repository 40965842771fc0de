"""The command line of a W&B script, made as W&B's own agent makes it.

Source: `wandb/wandb_agent.py` and `wandb/sdk/launch/sweeps/utils.py` of 0.31. One departure:
`${interpreter}` is the interpreter that runs the trial, not whichever `python` the path finds first.
"""

import difflib
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
MACROS = (
    "env", "interpreter", "program", "args", "args_no_equals", "args_no_hyphens", "args_no_boolean_flags",
    "args_json", "args_json_file", "args_append_hydra", "args_override_hydra",
)  # fmt: skip
ENVIRONMENT = re.compile(r"\$\{envvar\:([A-Z0-9_]*)\}")


def expand(
    command: Sequence[str], parameters: Mapping[str, Any], *, program: str | None, folder: Path
) -> list[str]:
    """W&B's command with its macros filled in.

    A macro counts only as a whole element, except `${envvar:X}` (an unset X stays as its name). Nested
    parameters are one flag that holds a dict: `--optimizer={'lr': 0.1}`. For `${args_json_file}` the file
    is written into `folder`.
    """
    flags = {name: f"{name}={value}" for name, value in parameters.items()}
    json_file = folder / "parameters.json"
    values: dict[str, list[str]] = {
        "env": ["/usr/bin/env"],
        "interpreter": [sys.executable],
        "program": [program] if program else [],
        "args": [f"--{flag}" for flag in flags.values()],
        "args_no_equals": [part for name, value in parameters.items() for part in (f"--{name}", str(value))],
        "args_no_hyphens": list(flags.values()),
        "args_no_boolean_flags": [
            f"--{name}" if value is True else f"--{flags[name]}"
            for name, value in parameters.items()
            if value is not False
        ],
        "args_json": [json.dumps(parameters)],
        "args_json_file": [str(json_file)],
        "args_append_hydra": [f"+{flag}" for flag in flags.values()],
        "args_override_hydra": [f"++{flag}" for flag in flags.values()],
    }
    filled = [ENVIRONMENT.sub(lambda name: os.environ.get(name[1], name[1]), str(part)) for part in command]
    if "${args_json_file}" in filled:
        json_file.write_text(json.dumps(parameters))
    out: list[str] = []
    for part in filled:
        out += values.get(part[2:-1], []) if _is_macro(part) else [part]
    return out


def problems(command: Sequence[str], *, program: str | None, folder: Path) -> list[str]:
    """What is wrong with a command that runs in `folder`; W&B's agent drops unknown macros in silence."""
    found = []
    parts = [str(part) for part in command]
    if "${program}" in parts:
        at = parts.index("${program}")
        if not program:
            found.append("`command` has ${program}, but there is no `program`. Add `program: train.py`.")
        elif not (at and parts[at - 1] == "-m") and not (folder / program).is_file():
            near = difflib.get_close_matches(program, [path.name for path in folder.glob("*.*")], 1)
            hint = f"Did you mean {near[0]!r}?" if near else "Give its path relative to that folder."
            found.append(f"the program {program!r} was not found in {str(folder)!r}. {hint}")
    for part in parts:
        name = part[2:-1]
        if _is_macro(part) and name not in MACROS and not ENVIRONMENT.search(part):
            near = difflib.get_close_matches(name, MACROS, 1)
            hint = f"Did you mean ${{{near[0]}}}?" if near else f"Known: {', '.join(MACROS)}, envvar:NAME."
            found.append(f"`command` has the unknown macro {part}. {hint}")
    if "${" not in parts[0]:
        place = str(folder / parts[0]) if "/" in parts[0] else parts[0]
        if shutil.which(place) is None:
            found.append(f"`command` starts with {parts[0]!r}, which is no program on this machine.")
    return found


def _is_macro(part: str) -> bool:
    return part.startswith("${") and part.endswith("}")
