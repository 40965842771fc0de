"""Curves with known labels: drawn ones (synthetic.py) and those of real trainings (trained.py)."""

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def beside(name):
    """A module of this folder, which is no package."""
    full = f"starling_tests_diagnosis_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


@pytest.fixture(scope="session")
def synthetic():
    """The generator of synthetic curves."""
    return beside("synthetic")


@pytest.fixture(scope="session")
def trained():
    """The real trainings."""
    return beside("trained")
