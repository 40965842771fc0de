"""The keys of KubeRay's own objects, up to its version 1.6: Kubernetes drops others without a word.

Written down from its API reference and documentation, not made from its CRD; `kubectl apply --dry-run=server`
has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.kuberay import groups, ray_cluster
from cluster.nearest import nearest
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("kuberay",)

JOB = (
    "activeDeadlineSeconds backoffLimit clusterSelector deletionStrategy entrypoint entrypointNumCpus "
    "entrypointNumGpus entrypointResources jobId managedBy metadata preRunningDeadlineSeconds rayClusterSpec "
    "runtimeEnvYAML shutdownAfterJobFinishes submissionMode submitterConfig submitterPodTemplate suspend "
    "ttlSecondsAfterFinished"
)
CLUSTER = (
    "authOptions autoscalerOptions enableInTreeAutoscaling gcsFaultToleranceOptions headGroupSpec "
    "headServiceAnnotations managedBy rayVersion suspend upgradeStrategy workerGroupSpecs"
)
AUTOSCALER = (
    "env envFrom idleTimeoutSeconds image imagePullPolicy resources securityContext upscalingMode version "
    "volumeMounts"
)
TOKEN = "enableK8sTokenAuth mode secretName"
GROUP = "labels rayStartParams resources template"
HEAD = GROUP + " enableIngress headService serviceType"
WORKER = GROUP + (
    " groupName idleTimeoutSeconds maxReplicas minReplicas numOfHosts priority replicas scaleStrategy suspend"
)


def check(subject: Subject) -> Iterator[Finding]:
    """From the outside in."""
    at, spec = ray_cluster(subject)
    if at != ("spec",):
        yield from _unknown(subject, ("spec",), mapping(subject.content.get("spec")), JOB)
    yield from _unknown(subject, at, spec, CLUSTER)
    for key, known in (("autoscalerOptions", AUTOSCALER), ("authOptions", TOKEN), ("headGroupSpec", HEAD)):
        yield from _unknown(subject, (*at, key), mapping(spec.get(key)), known)
    for i, group in enumerate(groups(spec)):
        yield from _unknown(subject, (*at, "workerGroupSpecs", i), group, WORKER)


def _unknown(subject: Subject, where: Where, given: Mapping[str, Any], known: str) -> Iterator[Finding]:
    names = known.split()
    for key in given:
        if key not in names:
            near = nearest(key, names, shown=0)
            yield subject.found(
                "error" if near else "warning",
                (*where, key),
                f"KubeRay 1.6 knows no key {key!r} here",
                "Kubernetes drops it without a word",
                f"correct or remove it{near}",
            )
