"""What ranks print, kept with their trials: the files alone, a process of its own, and real rank actors."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem

from trainables.engine import Task, output
from trainables.engine.output import KeptFiles, Log, secrets

ROOT = Path(__file__).parents[2]
PROCESS = """
import os, subprocess, sys
from trainables.engine.output import Output

one = Output(rank=1)
print("before")
one.turn_to(None, sys.argv[1] + "/a")
print("of a")
print("also of a", file=sys.stderr)
subprocess.run(["echo", "a child's"])
os.write(2, b"from C\\n")
one.turn_to(None, sys.argv[1] + "/silent")
one.turn_to(None, sys.argv[1] + "/b")
print("the key is", os.environ["SOME_API_KEY"])
assert "sesame" not in open(sys.argv[1] + "/b/log-rank1.txt").read()  # not for a moment
try:
    {}["missing"]
except KeyError:
    one.failed()
one.turn_to(None, sys.argv[1] + "/a")
print("of a again")
one.leave()
print("after")
one.turn_to(None, sys.argv[1] + "/b")
print("last words", end="", flush=True)
os.kill(os.getpid(), 9)
"""


def memory():
    return PyFileSystem(FSSpecHandler(MemoryFileSystem(skip_instance_cache=True)))


def stored(filesystem, path):
    with filesystem.open_input_stream(path) as file:
        return file.read()


def test_a_process_keeps_what_it_and_its_children_print_by_trial_also_when_it_is_killed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SOME_API_KEY": "sesame-0123456789"}
    ran = subprocess.run(
        [sys.executable, "-c", PROCESS, tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == -9
    assert (ran.stdout, ran.stderr) == ("before\nafter\n", "")
    a = (tmp_path / "a" / "log-rank1.txt").read_text().splitlines()
    assert a[:4] == ["of a", "also of a", "a child's", "from C"]
    assert a[4].startswith("--- goes on in process ")
    assert a[5:] == ["of a again"]
    assert os.listdir(tmp_path / "silent") == []
    b = (tmp_path / "b" / "log-rank1.txt").read_text()
    assert b.startswith("the key is *****************\nTraceback (most recent call last):\n")
    assert "KeyError: 'missing'\n--- goes on" in b
    assert b.endswith("last words")


def test_a_secret_is_struck_out_wherever_it_lies_and_nothing_else(tmp_path):
    log = Log(tmp_path / "log")
    os.write(log.append, b"1 SECRETSECRET 2 SEC")
    log.keep([b"SECRET"])
    assert (tmp_path / "log").read_bytes() == b"1 ************ 2 SEC"
    os.write(log.append, b"RET 3 SECRE")
    log.keep([b"SECRET"])
    assert (tmp_path / "log").read_bytes() == b"1 ************ 2 ****** 3 SECRE"
    log.close()


def test_secrets_are_values_of_variables_named_so():
    variables = {
        "WANDB_API_KEY": "0123456789", "AWS_SECRET_ACCESS_KEY": "abcdefghij", "HF_TOKEN": "hf_abcdefgh",
        "DB_PASSWORD": "hunter2hunter2", "HOME": "home-is-here", "KEYBOARD": "qwertyuiop",
        "SHORT_TOKEN": "1", "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
    }  # fmt: skip
    assert secrets(variables) == [b"0123456789", b"abcdefghij", b"hf_abcdefgh", b"hunter2hunter2"]


def test_a_file_stays_below_its_size_and_keeps_its_newest_lines(tmp_path):
    log = Log(tmp_path / "log", most=10_000)
    for number in range(5_000):
        os.write(log.append, b"line %d\n" % number)
        if number % 100 == 0:
            log.keep([])
            assert (tmp_path / "log").stat().st_size <= 11_000
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0].startswith("--- ")
    assert lines[0].endswith(" older bytes are left out")
    first = int(lines[1].removeprefix("line "))
    assert lines[1:] == [f"line {number}" for number in range(first, 5_000)]
    log.close()


def test_in_a_store_a_file_is_put_where_it_has_changed_and_an_earlier_attempts_goes_on(monkeypatch):
    filesystem, puts = memory(), []
    put = output._put
    monkeypatch.setattr(output, "_put", lambda *a: puts.append(a[2]) or put(*a))
    log = Log.of_trial(filesystem, "bucket/trials/7", "log-rank0.txt")
    log.keep([])
    assert puts == []  # not a word so far: no file
    os.write(log.append, b"one SECRET\n")
    log.keep([b"SECRET"])
    log.keep([b"SECRET"])
    assert puts == [b"one ******\n"]
    assert stored(filesystem, "bucket/trials/7/log-rank0.txt") == b"one ******\n"
    log.close()
    again = Log.of_trial(filesystem, "bucket/trials/7", "log-rank0.txt")
    os.write(again.append, b"two\n")
    again.keep([])
    lines = stored(filesystem, "bucket/trials/7/log-rank0.txt").splitlines()
    assert lines[0] == b"one ******"
    assert lines[1].startswith(b"--- goes on in process ")
    assert lines[2] == b"two"
    again.close()


def test_a_scripts_files_are_cleaned_in_place_and_copied_to_a_store(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "sesame-0123456789")
    monkeypatch.setattr(output, "LOOK_S", 0.05)
    filesystem = memory()
    kept = KeptFiles(tmp_path, ("stdout.txt", "stderr.txt"), filesystem, "bucket/trials/1")
    with (tmp_path / "stdout.txt").open("a") as file:
        file.write("my token: sesame-0123456789\n")
    end = time.monotonic() + 10
    while "sesame" in (tmp_path / "stdout.txt").read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    kept.close()
    assert stored(filesystem, "bucket/trials/1/stdout.txt") == b"my token: *****************\n"
    local = KeptFiles(tmp_path, ("stdout.txt",), LocalFileSystem(), str(tmp_path))
    local.close()
    assert (tmp_path / "stdout.txt").read_text() == "my token: *****************\n"


class Talkative(Task):
    """Says what it does; breaks on request."""

    def setup(self):
        import torch

        self.train = self.val = (torch.randn(64, 2),)

    def build(self):
        import torch

        print("built with seed", self.config.seed)
        return torch.nn.Linear(2, 1)

    def loss(self, model, batch):
        if self.config.seed == 13:
            raise KeyError("no such pixel")
        return model(batch[0]).square().mean()

    def evaluate(self, model, ranks):
        print("evaluated by", ranks.rank)
        return {"v": 1.0}


@pytest.mark.usefixtures("small_ray")
def test_the_ranks_of_a_crew_write_to_one_trial_after_another_with_their_tracebacks(new_crew, tmp_path):
    from trainables.engine.ddp import TrialFailed

    crew = new_crew(Talkative, ranks=2)
    for trial in ("0", "1"):
        crew.print_to(LocalFileSystem(), f"{tmp_path}/{trial}")
        crew.all("build", {"seed": int(trial), "epochs": 1})
        crew.all("advance")
        crew.all("evaluate")
    crew.print_to(LocalFileSystem(), f"{tmp_path}/2")
    crew.all("build", {"seed": 13, "epochs": 1})
    with pytest.raises(TrialFailed, match="no such pixel"):
        crew.all("advance")
    for rank in (0, 1):
        for trial in ("0", "1"):
            text = (tmp_path / trial / f"log-rank{rank}.txt").read_text()
            assert text == f"built with seed {trial}\nevaluated by {rank}\n"
        broken = (tmp_path / "2" / f"log-rank{rank}.txt").read_text()
        assert broken.startswith("built with seed 13\nTraceback (most recent call last):")
        assert broken.endswith("KeyError: 'no such pixel'\n")
