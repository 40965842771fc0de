"""`starling cluster submit`: a sweep sent to a cluster, where it goes on by itself.

The working tree goes to the head, into a folder that stays (a resume loads the sweep's files from it). From
there a script hands the sweep to Ray as a job: Ray, and no SSH session, keeps it alive, and every node that
joins, however late, gets the same tree from the head. All of it travels over SSH; nothing else is opened.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import launcher, lifecycle
from cluster.cluster_file import Cluster
from cluster.working_tree import Tree

FOLDER = "~/submitted"
"""On the head: a folder for each sweep, with its script and its tree."""
SCRIPT = "sweep.sh"
STOP_S = 60
"""What a sweep is given to close after `ray job stop`; Ray's own 3 s would cut off its last lines."""

TEMPLATE = r"""#!/bin/bash
# The sweep {name}, as `starling cluster submit` sent it. In a login shell on the cluster's head:
#   bash {script} start    hand it to Ray as a job, which outlives the shell
#   bash {script} resume   the same, after a crash or a stop
#   bash {script} status
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
job() {{  # its name, what to do
  RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1 ray job submit --address auto --no-wait --submission-id "$1" \
    --metadata-json '{{"sweep": "{name}"}}' \
    --runtime-env-json '{{"env_vars": {{"RAY_JOB_STOP_WAIT_TIME_S": "{stop_s}"}}}}' \
    --working-dir "$here/tree" -- bash "$here/{script}" "$2" "$(command -v python)"
}}
starling() {{  # which Python, the words
  cd "$here/tree"/{folder}
  export PYTHONPATH="$here/tree${{PYTHONPATH:+:$PYTHONPATH}}"
  "$1" -m sweeps "${{@:2}}"
}}
case $1 in
  start) job {name} run ;;
  resume) job "{name}-$(date +%Y%m%d-%H%M%S)" again ;;
  run) starling "$2" {run} ;;
  again) starling "$2" {resume} ;;
  status) starling python {status} ;;
esac
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A sweep that is to be sent."""

    name: str
    """Of the sweep, of Ray's job and of the folder on the head: letters, digits, `-`, `_` and `.`."""
    tree: Tree
    folder: str
    """Where in the tree it runs; `.` for its top."""
    run: Sequence[str]
    """The words after `starling` that run it there, as ["run", "train.py", "--trials", "64"]."""
    storage: str
    """Where its results go, as the sweep says."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise ValueError(
                f"name: {self.name!r} will name a folder on the head; use letters, digits, `-`, `_` and `.`"
            )

    @property
    def results(self) -> str:
        """The sweep's folder, as `starling status` takes it on the head."""
        base, mark, query = self.storage.partition("?")
        return f"{base.rstrip('/')}/{self.name}{mark}{query}"

    def script(self) -> str:
        """What starts, resumes and shows it on the head."""
        return TEMPLATE.format(
            name=self.name,
            script=SCRIPT,
            stop_s=STOP_S,
            folder=shlex.quote(self.folder),
            run=shlex.join(self.run),
            resume=shlex.join(["resume", self.results, "--address", "auto"]),
            status=shlex.join(["status", self.results]),
        )


def submit(
    path: str | os.PathLike[str],
    job: Job,
    *,
    cost: Callable[[Cluster], str],
    yes: bool = False,
    say: lifecycle.Print = print,
) -> None:
    """Send a sweep to a cluster, which is started if it is not up, and return once it runs there.

    Args:
        path: the cluster's YAML.
        job: what is sent.
        cost: says what it will take there, for the user to agree to.
        yes: they did so already.
        say: what prints a line.

    Raises:
        ValueError: lint finds errors, the results would be lost, the name is taken, or the user says no.
        LauncherError: the cluster did not start, or did not take the job.
    """
    cluster = lifecycle.checked(path)
    refuse_lost_results(cluster, job)
    say(cost(cluster))
    say(f"\n{sent(job)}")
    is_up = launcher.head_address(cluster) is not None
    if not is_up:
        say(lifecycle.starts(cluster))
    lifecycle.agree(f"Submit {job.name} to {cluster.name}?", yes)
    if not is_up:
        lifecycle.start(cluster, say)
    say(f"sending {len(job.tree.files)} files to the head of {cluster.name}")
    target = f"{FOLDER}/{job.name}"
    make = f"mkdir -p {FOLDER} && (mkdir {target} || {{ echo choose another --name; exit 1; }})"
    launcher.answer(cluster, make)
    with tempfile.TemporaryDirectory(prefix="starling-") as staged:
        job.tree.copy(Path(staged, "tree"))
        Path(staged, SCRIPT).write_text(job.script())
        launcher.send(cluster, Path(staged), target)
    launcher.answer(cluster, f"bash {target}/{SCRIPT} start 2>&1")
    say(f"{job.name} runs on {cluster.name}\n\n{next_steps(cluster, job)}")


def sent(job: Job) -> str:
    """Which files are sent, and which stay."""
    kind = "tracked, and untracked that no .gitignore names" if job.tree.git else "all but hidden folders"
    text = f"sends {len(job.tree.files)} files, {job.tree.size_mib:.1f} MiB, of {job.tree.root} ({kind})"
    if job.tree.left:
        text += f"\nstays here, as it looks like a secret: {', '.join(map(str, job.tree.left))}"
    return text


def refuse_lost_results(cluster: Cluster, job: Job) -> None:
    """ValueError where trials on other nodes could not write their checkpoints."""
    if cluster.workers and "://" not in job.storage and not os.path.isabs(job.storage):
        store = {"aws": "s3://BUCKET/sweeps", "gcp": "gs://BUCKET/sweeps", "azure": "abfs://..."}
        raise ValueError(
            f"storage: {job.storage!r} is a folder on the head, which trials elsewhere cannot reach; give "
            "a store or a folder that all nodes share, for example "
            f"--storage {store.get(cluster.provider, '/SHARED/FOLDER')}"
        )


def next_steps(cluster: Cluster, job: Job) -> str:
    """How to follow, stop, resume and fetch it, each one command."""
    path = shlex.quote(os.fspath(cluster.path))

    def there(*words: str) -> str:
        return f"ray exec {path} {shlex.quote(shlex.join(words))}"

    remote = shlex.quote(f"{job.results}/")
    fetch = (
        f"starling status {shlex.quote(job.results)}"
        if "://" in job.storage
        else f"ray rsync-down {path} {remote} {shlex.quote(f'results/{job.name}/')}"
    )
    script = f"{FOLDER}/{job.name}/{SCRIPT}"  # no quotes, which would keep `~` as it is
    return "\n".join(
        (
            f"follow   {there('ray', 'job', 'logs', '--follow', job.name)}",
            f"look     starling cluster status {path}",
            f"stop     {there('ray', 'job', 'stop', job.name)}",
            f"resume   ray exec {path} 'bash {script} resume'",
            f"results  {fetch}",
            f"end      starling cluster down {path}",
        )
    )
