"""Files of the installed Ray, read without importing it."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def text(path: str) -> str:
    """A file of the package, as in `scripts/scripts.py`."""
    spec = find_spec("ray")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return (Path(spec.submodule_search_locations[0]) / path).read_text()


def read(path: str) -> dict[str, Any]:
    """A JSON file of the package, as in `autoscaler/ray-schema.json`."""
    return json.loads(text(path))
