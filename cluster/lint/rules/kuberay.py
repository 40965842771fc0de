"""What a RayCluster or RayJob asks of KubeRay: the autoscaler, the token, and who may reach the pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from cluster import pods
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.limits import MANY
from cluster.pods import mapping
from cluster.yaml_lines import Where, documents

KINDS = ("kuberay",)

WORDS = {"upscalingMode": ("Default", "Aggressive", "Conservative"), "version": ("v1", "v2")}


def check(subject: Subject) -> Iterator[Finding]:
    """From the outside in."""
    content = subject.content
    if content.get("apiVersion") != "ray.io/v1":
        yield subject.found(
            "error",
            ("apiVersion",),
            f"apiVersion is {content.get('apiVersion')}",
            "KubeRay 1.6 serves ray.io/v1 alone",
            "write apiVersion: ray.io/v1",
        )
    at, spec = ray_cluster(subject)
    if content["kind"] == "RayJob":
        yield from _job(subject, mapping(content.get("spec")))
    if str(spec.get("rayVersion")) != version("ray"):
        yield subject.found(
            "error",
            (*at, "rayVersion"),
            f"rayVersion is {spec.get('rayVersion')}",
            f"this machine has {version('ray')}: jobs are submitted in another version's protocol",
            f"write rayVersion: {version('ray')}, and the same Ray in the image",
        )
    yield from _autoscaler(subject, at, spec)
    yield from _token(subject, at, spec)
    if not _fenced(subject, mapping(spec.get("headGroupSpec"))):
        yield subject.found(
            "warning",
            (*at, "headGroupSpec"),
            "no NetworkPolicy beside this file selects the pods",
            "every pod of the Kubernetes cluster reaches Ray's ports; the token goes over them unencrypted",
            "write one: cluster/kuberay/networkpolicy.yaml",
        )


def ray_cluster(subject: Subject) -> tuple[Where, Mapping[str, Any]]:
    """Where the Ray cluster is described, and how: a RayJob has it one level deeper."""
    spec = mapping(subject.content.get("spec"))
    if subject.content["kind"] == "RayJob":
        return ("spec", "rayClusterSpec"), mapping(spec.get("rayClusterSpec"))
    return ("spec",), spec


def groups(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The worker groups of a Ray cluster."""
    found = spec.get("workerGroupSpecs")
    return [mapping(one) for one in found] if isinstance(found, list) else []


def _job(subject: Subject, spec: Mapping[str, Any]) -> Iterator[Finding]:
    if spec.get("shutdownAfterJobFinishes") is not True:
        yield subject.found(
            "error",
            ("spec", "shutdownAfterJobFinishes"),
            "the cluster stays when the job has ended",
            "its head is paid for until somebody finds it",
            "write shutdownAfterJobFinishes: true",
        )
    if "activeDeadlineSeconds" not in spec:
        yield subject.found(
            "warning",
            ("spec", "activeDeadlineSeconds"),
            "the job may run for ever",
            "a sweep that hangs is paid for until somebody finds it",
            "write activeDeadlineSeconds",
        )


def _autoscaler(subject: Subject, at: Where, spec: Mapping[str, Any]) -> Iterator[Finding]:
    if spec.get("enableInTreeAutoscaling") is not True:
        yield subject.found(
            "error",
            (*at, "enableInTreeAutoscaling"),
            "the autoscaler is off",
            "no pod comes when trials wait, and none goes when they have ended",
            "write enableInTreeAutoscaling: true",
        )
        return
    where = (*at, "autoscalerOptions")
    options = mapping(spec.get("autoscalerOptions"))
    for key, words in WORDS.items():
        if key in options and options[key] not in words:
            yield subject.found(
                "error",
                (*where, key),
                f"{key} is {options[key]!r}",
                "Kubernetes refuses the file",
                f"write one of {', '.join(words)}",
            )
    if options.get("version") == "v1":
        yield subject.found(
            "warning",
            (*where, "version"),
            "autoscaler v1",
            "it ignores priority and idleTimeoutSeconds of a group, and Ray will drop it",
            "write version: v2",
        )
    elif "version" not in options:
        yield subject.found(
            "warning",
            (*where, "version"),
            "the autoscaler's version is left to Ray's default",
            "it changed once, and settings with it",
            "write version: v2",
        )
    cluster = subject.cluster
    if (
        cluster is not None
        and cluster.max_workers >= MANY
        and cluster.launches < min(cluster.max_workers, 50)
    ):
        yield subject.found(
            "warning",
            (*where, "env"),
            f"at most {cluster.launches} of {cluster.max_workers} pods may be starting at a time",
            "Ray's default of 10 makes 200 nodes take several minutes more",
            'add to env {name: AUTOSCALER_MAX_CONCURRENT_LAUNCHES, value: "100"}',
        )


def _token(subject: Subject, at: Where, spec: Mapping[str, Any]) -> Iterator[Finding]:
    options = mapping(spec.get("authOptions"))
    by_hand = all(
        pods.environment(container).get("RAY_AUTH_MODE") == "token"
        for group in (spec.get("headGroupSpec"), *groups(spec))
        for container in pods.containers(group)[:1]
    )
    if options.get("mode") != "token" and not by_hand:
        yield subject.found(
            "error",
            (*at, "authOptions"),
            "Ray asks for no token",
            "every pod that reaches one of Ray's ports runs code there (CVE-2023-48022)",
            "write authOptions: {mode: token}",
        )


def _fenced(subject: Subject, head: Mapping[str, Any]) -> bool:
    """Whether a NetworkPolicy of a file beside this one selects the head."""
    labels = mapping(mapping(mapping(head.get("template")).get("metadata")).get("labels"))
    for file in subject.path.parent.glob("*.yaml"):
        try:
            found = documents(file)
        except ValueError:
            continue  # that file is not the one examined
        for one in found:
            if one.content.get("kind") == "NetworkPolicy":
                selector = mapping(mapping(one.content.get("spec")).get("podSelector"))
                if mapping(selector.get("matchLabels")).items() <= labels.items():
                    return True
    return False
