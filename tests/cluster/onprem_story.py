"""What a user does with cluster/onprem.yaml, from a laptop beside three hosts (see ssh_hosts.py).

python onprem_story.py FOLDER    writes what came of it to FOLDER/story.json
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cluster import launcher
from cluster.cluster_file import Cluster, load

ROOT = Path(__file__).parents[2]
NOTE = 'it\'s 2 words; $HOME "and" $(hostname)'
PORTS = (
    "--metrics-export-port=7001 --dashboard-agent-grpc-port=7002 --dashboard-agent-listen-port=7003 "
    "--runtime-env-agent-port=7004"
)
PATIENTLY = """
for attempt in 1 2 3 4; do
  "$@" && exit
  "$1" stop --force
done
exit 1
"""
ENDED = ("succeeded", "failed", "stopped")

TASK = """
import json, os, socket
from dataclasses import dataclass
from pathlib import Path
import torch
from trainables.engine import Task, Training, hyper
from numbers_of_mine import data

@dataclass(frozen=True, kw_only=True, slots=True)
class Settings(Training):
    note: str = hyper("", "Any text.")
    where: str = hyper("", "Where each rank leaves a note.")

class Mine(Task):
    Config = Settings

    def setup(self):
        self.train, self.val = data(64), data(32)
        seen = {"host": socket.gethostname(), "note": self.config.note, "folder": os.getcwd()}
        Path(self.config.where, f"{socket.gethostname()}-{os.getpid()}.json").write_text(json.dumps(seen))

    def build(self):
        return torch.nn.Linear(4, 1)

    def loss(self, model, batch):
        x, y = batch
        return ((model(x)[:, 0] - y) ** 2).mean()
"""
HELPER = """
import numpy as np

def data(count):
    x = np.random.default_rng(0).normal(size=(count, 4)).astype("float32")
    return x, x.sum(1)
"""
SWEEP = """
from ray import tune
from sweeps import Sweep

sweep = Sweep(
    trainable="mine.py:Mine", space={"lr": tune.loguniform(1e-3, 1e-1)}, trials=2, ranks=2,
    fixed={"epochs": 2},
)
"""


def filled(folder: Path) -> str:
    """onprem.yaml for these hosts, used from another folder than Starling's.

    No network: the environment that runs this is there already, and `pip` has nothing to do. One CPU a
    worker, so that a trial of two ranks needs both. A raylet waits 15 s at most for its agents; on one slow
    machine that takes given ports, workers that start one after another, and patience.
    """
    (folder / "patiently.sh").write_text(PATIENTLY)
    turn = f"flock -o {folder}/turn bash {folder}/patiently.sh"
    text = (ROOT / "cluster" / "onprem.yaml").read_text()
    for old, new in {
        "REPLACE-head": "10.77.0.1",
        "[REPLACE-gpu1, REPLACE-gpu2]": "[10.77.0.2, 10.77.0.3]",
        "ssh_user: ubuntu": "ssh_user: root",
        "~/.ssh/starling.pem": f"{folder}/key",
        "- test -x ~/venv/bin/python": f"- ln -sfn {sys.prefix} ~/venv; test -x ~/venv/bin/python",
        "- ~/venv/bin/pip install": "- ~/venv/bin/python -c 'import ray' || ~/venv/bin/pip install",
        "ray start --head ": f"ray start --head {PORTS} ",
        "~/venv/bin/ray start --address": f"{turn} ~/venv/bin/ray start --address",
        "--address=$RAY_HEAD_IP:6379": f"--address=$RAY_HEAD_IP:6379 {PORTS} --num-cpus=1",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    for name in re.findall(r"~/starling/\S+: (\S+)", text):
        text = text.replace(f": {name}\n", f": {ROOT}/{name}\n")
    return text


def project(folder: Path) -> Path:
    """A user's repository: a sweep, its task, and a module that the task imports."""
    home = folder / "laptop" / "project"
    home.mkdir()
    for name, text in {
        "mine.py": TASK,
        "numbers_of_mine.py": HELPER,
        "sweep.py": SWEEP,
        ".env": "KEY=1",
    }.items():
        (home / name).write_text(text)
    subprocess.run(["git", "init", "-q", home], check=True)
    return home


class Laptop:
    """A terminal in the user's repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def call(self, module: str, *words: object) -> dict[str, Any]:
        """`python -m MODULE ...`: its exit code, what it said, and how long it took."""
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, words)], cwd=self.folder, capture_output=True, text=True
        )
        took = round(time.monotonic() - start, 1)
        print(*words, done.returncode, took, done.stdout[-3000:], done.stderr[-3000:], sep="\n", flush=True)
        return {"code": done.returncode, "out": done.stdout, "err": done.stderr, "s": took}

    def cluster(self, *words: object) -> dict[str, Any]:
        """`starling cluster ...`."""
        return self.call("sweeps", "cluster", *words)


def wait_for_job(cluster: Cluster, name: str, limit_s: float = 400.0) -> str:
    """How it ended."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        said = launcher.answer(cluster, f"ray job status {name} 2>&1").lower()
        for word in ENDED:
            if word in said:
                return word
        time.sleep(3.0)
    return "still running"


def main() -> None:
    """The whole way."""
    folder = Path(sys.argv[1])
    shared, notes, yaml = folder / "shared", folder / "notes", folder / "lab.yaml"
    notes.mkdir()
    yaml.write_text(filled(folder))
    laptop, cluster = Laptop(project(folder)), load(yaml)
    seen: dict[str, Any] = {"up": laptop.cluster("up", yaml, "--yes")}
    try:
        night = ("submit", yaml, "sweep.py", "--yes", "--name", "night", "--storage", shared)
        seen["submit"] = laptop.cluster(*night, "--set", f"note={NOTE}", "--set", f"where={notes}")
        seen["status"] = laptop.cluster("status", yaml)
        seen["ended"] = wait_for_job(cluster, "night")
        seen["log"] = launcher.answer(cluster, "ray job logs night 2>&1")
        modes = "stat -c '%a' ~/.starling/token ~/.starling/token/auth_token"
        seen["head"] = launcher.answer(
            cluster,
            f"{modes}; cd ~/submitted/night && find . -name '*.py' -o -name '*.sh' -o -name '.env' | sort",
        ).split()
        seen["again"] = laptop.cluster(*night)
        quick = (
            "--trials",
            1,
            "--max-iterations",
            1,
            "--set",
            "epochs=1",
            "--storage",
            shared,
            "--name",
            "by-ray",
        )
        recipe = ROOT / "sweeps/recipes/quickstart.py"
        seen["ray submit"] = laptop.call(
            "ray.scripts.scripts", "submit", yaml, recipe, "--address", "auto", *quick
        )
        seen["notes"] = [json.loads(one.read_text()) for one in sorted(notes.iterdir())]
        for name in ("night", "by-ray"):
            seen[name] = json.loads(laptop.call("sweeps", "status", shared / name, "--json")["out"])
    finally:
        seen["down"] = laptop.cluster("down", yaml, "--yes")
        (folder / "story.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
