import io
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import launcher, lifecycle, submit
from cluster.cluster_file import load
from cluster.submit import Job
from cluster.working_tree import Tree

ONPREM = Path(launcher.ROOT, "cluster", "onprem.yaml")
SHOW = """#!{python}
import json, os, sys
print(json.dumps([os.getcwd(), os.environ.get("PYTHONPATH"), sys.argv[1:]]))
"""


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "project"
    (root / "my recipes").mkdir(parents=True)
    (root / "my recipes" / "train.py").write_text("x")
    (root / "model.py").write_text("x")
    return Tree(
        root=root, files=(Path("model.py"), Path("my recipes/train.py")), left=(Path(".env"),), git=True
    )


def job(tree, *words, **more):
    given = {"name": "night-1", "folder": "my recipes", "storage": "/shared/sweeps"} | more
    return Job(tree=tree, run=["run", "train.py", *words, "--name", "night-1", "--address", "auto"], **given)


@pytest.fixture
def sent(tree, tmp_path):
    """What lies in the sweep's folder of the head, and a program that shows how it is called."""

    def make(*words):
        there = tmp_path / "submitted" / "night-1"
        one = job(tree, *words)
        one.tree.copy(there / "tree")
        (there / submit.SCRIPT).write_text(one.script())
        (tmp_path / "bin").mkdir()
        for name in ("python", "ray"):
            (tmp_path / "bin" / name).write_text(SHOW.format(python=sys.executable))
            (tmp_path / "bin" / name).chmod(0o755)
        return there

    return make


def called(there, *words):
    """How the script calls its program: folder, PYTHONPATH, words."""
    path = f"{there.parents[1]}/bin:/usr/bin:/bin"
    ended = subprocess.run(
        ["bash", there / submit.SCRIPT, *words],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": path},
    )
    return json.loads(ended.stdout)


def test_the_sweep_runs_with_the_words_that_were_typed_where_its_recipe_lies(sent):
    draw = random.Random(6)
    signs = "ab ;$&|<>(){}[]*?!#~\\'\"`\t=%é\n"
    words = [
        "--set",
        'note=it\'s "it"; $HOME {name}',
        *("".join(draw.choices(signs, k=9)) for _ in range(40)),
    ]
    there = sent(*words)
    python = str(there.parents[1] / "bin" / "python")
    folder, path, said = called(there, "run", python)
    assert (folder, path) == (str(there / "tree" / "my recipes"), str(there / "tree"))
    assert said == ["-m", "sweeps", "run", "train.py", *words, "--name", "night-1", "--address", "auto"]


def test_ray_is_given_a_job_that_has_time_to_close_and_the_whole_tree_for_every_node(sent):
    there = sent()
    assert called(there, "start")[2] == [
        "job", "submit", "--address", "auto", "--no-wait", "--submission-id", "night-1",
        "--metadata-json", '{"sweep": "night-1"}',
        "--runtime-env-json", '{"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60"}}',
        "--working-dir", f"{there}/tree",
        "--", "bash", f"{there}/sweep.sh", "run", f"{there.parents[1]}/bin/python",
    ]  # fmt: skip


def test_a_resume_is_a_job_of_another_name_that_continues_the_sweeps_results(sent):
    there = sent()
    words = called(there, "resume")[2]
    assert words[words.index("--submission-id") + 1].startswith("night-1-20")
    assert words[-2] == "again"
    python = str(there.parents[1] / "bin" / "python")
    assert called(there, "again", python)[2][2:] == ["resume", "/shared/sweeps/night-1", "--address", "auto"]
    assert called(there, "status")[2][2:] == ["status", "/shared/sweeps/night-1"]


def test_a_stores_query_stays_behind_the_sweeps_folder(tree):
    one = job(tree, storage="s3://bucket/sweeps/?region=us-west-2")
    assert one.results == "s3://bucket/sweeps/night-1?region=us-west-2"


