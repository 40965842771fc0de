"""What the machines may do in the cloud account: Ray's default roles may do nearly everything."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.cluster_file import Cluster
from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping

KINDS = ("launcher",)


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
    for one in cluster.workers:
        if head and one.config.get("IamInstanceProfile") == head:
            yield subject.found(
                "warning",
                (*one.where, "node_config", "IamInstanceProfile"),
                f"{one.name} has the head's role",
                "code of a trial may start and end machines",
                "write one that reaches the results' bucket alone: starling-worker of cluster/access/aws.sh",
            )


def _gcp(subject: Subject, cluster: Cluster) -> Iterator[Finding]:
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
