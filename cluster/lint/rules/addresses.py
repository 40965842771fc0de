"""Addresses of machines of one's own: each once, each reachable from the others."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator

from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("launcher",)


def check(subject: Subject) -> Iterator[Finding]:
    """The head's, the workers', and how many workers there may be."""
    provider = mapping(subject.content.get("provider"))
    if provider.get("type") != "local":
        return
    workers = provider.get("worker_ips")
    listed = workers if isinstance(workers, list) else []
    if workers is not None and not isinstance(workers, list):
        yield subject.found(
            "error",
            ("provider", "worker_ips"),
            f"worker_ips is {workers!r}",
            "`ray up` refuses it",
            "write a list",
        )
    head = provider.get("head_ip")
    places: list[tuple[Where, object]] = [(("provider", "head_ip"), head)] if head is not None else []
    places += [(("provider", "worker_ips", i), one) for i, one in enumerate(listed)]
    for where, address in places:
        if fault := _fault(str(address)):
            yield subject.found(
                "error",
                where,
                f"{address} {fault}",
                "the machines do not find each other",
                "write a name or an address that all of them can reach",
            )
    if head in listed:
        yield subject.found(
            "error",
            ("provider", "worker_ips", listed.index(head)),
            f"{head} is the head and a worker",
            "Ray would be started twice on it, on the same ports",
            "drop it from worker_ips",
        )
    for address, count in Counter(map(str, listed)).items():
        if count > 1:
            yield subject.found(
                "error",
                ("provider", "worker_ips"),
                f"{address} is there {count} times",
                "the second start ends the first one's Ray",
                "keep one",
            )
    yield from _counts(subject, len(listed))


def _fault(address: str) -> str:
    """What is wrong with it; empty if nothing is."""
    if "REPLACE" in address:
        return ""
    if address in ("localhost", "0.0.0.0", "::1", "::") or address.startswith("127."):
        return "is each machine itself"
    if "://" in address or "/" in address or "@" in address:
        return "is more than an address"
    if re.fullmatch(r"[\d.]+", address):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            return "is no IP address"
        return ""
    if re.fullmatch(r"[^:]+:\d+", address):
        return "has a port, which belongs into ssh_config"
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+", address):
        return "is no name of a host"
    return ""


def _counts(subject: Subject, count: int) -> Iterator[Finding]:
    for key in ("min_workers", "max_workers"):
        given = subject.content.get(key)
        if isinstance(given, int) and given != count and (given < count or key == "min_workers"):
            yield subject.found(
                "error" if given > count else "warning",
                (key,),
                f"{key} is {given}; there are {count} worker_ips",
                "some machines never join" if given < count else "Ray waits for machines that do not exist",
                f"drop it, or write {count}",
            )
