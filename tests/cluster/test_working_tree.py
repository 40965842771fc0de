import os
import subprocess
from pathlib import Path

import pytest

from cluster import working_tree


@pytest.fixture
def repository(tmp_path):
    """Tracked files, one of them changed and one deleted since; untracked ones, ignored ones, a secret."""
    root = tmp_path / "project"
    (root / "recipes").mkdir(parents=True)
    for name, text in {
        "recipes/train.py": "old", "model.py": "", "gone.py": "", "run.sh": "",
        ".gitignore": "data/\n*.log\n",
    }.items():  # fmt: skip
        (root / name).write_text(text)
    (root / "run.sh").chmod(0o755)
    (root / "link.py").symlink_to("model.py")

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", root, *who, *words], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    (root / "recipes/train.py").write_text("new")
    (root / "gone.py").unlink()
    (root / "data").mkdir()
    (root / "__pycache__").mkdir()
    for name in ("new file.py", "data/large.bin", "a.log", ".env", "server.pem", "__pycache__/model.pyc"):
        (root / name).write_text("x")
    return root


SENT = [".gitignore", "link.py", "model.py", "new file.py", "recipes/train.py", "run.sh"]


def test_of_a_repository_what_git_would_keep_is_sent_as_it_is_on_disk(repository, tmp_path):
    tree = working_tree.around(repository / "recipes" / "train.py")
    assert (tree.root, tree.git) == (repository, True)
    assert [str(one) for one in tree.files] == SENT
    there = tmp_path / "there"
    tree.copy(there)
    found = sorted(
        str(Path(folder, name).relative_to(there)) for folder, _, names in os.walk(there) for name in names
    )
    assert found == SENT
    assert (there / "recipes/train.py").read_text() == "new"
    assert os.access(there / "run.sh", os.X_OK)
    assert os.readlink(there / "link.py") == "model.py"


def test_what_looks_like_a_secret_stays_and_is_named(repository):
    assert [str(one) for one in working_tree.around(repository / "recipes/train.py").left] == [
        ".env",
        "server.pem",
    ]


def test_outside_of_git_the_recipes_folder_is_sent_without_hidden_folders(tmp_path):
    for name in ("train.py", "deep/model.py", ".cache/x", "__pycache__/y.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    tree = working_tree.around(tmp_path / "train.py")
    assert ([str(one) for one in tree.files], tree.git) == (["deep/model.py", "train.py"], False)


def test_a_tree_that_is_too_large_is_refused_with_its_largest_files(repository):
    with (repository / "weights.bin").open("wb") as file:
        file.truncate(300 * 2**20)
    with pytest.raises(
        ValueError, match=r"300 MiB to send, 200 at most; .*gitignore; largest are weights\.bin"
    ):
        working_tree.around(repository / "recipes/train.py")


def test_a_recipe_that_would_stay_behind_is_refused(repository):
    (repository / "data/train.py").write_text("x")
    with pytest.raises(ValueError, match=r"train\.py would not be sent: .*\.gitignore excludes it"):
        working_tree.around(repository / "data/train.py")
    with pytest.raises(FileNotFoundError, match=r"there is no recipe '.*nothing\.py'"):
        working_tree.around(repository / "nothing.py")


def test_a_repository_that_git_cannot_read_is_refused_with_what_git_says(tmp_path):
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    (tmp_path / "train.py").write_text("x")
    with pytest.raises(ValueError, match=r"git cannot list the files of .*: fatal: not a git repository"):
        working_tree.around(tmp_path / "train.py")
