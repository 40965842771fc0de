import json
import random
import shlex
import sys
from dataclasses import replace

import pytest

from cluster import launcher
from cluster.cluster_file import load
from cluster.launcher import LauncherError

YAML = """
cluster_name: {name}
provider: {{type: local, head_ip: 127.0.0.1, worker_ips: []}}
auth: {{ssh_user: root}}
file_mounts: {{}}
"""
SSH = """#!/bin/bash
# What sshd does with the words of a command: it joins them and gives them to the user's shell.
while [[ $1 == -* ]]; do case $1 in -o | -i | -L) shift 2 ;; *) shift ;; esac; done
shift
exec sh -c "$*"
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """One that is up, by the book that Ray's launcher keeps; its head is this machine, without a network."""
    name = f"starling-test-{tmp_path.name}"
    file = tmp_path / "lab.yaml"
    file.write_text(YAML.format(name=name))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(SSH)
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/local/bin:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    book = tmp_path / "ray" / f"cluster-{name}.state"
    book.parent.mkdir()
    tags = {"ray-node-type": "head", "ray-node-status": "up-to-date"}
    book.write_text(json.dumps({"127.0.0.1": {"tags": tags, "state": "running"}}))
    return load(file)


def test_words_with_spaces_quotes_and_shell_signs_reach_a_program_on_the_head_unharmed(cluster):
    """Through the real `ray exec` and the login shell that it asks for; only the network is left out."""
    draw = random.Random(6)
    signs = "ab ;$&|<>(){}[]*?!#~\\'\"`\t=%^é\n"
    words = ["", "a b", "$HOME", "'", '"', "$(echo no)", "a;b", "--set", 'note=it\'s "it"', "*", "~", "!!"]
    words += ["".join(draw.choices(signs, k=draw.randint(1, 12))) for _ in range(40)]
    show = "import json, sys; print(json.dumps(sys.argv[1:]))"
    assert json.loads(launcher.answer(cluster, shlex.join([sys.executable, "-c", show, *words]))) == words


def test_a_command_that_fails_on_the_head_says_its_exit_code_and_its_last_words(cluster):
    with pytest.raises(LauncherError, match=r"exit code 3\n    no such sweep"):
        launcher.answer(cluster, "echo no such sweep >&2; exit 3")


def test_a_cluster_that_is_not_up_has_no_head_and_answers_nothing(cluster, tmp_path):
    next((tmp_path / "ray").glob("*.state")).unlink()
    assert launcher.head_address(cluster) is None
    with pytest.raises(LauncherError, match=r"was not reached:\n(.*\n)*.*not found"):
        launcher.answer(cluster, "true")


def test_rays_command_is_called_word_by_word_with_this_python(cluster, tmp_path):
    assert launcher.command(cluster, "down", "--yes") == [
        sys.executable, "-m", "ray.scripts.scripts", "down", str(tmp_path / "lab.yaml"), "--yes",
    ]  # fmt: skip


@pytest.mark.parametrize(("provider", "version"), [("local", "0"), ("aws", "1")])
def test_machines_reached_by_ssh_get_the_autoscaler_that_does_not_lose_one_of_them(
    provider, version, cluster
):
    given = launcher.environment(replace(cluster, provider=provider))
    assert given["RAY_UP_enable_autoscaler_v2"] == version
    assert given["PYTHONPATH"].startswith(str(launcher.ROOT))
