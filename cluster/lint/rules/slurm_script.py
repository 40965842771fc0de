"""A batch script as the shell sees it: whether it can be read, and names only variables that are there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

from cluster.lint.batch_script import code, variables
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.shell import HARM, fault
from cluster.nearest import nearest

KINDS = ("slurm",)

NAMES = (
    "ARRAY_JOB_ID ARRAY_TASK_COUNT ARRAY_TASK_ID ARRAY_TASK_MAX ARRAY_TASK_MIN CLUSTER_NAME CONF "
    "CPUS_ON_NODE  CPUS_PER_GPU CPUS_PER_TASK DISTRIBUTION EXPORT_ENV GPUS GPUS_ON_NODE "
    "GPUS_PER_NODE GPUS_PER_TASK GTIDS  JOBID JOB_ACCOUNT JOB_CPUS_PER_NODE JOB_DEPENDENCY "
    "JOB_END_TIME JOB_GID JOB_GPUS JOB_ID JOB_NAME  JOB_NODELIST JOB_NUM_NODES JOB_PARTITION JOB_QOS "
    "JOB_RESERVATION JOB_START_TIME JOB_UID JOB_USER LOCALID  MEM_PER_CPU MEM_PER_GPU MEM_PER_NODE "
    "NNODES NODEID NODELIST NODE_ALIASES NPROCS NTASKS NTASKS_PER_CORE  NTASKS_PER_GPU "
    "NTASKS_PER_NODE PROCID RESTART_COUNT STEP_ID SUBMIT_DIR SUBMIT_HOST TASKS_PER_NODE  TASK_PID "
    "TMPDIR TOPOLOGY_ADDR"
)
SLURMS = [f"SLURM_{name}" for name in NAMES.split()]
"""Variables that Slurm sets in a job."""


def check(subject: Subject) -> Iterator[Finding]:
    """Nothing is run: bash only reads it."""
    bash = shutil.which("bash")
    if bash is not None and (said := fault(bash, subject.text)):
        number = re.match(r"(\d+)", said)
        yield subject.found_in_line(
            "error",
            int(number[1]) if number else 1,
            f"the shell cannot read it: {said}",
            "the job ends there",
            "correct its quotes and brackets",
        )
    plain = code(subject.text)
    first = subject.text.partition("\n")[0]
    if not re.match(r"#!.*\b(bash|zsh)\b", first):
        yield subject.found_in_line(
            "error",
            1,
            f"the script begins with {first!r}",
            "sbatch refuses it, or another shell stumbles over arrays and pipefail",
            "write #!/bin/bash",
        )
    if not re.search(r"\bactivate\b|\bmodule load\b|\bPATH=|\bconda\b|apptainer|singularity", plain):
        yield subject.found_in_line(
            "warning",
            1,
            "no environment is activated",
            "ray and starling are those of whoever typed sbatch, if there are any",
            'write . "$HOME/venv/bin/activate"',
        )
    if "RAY_AUTH_MODE=token" in plain and "access_token" not in plain and "get-auth-token" not in plain:
        yield subject.found_in_line(
            "warning",
            1,
            "nobody makes the token",
            "the first job on this site ends where Ray looks for it",
            "write python -c 'from cluster import access_token; access_token.ensure()'",
        )
    if not re.search(r"^\s*set -\w*e", plain, re.MULTILINE):
        yield subject.found_in_line(
            "warning",
            1,
            "no `set -e`",
            "a step that fails is passed over, and the job runs on without what it makes",
            "write set -euo pipefail",
        )
    yield from _unknown(subject, plain)
    for number_, line in enumerate(plain.splitlines(), 1):
        for pattern, level, why, fix in HARM:
            if found := re.search(pattern, line):
                yield subject.found_in_line(level, number_, found[0].strip()[:60], why, fix)


def _unknown(subject: Subject, plain: str) -> Iterator[Finding]:
    own = set(variables(subject.text)) | set(re.findall(r"\b(?:for|read(?: -\w+)*)\s+(\w+)", plain))
    told: set[str] = set()
    for number, line in enumerate(plain.splitlines(), 1):
        bare = re.sub(r"'[^']*'", "", line)
        used = re.findall(r"\$\{?([A-Za-z_]\w*)(?![\w]*:?[-=?+])", bare)
        used += [
            name
            for sum_ in re.findall(r"\$\(\((.*?)\)\)", bare)
            for name in re.findall(r"[A-Za-z_]\w*", sum_)
        ]
        for name in used:
            near = nearest(name, [*own, *SLURMS], shown=0)
            unknown = name not in own and name not in SLURMS
            if unknown and name not in told and (name.startswith("SLURM_") or name.islower()):
                told.add(name)
                yield subject.found_in_line(
                    "error",
                    number,
                    f"${name} is set by nobody",
                    "the job ends there, or goes on with nothing",
                    f"correct it{near}",
                )
