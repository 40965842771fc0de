"""A RayJob: what it runs, how often, how long, and what stays afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from cluster.lint.finding import Finding, Subject
from cluster.lint.starling_command import faults, largest_rank
from cluster.nearest import nearest
from cluster.pods import mapping

KINDS = ("kuberay",)

SHORT_S, LONG_S = 3600, 60 * 86_400
"""Deadlines: below the first a sweep has hardly begun, above the second there is none."""
KEPT_S = 86_400
ENVIRONMENT = (
    "pip",
    "conda",
    "uv",
    "env_vars",
    "working_dir",
    "py_modules",
    "py_executable",
    "excludes",
    "config",
    "image_uri",
    "container",
    "worker_process_setup_hook",
    "nsight",
    "mpi",
)
"""Keys of Ray's runtime environments."""


def check(subject: Subject) -> Iterator[Finding]:
    """Nothing of a RayCluster."""
    if subject.content["kind"] != "RayJob":
        return
    spec = mapping(subject.content.get("spec"))
    yield from _end(subject, spec)
    entrypoint = spec.get("entrypoint")
    if not entrypoint and spec.get("submissionMode") != "InteractiveMode":
        yield subject.found(
            "error",
            ("spec", "entrypoint"),
            "there is no entrypoint",
            "the job runs nothing",
            "write the sweep's command",
        )
    for what, why, fix in faults(str(entrypoint or ""), on_nodes=True):
        yield subject.found("error", ("spec", "entrypoint"), what, why, fix)
    yield from _environment(subject, spec.get("runtimeEnvYAML"))
    yield from _rank(subject, str(entrypoint or ""))
    for key in ("entrypointNumGpus", "entrypointNumCpus"):
        if spec.get(key):
            yield subject.found(
                "error",
                ("spec", key),
                f"the sweep's driver asks for {key.removeprefix('entrypointNum')}",
                "the head offers none: it waits for ever, or takes a worker's place",
                f"drop {key}",
            )
    if not spec.get("backoffLimit"):
        yield subject.found(
            "warning",
            ("spec", "backoffLimit"),
            "the job is not tried again",
            "a lost head ends the sweep, though `starling resume` could go on where it was",
            "write backoffLimit: 3",
        )
    if spec.get("suspend") is True:
        yield subject.found(
            "error", ("spec", "suspend"), "the job is suspended", "it never starts", "drop suspend"
        )
    if spec.get("clusterSelector") and spec.get("rayClusterSpec"):
        yield subject.found(
            "error",
            ("spec", "clusterSelector"),
            "clusterSelector beside rayClusterSpec",
            "KubeRay runs the job on the other cluster, without this one",
            "keep one of the two",
        )


def _environment(subject: Subject, text: Any) -> Iterator[Finding]:
    if not isinstance(text, str):
        return  # another type is said by kuberay_model
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError:
        read = None
    unknown = (
        [key for key in read if key not in ENVIRONMENT] if isinstance(read, dict) else ["no YAML mapping"]
    )
    for key in unknown:
        yield subject.found(
            "error",
            ("spec", "runtimeEnvYAML"),
            f"a runtime environment with {key!r}",
            "Ray refuses the job",
            f"correct it{nearest(key, ENVIRONMENT)}",
        )


def _rank(subject: Subject, command: str) -> Iterator[Finding]:
    """A rank never spans pods."""
    cluster = subject.cluster
    for name, amount in largest_rank(command).items():
        most = max((one.resources.get(name, 0) for one in cluster.workers), default=0) if cluster else amount
        if amount > most:
            yield subject.found(
                "error",
                ("spec", "entrypoint"),
                f"a rank asks for {amount:g} {name}s; the largest pod has {most:g}",
                "no trial ever fits: the sweep ends at once",
                f"ask for {most:g} at most, or make pods larger",
            )


def _end(subject: Subject, spec: Mapping[str, Any]) -> Iterator[Finding]:
    if spec.get("shutdownAfterJobFinishes") is not True and not spec.get("deletionStrategy"):
        yield subject.found(
            "error",
            ("spec", "shutdownAfterJobFinishes"),
            "the cluster stays when the job has ended",
            "its head is paid for until somebody finds it",
            "write shutdownAfterJobFinishes: true",
        )
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is None or (isinstance(deadline, int) and deadline > LONG_S):
        yield subject.found(
            "warning",
            ("spec", "activeDeadlineSeconds"),
            "the job may run for ever"
            if deadline is None
            else f"the deadline is {deadline / 86_400:.0f} days",
            "a sweep that hangs is paid for until somebody finds it",
            "write activeDeadlineSeconds: 604800, which is a week",
        )
    elif isinstance(deadline, int) and deadline < SHORT_S:
        yield subject.found(
            "error" if deadline <= 0 else "warning",
            ("spec", "activeDeadlineSeconds"),
            f"the deadline is {deadline} s, starting of nodes included",
            "the sweep is ended before it has begun",
            "write seconds: 604800 is a week",
        )
    kept = spec.get("ttlSecondsAfterFinished", 0)
    if isinstance(kept, int) and not 0 <= kept <= KEPT_S:
        yield subject.found(
            "warning" if kept > 0 else "error",
            ("spec", "ttlSecondsAfterFinished"),
            f"the cluster is kept {kept} s after the job's end",
            "it is paid for so long" if kept > 0 else "Kubernetes refuses it",
            "write 300",
        )