@pytest.mark.parametrize("name", ["", "a b", "$(x)", "a/b", "-rf", "é"])
def test_a_name_that_a_shell_or_a_folder_could_misread_is_refused(name, tree):
    with pytest.raises(ValueError, match=r"name: .* will name a folder on the head; use letters"):
        job(tree, name=name)


def test_results_that_trials_on_other_nodes_could_not_write_are_refused(tree):
    with pytest.raises(
        ValueError, match=r"storage: 'results' is a folder on the head.*--storage /SHARED/FOLDER"
    ):
        submit.refuse_lost_results(load(ONPREM), job(tree, storage="results"))
    submit.refuse_lost_results(load(ONPREM), job(tree, storage="s3://bucket/x"))
    submit.refuse_lost_results(load(ONPREM), job(tree, storage="/shared"))


def test_what_is_typed_next_is_printed_ready_to_be_pasted(tree):
    text = submit.next_steps(load(ONPREM), job(tree))
    assert text.splitlines() == [
        f"follow   ray exec {ONPREM} 'ray job logs --follow night-1'",
        f"look     starling cluster status {ONPREM}",
        f"stop     ray exec {ONPREM} 'ray job stop night-1'",
        f"resume   ray exec {ONPREM} 'bash ~/submitted/night-1/sweep.sh resume'",
        f"results  ray rsync-down {ONPREM} /shared/sweeps/night-1/ results/night-1/",
        f"end      starling cluster down {ONPREM}",
    ]
    text = submit.next_steps(load(ONPREM), job(tree, storage="s3://bucket/x"))
    assert "results  starling status s3://bucket/x/night-1" in text.splitlines()


class Head:
    """A cluster's head instead of Ray's launcher: what it is told, in order."""

    def __init__(self, monkeypatch, up):
        self.said = []
        monkeypatch.setattr(lifecycle, "checked", load)
        monkeypatch.setattr(launcher, "head_address", lambda cluster: "10.0.0.1" if up else None)
        monkeypatch.setattr(launcher, "show", lambda cluster, *words: self.said.append(words))
        monkeypatch.setattr(launcher, "answer", self.answer)
        monkeypatch.setattr(launcher, "send", self.send)

    def answer(self, cluster, text):
        self.said.append(text)
        return "3"  # nodes

    def send(self, cluster, source, target):
        names = sorted(str(one.relative_to(source)) for one in source.rglob("*") if one.is_file())
        self.said.append((target, names))


COPIED = ("~/submitted/night-1", ["sweep.sh", "tree/model.py", "tree/my recipes/train.py"])
MADE = "mkdir -p ~/submitted && (mkdir ~/submitted/night-1 || { echo choose another --name; exit 1; })"
STARTED = "bash ~/submitted/night-1/sweep.sh start 2>&1"


@pytest.mark.parametrize("up", [True, False])
def test_the_cost_is_said_first_then_the_cluster_started_if_need_be_the_tree_sent_and_the_sweep_started(
    up, tree, monkeypatch
):
    head, lines = Head(monkeypatch, up), []
    submit.submit(ONPREM, job(tree), cost=lambda cluster: "$12 to $40", yes=True, say=lines.append)
    start = [] if up else [("up", "--yes", "--no-config-cache"), lifecycle.NODES]
    assert head.said == [*start, MADE, COPIED, STARTED]
    assert lines[0] == "$12 to $40"
    assert "stays here, as it looks like a secret: .env" in lines[1]
    assert lines[-1].startswith("night-1 runs on starling-onprem\n\nfollow   ray exec")


def test_nothing_is_started_where_nobody_agrees(tree, monkeypatch):
    head = Head(monkeypatch, up=True)
    monkeypatch.setattr("sys.stdin", io.StringIO("y"))
    with pytest.raises(
        ValueError, match=r"Submit night-1 to starling-onprem\?\nnobody is there to answer; say --yes"
    ):
        submit.submit(ONPREM, job(tree), cost=lambda cluster: "", say=lambda line: None)
    assert head.said == []
