"""What travels with a sweep: the files of the recipe's repository that git would keep.

Inside a git repository these are the tracked files as they are on disk, committed or not, and the untracked
ones that no .gitignore names. Elsewhere it is the recipe's folder without its hidden folders. Python's
bytecode stays behind, and so do files that look like secrets; those are named.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

LARGEST_MIB = 200
"""Ray keeps one copy in the head's memory and sends it to every node; it refuses more than 500."""

SECRET = (
    ".env", ".env.*", ".netrc", "*.pem", "*.key", "id_rsa", "id_ed25519", "id_ecdsa", "auth_token",
    "credentials", "credentials.json", ".pypirc", ".git-credentials",
)  # fmt: skip
"""Names of files that usually hold one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """Files below one folder."""

    root: Path
    """The repository's top, or the recipe's folder."""
    files: tuple[Path, ...]
    """What is sent, relative to `root`, sorted."""
    left: tuple[Path, ...]
    """What looks like a secret and stays here."""
    git: bool

    @property
    def size_mib(self) -> float:
        """Of all files together."""
        return sum((self.root / one).lstat().st_size for one in self.files) / 2**20

    def copy(self, target: Path) -> None:
        """Put the files below `target`; modes stay, links stay links."""
        for one in self.files:
            there = target / one
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.root / one, there, follow_symlinks=False)


def around(recipe: str | os.PathLike[str]) -> Tree:
    """The tree that a recipe belongs to.

    Raises:
        FileNotFoundError: there is no such recipe.
        ValueError: the tree is too large, or git cannot read the repository.
    """
    recipe = Path(recipe).absolute()
    if not recipe.is_file():
        raise FileNotFoundError(f"there is no recipe {os.fspath(recipe)!r}")
    top = next((one for one in recipe.parents if (one / ".git").exists()), None)
    root = top or recipe.parent
    names = _known_to_git(root) if top else _below(root)
    found = sorted(
        one
        for one in names
        if "__pycache__" not in one.parts and ((root / one).is_symlink() or (root / one).is_file())
    )
    left = [one for one in found if any(fnmatch(one.name, pattern) for pattern in SECRET)]
    tree = Tree(
        root=root,
        files=tuple(one for one in found if one not in set(left)),
        left=tuple(left),
        git=top is not None,
    )
    inside = recipe.relative_to(root)
    if inside not in tree.files:
        raise ValueError(f"{recipe} would not be sent: {root}/.gitignore excludes it")
    if tree.size_mib > LARGEST_MIB:
        largest = sorted(tree.files, key=lambda one: -(root / one).lstat().st_size)[:5]
        where = "name what a sweep does not need in .gitignore" if top else "make it a git repository"
        raise ValueError(
            f"{root} has {tree.size_mib:.0f} MiB to send, {LARGEST_MIB} at most; {where}; largest are "
            + ", ".join(map(str, largest))
        )
    return tree


def _known_to_git(root: Path) -> Iterator[Path]:
    words = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    ended = subprocess.run(words, capture_output=True, check=False)
    if ended.returncode:
        raise ValueError(f"git cannot list the files of {root}: {ended.stderr.decode().strip()}")
    return (Path(os.fsdecode(name)) for name in set(ended.stdout.split(b"\0")) if name)


def _below(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [one for one in folders if not one.startswith(".")]
        for name in names:
            yield (Path(folder) / name).relative_to(root)
