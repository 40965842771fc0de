"""cluster/onprem.yaml on three hosts with an SSH daemon each, made of network namespaces.

One run of what a user does (onprem_story.py); each test asks for one thing of it. A private PID namespace
around it all: `ray stop` ends every Ray that it sees.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def missing():
    """Why this cannot run here; None where it can."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    for program in ("ip", "sshd", "ssh", "ssh-keygen", "rsync", "unshare", "git"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            return f"needs the program {program}"
    try:
        importlib.import_module("ray.dashboard.optional_deps")
    except ImportError as error:
        return f"needs ray[default], for Ray's jobs: {error}"
    allowed = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--net", "true"], capture_output=True
    )
    return None if allowed.returncode == 0 else f"no namespaces here: {allowed.stderr.decode().strip()}"


@pytest.fixture(scope="module")
def story():
    if (why := missing()) is not None:
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="starling-lab-", dir="/var/tmp"))  # each host has a /tmp of its own
    (folder / "shared").mkdir()
    words = ["unshare", "--pid", "--fork", "--mount-proc", "--net", "--kill-child", sys.executable]
    words += [HERE / "ssh_hosts.py", folder, "3", "--", sys.executable, HERE / "onprem_story.py", folder]
    env = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=1800)
        file = folder / "story.json"
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        yield json.loads(file.read_text())
    finally:
        shutil.rmtree(folder)


pytestmark = pytest.mark.slow


def test_a_sweep_runs_on_both_workers_with_the_ranks_of_a_trial_on_two_hosts(story):
    assert story["submit"]["code"] == 0, story["submit"]
    assert story["ended"] == "succeeded", story["log"]
    assert story["night"]["status"]["completed"] == 2
    assert {one["host"] for one in story["notes"]} == {"host2", "host3"}


def test_an_option_with_spaces_quotes_and_dollars_reaches_every_rank_unharmed(story):
    assert {one["note"] for one in story["notes"]} == {'it\'s 2 words; $HOME "and" $(hostname)'}


def test_the_working_tree_is_on_every_worker_and_the_secret_beside_it_is_not(story):
    """The task imports a module of the user's repository, so that it ran shows that it was there."""
    assert all("working_dir_files" in one["folder"] for one in story["notes"])
    sent = story["head"][2:]
    assert sent == ["./sweep.sh", "./tree/mine.py", "./tree/numbers_of_mine.py", "./tree/sweep.py"]
    assert "stays here, as it looks like a secret: .env" in story["submit"]["out"]


def test_the_token_is_the_heads_owners_alone(story):
    assert story["head"][:2] == ["700", "600"]


def test_status_shows_nodes_and_the_sweep_that_runs(story):
    out = story["status"]["out"]
    assert story["status"]["code"] == 0, story["status"]
    assert "Node status" in out
    assert "night: running" in out


def test_a_name_that_is_taken_is_refused_before_anything_is_sent(story):
    assert story["again"]["code"] == 1
    assert "choose another --name" in story["again"]["err"]


def test_rays_own_submit_runs_a_recipe_too(story):
    assert story["ray submit"]["code"] == 0, story["ray submit"]
    assert story["by-ray"]["status"]["completed"] == 1


def test_down_waits_until_no_raylet_is_left_on_any_host(story):
    assert story["down"]["code"] == 0, story["down"]
    assert story["down"]["out"].rstrip().endswith("nothing is left")
