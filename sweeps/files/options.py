"""How values are written in a file and on the command line: `tpe:n_startup_trials=20`, `2h`, `lr=0.1`."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Loader(yaml.SafeLoader):
    """YAML whose numbers are those of YAML 1.2 and JSON: `1e-3` is a number (PyYAML reads a string)."""


class Dumper(yaml.SafeDumper):
    """YAML that `Loader` reads back to equal values: tuples are lists, and no aliases are written."""

    def ignore_aliases(self, data: Any) -> bool:
        """Every value is written out where it stands."""
        return True


_FLOAT = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
Dumper.add_multi_representer(tuple, lambda dumper, data: dumper.represent_list(list(data)))


def read_yaml(text: str) -> Any:
    """One YAML document as plain values.

    Raises:
        ValueError: The text is no YAML; says the line.
    """
    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or error
        raise ValueError(f"it is not valid YAML{where}: {what}") from error


def write_yaml(value: Any) -> str:
    """`value` as YAML, keys in their order; `read_yaml` gives an equal value."""
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, default_flow_style=None, width=110)


def scalar(text: str) -> Any:
    """A value written on the command line, read as YAML reads it: `0.1`, `1e-3`, `true`, `[1, 2]`, `adam`."""
    try:
        return read_yaml(text)
    except ValueError:
        return text


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """`["lr=0.1", "optimizer.name=adam"]` as `{"lr": 0.1, "optimizer.name": "adam"}`; names stay dotted.

    Raises:
        ValueError: A text without `=`, or without a name before it.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{text!r} is no key=value; write for example `lr=0.1`.")
        found[name.strip()] = scalar(value)
    return found


def named(value: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and the parameters of a search algorithm or scheduler.

    Args:
        value: `"asha"`, `"asha:max_t=27,grace_period=1"` or `{"name": "asha", "max_t": 27}`.

    Raises:
        ValueError: A mapping without `name`, or a parameter without a value.
    """
    if isinstance(value, Mapping):
        parameters = dict(value)
        name = parameters.pop("name", None)
        if not isinstance(name, str):
            raise ValueError(f"{dict(value)} lacks its `name`; write for example {{name: asha, max_t: 27}}.")
        return name, {str(key): item for key, item in parameters.items()}
    name, _, rest = value.partition(":")
    # A comma separates two parameters only where a name and `=` follow, so that a value may be a list.
    parts = re.split(r",(?=\s*\w+\s*=)", rest) if rest.strip() else []
    return name.strip(), assignments(parts)


def seconds(value: float | str) -> float:
    """A length of time in seconds: `90`, `"90"`, `"90s"`, `"15m"`, `"2h"`, `"1h30m"`, `"2d"`.

    Raises:
        ValueError: Not a length of time, or not above 0.
    """
    form = "write seconds, or for example 15m, 2h, 1h30m."
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no length of time; {form}")
    if isinstance(value, str):
        text = value.strip().lower().replace(" ", "")
        parts = re.findall(r"(\d+(?:\.\d+)?)(min|[smhd]?)", text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise ValueError(f"{value!r} is no length of time; {form}")
        value = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{value!r} is no length of time above 0; {form}")
    return float(value)
