"""The four packages are ours, and a wheel of them is complete."""

import configparser
import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sweeps", "trainables", "search_algs", "cluster")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_the_one_of_this_repository(name):
    file = Path(importlib.import_module(name).__file__).resolve()
    assert file.parent == ROOT / name, (
        f"`import {name}` finds {file}, another package of that name, instead of {ROOT / name}. "
        f"Remove it (`pip uninstall` what brings it; W&B's `sweeps` comes with wandb[sweeps], which nothing "
        f"here needs) or put {ROOT} in front of it on PYTHONPATH."
    )


def test_a_script_elsewhere_finds_our_packages_too(tmp_path):
    (tmp_path / "where.py").write_text(f"import {', '.join(PACKAGES)}\nprint(sweeps.__file__)\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "where.py"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, str(ROOT / "sweeps" / "__init__.py")), ran.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel, built in a copy of the packages so that the repository stays clean."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    ran = subprocess.run(
        [*command, "--wheel-dir", str(out), str(source)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (file,) = out.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        yield archive


def test_the_wheel_holds_every_module_and_data_file_of_the_four_packages_and_nothing_else(wheel):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    wanted = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert held == wanted
    assert "sweeps/recipes/quickstart.yaml" in held


def test_the_wheel_installs_the_console_script(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.read(name).decode())
    assert dict(scripts["console_scripts"]) == {"starling": "sweeps.cli:main"}
