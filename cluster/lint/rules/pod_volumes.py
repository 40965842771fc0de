"""Volumes of KubeRay's pods: they exist, shared memory fits into the pod, nothing is the machine's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from cluster import pods
from cluster.lint.finding import Finding, Subject
from cluster.lint.rules.pod_sizes import ray_groups
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("kuberay",)


def check(subject: Subject) -> Iterator[Finding]:
    """The head's pod, then each group's."""
    for where, group, head in ray_groups(subject):
        at = (*where, "template", "spec")
        pod = pods.pod(group)
        volumes = _named(pod.get("volumes"))
        for name, count in Counter(str(one.get("name")) for one in volumes).items():
            if count > 1:
                yield _refused(subject, (*at, "volumes"), f"two volumes are called {name}", "rename one")
        known = {str(one.get("name")) for one in volumes}
        for i, container in enumerate(pods.containers(group)):
            mounts = _named(container.get("volumeMounts"))
            inside = (*at, "containers", i, "volumeMounts")
            for j, mount in enumerate(mounts):
                if str(mount.get("name")) not in known:
                    names = ", ".join(sorted(known))
                    yield _refused(
                        subject,
                        (*inside, j),
                        f"there is no volume {mount.get('name')}",
                        f"write one of {names}",
                    )
            for path, count in Counter(str(one.get("mountPath")) for one in mounts).items():
                if count > 1:
                    yield _refused(subject, inside, f"two volumes at {path}", "give each its own path")
                if not path.startswith("/"):
                    yield _refused(subject, inside, f"mountPath is {path}", "write a full path")
        if not head and not _has_shared_memory(pods.containers(group), volumes):
            yield subject.found(
                "warning",
                (*at, "containers", 0, "volumeMounts"),
                "nothing in memory is mounted at /dev/shm",
                "it has 64 MB: Ray's object store falls back to the disk, and loaders of data crash",
                "write a volume emptyDir: {medium: Memory, sizeLimit: ...}, and mount it at /dev/shm",
            )
        for j, volume in enumerate(volumes):
            yield from _volume(subject, (*at, "volumes", j), volume, group)


def _has_shared_memory(containers: list[Mapping[str, Any]], volumes: list[Mapping[str, Any]]) -> bool:
    mounted = {
        str(one.get("name"))
        for one in _named((containers or [{}])[0].get("volumeMounts"))
        if one.get("mountPath") == "/dev/shm"
    }
    return any(
        str(one.get("name")) in mounted and mapping(one.get("emptyDir")).get("medium") == "Memory"
        for one in volumes
    )


def _volume(
    subject: Subject, where: Where, volume: Mapping[str, Any], group: Mapping[str, Any]
) -> Iterator[Finding]:
    kinds = set(volume) - {"name"}
    if len(kinds) != 1:
        said = ", ".join(sorted(kinds)) or "nothing"
        yield _refused(subject, where, f"the volume is {said}", "say what it is, once")
    if "hostPath" in volume:
        yield subject.found(
            "error",
            where,
            f"{mapping(volume['hostPath']).get('path')} of the machine itself",
            "code of a trial reads and writes files of other pods, and what stays fills the disk",
            "write emptyDir: {}, or a claim",
        )
    empty = volume.get("emptyDir")
    if isinstance(empty, Mapping) and empty.get("medium") == "Memory":
        yield from _shared(subject, where, empty, group)


def _shared(
    subject: Subject, where: Where, empty: Mapping[str, Any], group: Mapping[str, Any]
) -> Iterator[Finding]:
    """What lies in memory counts as the pod's."""
    first = next(iter(pods.containers(group)), {})
    try:
        memory = pods.quantity(mapping(mapping(first.get("resources")).get("limits")).get("memory", 0))
        size = pods.quantity(empty.get("sizeLimit", 0))
    except ValueError:
        return  # said by kuberay_model
    if not size:
        yield subject.found(
            "warning",
            where,
            "a volume in memory without sizeLimit",
            "Ray sizes its object store by it, and the pod is killed when it is full",
            "write sizeLimit, a third of the pod's memory",
        )
    elif memory and size > 0.8 * memory:
        yield subject.found(
            "error",
            where,
            f"sizeLimit is {size / memory:.0%} of the pod's memory",
            "what lies there counts as the pod's: it is killed when the object store fills",
            "write a third of the pod's memory",
        )
    elif size < 2**28:
        yield subject.found(
            "warning",
            where,
            f"sizeLimit is {empty.get('sizeLimit')}",
            "Ray's object store falls back to the disk, and loaders of data fail with a bus error",
            "write a third of the pod's memory",
        )


def _refused(subject: Subject, where: Where, what: str, fix: str) -> Finding:
    return subject.found("error", where, what, "Kubernetes refuses the pod", fix)


def _named(value: Any) -> list[Mapping[str, Any]]:
    return [mapping(one) for one in value] if isinstance(value, list) else []
