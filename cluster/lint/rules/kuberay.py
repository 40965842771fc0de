"""What a RayCluster or RayJob asks of KubeRay: the autoscaler, the token, and who may reach the pods."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from cluster import pods
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.limits import MANY
from cluster.lint.rules.network_policy import open_rules
from cluster.pods import mapping
from cluster.yaml_lines import Where, documents

KINDS = ("kuberay",)

NAME = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
LONGEST = 47
"""Letters of a cluster's name: KubeRay makes names of services from it, of 63 at most."""


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
    if str(spec.get("rayVersion")) != version("ray"):
        yield subject.found(
            "error",
            (*at, "rayVersion"),
            f"rayVersion is {spec.get('rayVersion')}",
            f"this machine has {version('ray')}: jobs are submitted in another version's protocol",
            f"write rayVersion: {version('ray')}, and the same Ray in the image",
        )
    name = str(mapping(content.get("metadata")).get("name", ""))
    if not re.fullmatch(NAME, name) or len(name) > LONGEST:
        yield subject.found(
            "error",
            ("metadata", "name"),
            f"the name is {name!r}",
            "Kubernetes refuses it, or a service made of it",
            f"write small letters, digits and -, {LONGEST} at most",
        )
    yield from _names(subject, at, spec)
    yield from _autoscaler(subject, at, spec)
    yield from _token(subject, at, spec)
    every = [("headGroupSpec",), *(("workerGroupSpecs", i) for i in range(len(groups(spec))))]
    for inner, group in zip(every, (mapping(spec.get("headGroupSpec")), *groups(spec)), strict=True):
        if _fenced(subject, group):
            continue
        yield subject.found(
            "warning",
            (*at, *inner),
            "no NetworkPolicy beside this file selects the pods and keeps others out",
            "every pod of the Kubernetes cluster reaches Ray's ports; the token goes over them unencrypted",
            "write one: cluster/kuberay/networkpolicy.yaml",
        )


def _names(subject: Subject, at: Where, spec: Mapping[str, Any]) -> Iterator[Finding]:
    seen: set[str] = set()
    for i, group in enumerate(groups(spec)):
        name = str(group.get("groupName"))
        if name in seen or not re.fullmatch(NAME, name):
            yield subject.found(
                "error",
                (*at, "workerGroupSpecs", i, "groupName"),
                f"a group is called {name}" + (", as another is" if name in seen else ""),
                "KubeRay refuses the file",
                "write small letters, digits and -, each name once",
            )
        seen.add(name)
    if not groups(spec):
        yield subject.found(
            "error",
            (*at, "workerGroupSpecs"),
            "there is no group of workers",
            "the head takes no trials: nothing ever runs",
            "add one",
        )
    if spec.get("suspend") is True:
        yield subject.found(
            "error", (*at, "suspend"), "the cluster is suspended", "no pod is ever started", "drop suspend"
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


def _fenced(subject: Subject, group: Mapping[str, Any]) -> bool:
    """Whether a NetworkPolicy of a file beside this one selects a group's pods, and lets in no stranger."""
    labels = mapping(mapping(mapping(group.get("template")).get("metadata")).get("labels"))
    for file in subject.path.parent.glob("*.yaml"):
        try:
            found = documents(file)
        except ValueError:
            continue  # that file is not the one examined
        for one in found:
            if one.content.get("kind") == "NetworkPolicy":
                spec = mapping(one.content.get("spec"))
                chosen = mapping(mapping(spec.get("podSelector")).get("matchLabels"))
                if chosen.items() <= labels.items() and next(open_rules(spec), None) is None:
                    return True
    return False
