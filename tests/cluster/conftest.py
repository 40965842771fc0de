"""What several tests of clusters need."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import cluster

HERE = Path(cluster.__file__).parent


@pytest.fixture
def plant(tmp_path) -> Callable[..., Path]:
    """Makes a copy of one of our files, beside copies of its neighbours, with one text in place of another.

    A text that begins with `re:` is a regular expression. The first place is changed; with `everywhere`, all.
    """

    def planted(name: str, *changes: str, everywhere: bool = False) -> Path:
        source = HERE / name
        folder = tmp_path / "planted"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(
            source.parent, folder, ignore=lambda _, names: [n for n in names if not n.endswith(".yaml")]
        )
        text = source.read_text()
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            if old.startswith("re:"):
                found = re.compile(old[3:], re.DOTALL)
                changed = found.sub(lambda _, new=new: new, text, count=0 if everywhere else 1)
            else:
                changed = text.replace(old, new, -1 if everywhere else 1)
            assert changed != text, f"{name} no longer has {old!r}"
            text = changed
        (folder / source.name).write_text(text)
        return folder / source.name

    return planted
