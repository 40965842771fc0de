import io
import os
from pathlib import Path

import pytest

from cluster import launcher, leftovers, lifecycle
from cluster.cluster_file import load
from cluster.leftovers import Leftover

CLUSTER = Path(launcher.ROOT, "cluster")
ONPREM = CLUSTER / "onprem.yaml"


@pytest.fixture
def called(tmp_path, monkeypatch):
    """What Ray's launcher is told; a home without a token, and the repository's root as current folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(launcher.ROOT)
    words = []
    monkeypatch.setattr(launcher, "show", lambda cluster, *given: words.append(given))
    monkeypatch.setattr(launcher, "head_address", lambda cluster: None)
    monkeypatch.setattr(launcher, "answer", lambda cluster, text: "some words of Ray\n3")  # nodes
    return words


@pytest.fixture
def filled(tmp_path):
    """onprem.yaml with its blanks filled in."""
    (tmp_path / "key").write_text("x")
    text = ONPREM.read_text().replace("REPLACE-head", "10.0.0.1").replace("REPLACE-gpu1", "10.0.0.2")
    text = text.replace("REPLACE-gpu2", "10.0.0.3").replace("~/.ssh/starling.pem", str(tmp_path / "key"))
    (tmp_path / "lab.yaml").write_text(text)
    return tmp_path / "lab.yaml"


def test_up_makes_the_token_and_calls_ray_up(called, filled, tmp_path):
    lines = []
    lifecycle.up(filled, yes=True, say=lines.append)
    assert called == [("up", "--yes", "--no-config-cache")]
    assert (tmp_path / ".starling/token/auth_token").stat().st_mode & 0o777 == 0o600
    assert lines[-2] == "all 2 workers have joined"
    assert lines[-1] == f"\nstarling cluster status {filled}\nstarling cluster down {filled}"


def test_a_worker_that_does_not_join_is_not_waited_for_for_ever(called, filled, monkeypatch):
    monkeypatch.setattr(launcher, "answer", lambda cluster, text: "2")
    monkeypatch.setattr(lifecycle, "JOINED_WITHIN_S", -1.0)
    lines = []
    lifecycle.up(filled, yes=True, say=lines.append)
    assert "1 of 2 workers have joined; what keeps the others is said by" in lines


def test_a_yaml_with_blanks_or_mistakes_is_refused_with_every_line_and_nothing_starts(called, filled):
    with pytest.raises(ValueError, match=r"onprem\.yaml:\d+: edit: .*REPLACE-head is a placeholder"):
        lifecycle.up(ONPREM, yes=True)
    text = filled.read_text().replace("--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0")
    filled.write_text(text)
    with pytest.raises(ValueError, match=r"nothing was started(.*\n)*.*lab\.yaml:\d+: error: "):
        lifecycle.up(filled, yes=True)
    assert called == []


def test_a_cluster_that_is_up_already_is_restarted_only_after_a_word_about_its_sweeps(
    called, filled, monkeypatch
):
    monkeypatch.setattr(launcher, "head_address", lambda cluster: "10.0.0.1")
    lines = []
    lifecycle.up(filled, yes=True, say=lines.append)
    assert "starling-onprem is up already; its Ray restarts, and sweeps that run must be resumed" in lines


def test_down_says_what_is_left_and_counts_what_costs_money(called, monkeypatch):
    some = [
        Leftover(kind="volume", name="vol-1", urgent=True, remove="aws ec2 delete-volume"),
        Leftover(kind="key pair", name="ray", urgent=False, remove="aws ec2 delete-key-pair"),
    ]
    monkeypatch.setattr(leftovers, "audit", lambda cluster: some)
    lines = []
    assert lifecycle.down(ONPREM, yes=True, say=lines.append) == 1
    assert called == [("down", "--yes")]
    assert lines[-1] == (
        "still costs money, or holds a machine:\n  volume vol-1\n      aws ec2 delete-volume\n"
        "left, at no cost:\n  key pair ray\n      aws ec2 delete-key-pair"
    )


def test_without_a_yes_nothing_is_stopped(called, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(ValueError, match=r"Stop starling-onprem and all its nodes\?.*\n.*say --yes"):
        lifecycle.down(ONPREM)
    read, write = os.openpty()
    os.write(write, b"no\n")
    with open(read) as terminal, open(write):
        monkeypatch.setattr("sys.stdin", terminal)
        monkeypatch.setattr("builtins.input", lambda question: "no")
        with pytest.raises(ValueError, match="nothing was done"):
            lifecycle.down(ONPREM)
    assert called == []


def test_the_status_of_a_cluster_that_is_not_up_says_how_to_start_it(called):
    with pytest.raises(
        ValueError, match=r"starling-onprem is not up; start it with `starling cluster up .*onprem"
    ):
        lifecycle.status(ONPREM)


def test_a_kuberay_file_is_answered_with_kubectls_commands(called):
    file = CLUSTER / "kuberay" / "raycluster.yaml"
    with pytest.raises(ValueError, match=r"is for KubeRay: `kubectl apply -f .*raycluster\.yaml` starts it"):
        lifecycle.down(file, yes=True)
    assert called == []


def test_what_up_starts_is_said_with_machines_and_limits():
    assert lifecycle.starts(load(ONPREM)) == "starling-onprem: 3 machines of your own, all at once"
    text = lifecycle.starts(load(CLUSTER / "aws.yaml"))
    assert text.startswith(
        "starling on aws: head m7i.4xlarge at once; as sweeps ask for them 0 to 200 gpu_spot (g6.2xlarge)"
    )
    assert text.endswith("200 together at most; given back when idle for 300 s")
