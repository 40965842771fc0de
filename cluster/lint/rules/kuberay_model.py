"""Every key of a RayCluster, a RayJob or a NetworkPolicy, against the model of KubeRay and of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.lint.finding import Finding, Subject
from cluster.lint.kubernetes_model import deviations

KINDS = ("kuberay", "policy")


def check(subject: Subject) -> Iterator[Finding]:
    """Misspelt and misplaced keys, values of another type, words that are not known, however deep."""
    for one in deviations((), subject.content, str(subject.content["kind"])):
        yield subject.found(
            "error",
            one.where,
            one.what,
            "Kubernetes drops it without a word" if one.dropped else "Kubernetes refuses the file",
            one.fix,
        )
