"""What the machines may do in the cloud account: Ray's default roles may do nearly everything."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.cluster_file import Cluster
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping

KINDS = ("launcher",)

POWERFUL = re.compile(r"(?i)[\w-]*(?:admin|full-?access|power-?user|\broot\b|\bowner\b|\beditor\b)[\w-]*")


def check(subject: Subject) -> Iterator[Finding]:
    """A role of its own for the head, another for the workers."""
    cluster = subject.cluster
    if cluster is None:
        return
    if cluster.provider == "aws":
        yield from _aws(subject, cluster)
    elif cluster.provider == "gcp":
        yield from _gcp(subject, cluster)
    elif cluster.provider == "azure":
        provider = mapping(subject.content.get("provider"))
        if not provider.get("msi"):
            yield subject.found(
                "error",
                ("provider", "msi"),
                "provider names no managed identity of yours",
                "Ray makes one that is Contributor of the resource group, for the head and every worker",
                "write msi; cluster/access/azure.sh makes it with a role of its own",
            )


def _aws(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    where = (*cluster.head.where, "node_config", "IamInstanceProfile")
    head = cluster.head.config.get("IamInstanceProfile")
    if not head:
        yield subject.found(
            "error",
            where,
            "the head has no IamInstanceProfile of yours",
            "Ray gives it AmazonEC2FullAccess and AmazonS3FullAccess: all machines and buckets there are",
            "write IamInstanceProfile; cluster/access/aws.sh makes it with what the autoscaler needs",
        )
    elif "ray-autoscaler-v1" in str(head):
        yield subject.found(
            "error",
            where,
            "the head has Ray's default role",
            "it may use every machine and bucket of the account",
            "write a role of your own: cluster/access/aws.sh",
        )
    yield from _powerful(subject, cluster, "IamInstanceProfile")
    for one in (cluster.head, *cluster.workers):
        if len(mapping(one.config.get("IamInstanceProfile"))) > 1:
            yield subject.found(
                "error",
                (*one.where, "node_config", "IamInstanceProfile"),
                f"{one.name} names its role twice",
                "EC2 refuses the launch",
                "write Name or Arn, not both",
            )
    for one in cluster.workers:
        if not one.config.get("IamInstanceProfile"):
            yield subject.found(
                "warning",
                (*one.where, "node_config", "IamInstanceProfile"),
                f"{one.name} has no role",
                "its trials cannot write checkpoints into a bucket",
                "write IamInstanceProfile: {Name: starling-worker}, of cluster/access/aws.sh",
            )
        if head and one.config.get("IamInstanceProfile") == head:
            yield subject.found(
                "warning",
                (*one.where, "node_config", "IamInstanceProfile"),
                f"{one.name} has the head's role",
                "code of a trial may start and end machines",
                "write one that reaches the results' bucket alone: starling-worker of cluster/access/aws.sh",
            )


def _powerful(subject: Subject, cluster: Cluster, key: str) -> Iterator[Finding]:
    """Roles that are called after what they may do, which is everything."""
    for one in (cluster.head, *cluster.workers):
        if found := POWERFUL.search(str(one.config.get(key, ""))):
            yield subject.found(
                "error",
                (*one.where, "node_config", key),
                f"{one.name} has a role called {found[0]}",
                "code of a trial, and whoever gets at it, may do everything in the account",
                "write a role that may do what is needed: cluster/access makes it",
            )


def _gcp(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
    yield from _powerful(subject, cluster, "serviceAccounts")
    for one in cluster.workers:
        if not one.config.get("serviceAccounts"):
            yield subject.found(
                "warning",
                (*one.where, "node_config", "serviceAccounts"),
                f"{one.name} has no service account",
                "its trials cannot write checkpoints into a bucket",
                "write the worker's account of cluster/access/gcp.sh",
            )
    for one in (cluster.head, *cluster.workers):
        accounts = one.config.get("serviceAccounts")
        if one.name == cluster.head.name and not accounts:
            yield subject.found(
                "error",
                (*one.where, "node_config", "serviceAccounts"),
                "the head has no service account of yours",
                "Ray makes one that is compute.admin and storage.objectAdmin of the project",
                "write serviceAccounts; cluster/access/gcp.sh makes it with what the autoscaler needs",
            )
        elif (
            accounts
            and accounts == cluster.head.config.get("serviceAccounts")
            and one.name != cluster.head.name
        ):
            yield subject.found(
                "warning",
                (*one.where, "node_config", "serviceAccounts"),
                f"{one.name} has the head's service account",
                "code of a trial may start and end machines",
                "write the worker's account of cluster/access/gcp.sh",
            )
