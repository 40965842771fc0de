"""A NetworkPolicy for Ray's pods: whether it keeps anybody out, and whom it is for."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping
from cluster.yaml_lines import Where, documents

KINDS = ("policy",)

WIDE = {4: 16, 6: 48}
"""Prefixes that are shorter let in more than one network."""


def check(subject: Subject) -> Iterator[Finding]:
    """What it lets in, then which pods it is for."""
    spec = mapping(subject.content.get("spec"))
    if subject.content.get("apiVersion") != "networking.k8s.io/v1":
        yield subject.found(
            "error",
            ("apiVersion",),
            f"apiVersion is {subject.content.get('apiVersion')}",
            "Kubernetes knows no such policy",
            "write apiVersion: networking.k8s.io/v1",
        )
    if not mapping(subject.content.get("metadata")).get("name"):
        yield subject.found(
            "error",
            ("metadata", "name"),
            "the policy has no name",
            "Kubernetes refuses it",
            "write metadata: {name: ...}",
        )
    for where, what, fix in open_rules(spec):
        yield subject.found(
            "error",
            ("spec", *where),
            what,
            "they reach every port of Ray; the token goes over them unencrypted",
            fix,
        )
    labels = list(_labels_beside(subject))
    chosen = mapping(mapping(spec.get("podSelector")).get("matchLabels"))
    if labels and not any(chosen.items() <= one.items() for one in labels):
        yield subject.found(
            "error",
            ("spec", "podSelector"),
            "it is for none of the pods of the Ray clusters beside it",
            "everybody in the Kubernetes cluster reaches them",
            "write labels that their templates have",
        )
    kinds = spec.get("policyTypes")
    if isinstance(kinds, list) and "Egress" in kinds and not spec.get("egress"):
        yield subject.found(
            "error",
            ("spec", "policyTypes"),
            "nothing may go out",
            "pods find no head, no bucket and no name of any host",
            "write [Ingress], or rules of egress",
        )
    if labels and not any(_operator(rule) for rule in _list(spec.get("ingress"))):
        yield subject.found(
            "warning",
            ("spec", "ingress"),
            "KubeRay's operator may not ask the dashboard, port 8265",
            "a RayJob is never submitted, and its state never known",
            "write a rule for the operator's pods and port 8265",
        )
    if (
        labels
        and chosen.items() <= labels[0].items()
        and not any(_among(rule, labels) for rule in _list(spec.get("ingress")))
    ):
        yield subject.found(
            "error",
            ("spec", "ingress"),
            "the pods may not talk to one another",
            "no worker ever joins",
            "write from: [{podSelector: {matchLabels: ...}}] with their own labels, and no ports",
        )


def open_rules(spec: Mapping[str, Any]) -> Iterator[tuple[Where, str, str]]:
    """Places below `spec` that let in strangers, what they say, and what to write."""
    kinds = spec.get("policyTypes")
    if isinstance(kinds, list) and "Ingress" not in kinds:
        yield ("policyTypes",), "it is about outgoing traffic alone: everybody may come in", "write [Ingress]"
    for i, rule in enumerate(_list(spec.get("ingress"))):
        sources = _list(mapping(rule).get("from"))
        if not sources:
            yield ("ingress", i), "a rule without `from` lets in everybody", "write from"
        for j, source in enumerate(map(mapping, sources)):
            where: Where = ("ingress", i, "from", j)
            cidr = mapping(source.get("ipBlock")).get("cidr")
            if cidr is not None and _wide(str(cidr)):
                yield where, f"{cidr} may come in", "write a network of your own"
            pod, namespace = _chosen(source, "podSelector"), _chosen(source, "namespaceSelector")
            nobody_in_particular = not pod and not source.get("ipBlock")
            if nobody_in_particular and not namespace:
                yield where, "every pod may come in", "write podSelector with labels"
            elif nobody_in_particular and "podSelector" not in source:
                yield (
                    where,
                    "every pod of whole namespaces may come in",
                    "add podSelector with labels, in the same item",
                )


def _chosen(source: Mapping[str, Any], key: str) -> bool:
    """Whether a selector selects; one without labels takes all."""
    return any(mapping(source.get(key)).get(inner) for inner in ("matchLabels", "matchExpressions"))


def _wide(cidr: str) -> bool:
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return True
    return (network.prefixlen < WIDE[network.version] and network.prefixlen != 8) or network.prefixlen == 0


def _among(rule: Any, labels: list[Mapping[str, Any]]) -> bool:
    """Whether a rule lets the pods in to one another, at every port."""
    if mapping(rule).get("ports"):
        return False
    for source in map(mapping, _list(mapping(rule).get("from"))):
        chosen = mapping(mapping(source.get("podSelector")).get("matchLabels"))
        if "podSelector" in source and any(chosen.items() <= one.items() for one in labels):
            return True
    return False


def _operator(rule: Any) -> bool:
    """Whether a rule is about port 8265 and pods of KubeRay's."""
    ports = [mapping(one).get("port") for one in _list(mapping(rule).get("ports"))]
    return (not ports or 8265 in ports or "dashboard" in ports) and "kuberay" in str(
        mapping(rule).get("from")
    )


def _labels_beside(subject: Subject) -> Iterator[Mapping[str, Any]]:
    """Labels of the pods of the Ray clusters in the same folder."""
    for file in sorted(subject.path.parent.glob("*.yaml")):
        try:
            found = documents(file)
        except ValueError:
            continue  # that file is not the one examined
        for one in found:
            spec = mapping(one.content.get("spec"))
            spec = mapping(spec.get("rayClusterSpec")) or spec
            if one.kind in ("RayCluster", "RayJob"):
                for group in (spec.get("headGroupSpec"), *_list(spec.get("workerGroupSpecs"))):
                    template = mapping(mapping(group).get("template"))
                    yield mapping(mapping(template.get("metadata")).get("labels"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
