"""AWS, through boto3 and the user's own credentials.

On the bill: instances, spot requests, volumes, elastic IPs. Free: the security group, key pair, role and
instance profile that Ray makes where a YAML names none of its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cluster.cluster_file import Cluster
from cluster.leftovers.leftover import TAG, Leftover

GONE = ("terminated", "shutting-down")


def find(cluster: Cluster) -> Iterator[Leftover]:
    """What is left in the cluster's region."""
    words = f"aws ec2 --region {cluster.region}"
    try:
        ec2 = boto3.client("ec2", region_name=cluster.region)
        yield from _on_the_bill(ec2, cluster, words)
        yield from _free(ec2, boto3.client("iam"), cluster, words)
    except (BotoCoreError, ClientError) as error:
        yield Leftover(
            kind="search cut short:",
            name=str(error),
            urgent=True,
            remove=f"{words} describe-instances --filters Name=tag:{TAG},Values={shlex.quote(cluster.name)}",
        )


def _on_the_bill(ec2: Any, cluster: Cluster, words: str) -> Iterator[Leftover]:
    ours = [{"Name": f"tag:{TAG}", "Values": [cluster.name]}]
    instances = [
        instance
        for page in ec2.get_paginator("describe_instances").paginate(Filters=ours)
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]
    for one in instances:
        if one["State"]["Name"] not in GONE:
            kind = f"{one['State']['Name']} instance"
            remove = f"{words} terminate-instances --instance-ids {one['InstanceId']}"
            yield Leftover(kind=kind, name=one["InstanceId"], urgent=True, remove=remove)
    ids = [one["InstanceId"] for one in instances]
    requests = ec2.describe_spot_instance_requests(Filters=[{"Name": "state", "Values": ["open", "active"]}])
    for one in requests["SpotInstanceRequests"]:
        if one.get("InstanceId") in ids or {"Key": TAG, "Value": cluster.name} in one.get("Tags", []):
            name = one["SpotInstanceRequestId"]
            remove = f"{words} cancel-spot-instance-requests --spot-instance-request-ids {name}"
            yield Leftover(kind="spot request", name=name, urgent=True, remove=remove)
    end_with_it = {
        disk["Ebs"]["VolumeId"]
        for one in instances
        for disk in one.get("BlockDeviceMappings", [])
        if disk["Ebs"]["DeleteOnTermination"]
    }
    volumes = {
        one["VolumeId"]
        for filters in _volumes_of(cluster, ids)
        for page in ec2.get_paginator("describe_volumes").paginate(Filters=filters)
        for one in page["Volumes"]
        if all(held["InstanceId"] in ids for held in one["Attachments"])
    }
    for name in sorted(volumes - end_with_it):
        remove = f"{words} delete-volume --volume-id {name}"
        yield Leftover(kind="volume", name=name, urgent=True, remove=remove)
    for one in ec2.describe_addresses(Filters=ours)["Addresses"]:
        remove = f"{words} release-address --allocation-id {one['AllocationId']}"
        yield Leftover(kind="elastic IP", name=one["PublicIp"], urgent=True, remove=remove)


def _volumes_of(cluster: Cluster, instances: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Filters that find them: by Ray's tag, by the tags that the YAML gives them, by their instances."""
    yield [{"Name": f"tag:{TAG}", "Values": [cluster.name]}]
    for node in (cluster.head, *cluster.workers):
        for spec in node.config.get("TagSpecifications") or []:
            if spec.get("ResourceType") == "volume":
                yield [{"Name": f"tag:{tag['Key']}", "Values": [str(tag["Value"])]} for tag in spec["Tags"]]
    if instances:
        yield [{"Name": "attachment.instance-id", "Values": instances}]


def _free(ec2: Any, iam: Any, cluster: Cluster, words: str) -> Iterator[Leftover]:
    """Role and key are shared by all of a user's clusters."""
    group = f"ray-autoscaler-{cluster.name}"
    groups = {
        one["GroupId"]: one["GroupName"]
        for key, value in ((f"tag:{TAG}", cluster.name), ("group-name", group))
        for one in ec2.describe_security_groups(Filters=[{"Name": key, "Values": [value]}])["SecurityGroups"]
    }
    for number, name in groups.items():
        remove = f"{words} delete-security-group --group-id {number}"
        yield Leftover(kind="security group", name=name, urgent=False, remove=remove)
    keys = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": ["ray-autoscaler*"]}])
    for one in keys["KeyPairs"]:
        remove = f"{words} delete-key-pair --key-name {one['KeyName']}"
        yield Leftover(kind="key pair", name=one["KeyName"], urgent=False, remove=remove)
    names = [one["RoleName"] for page in iam.get_paginator("list_roles").paginate() for one in page["Roles"]]
    for name in names:
        if name.startswith("ray-autoscaler"):
            steps = (
                f"aws iam remove-role-from-instance-profile --instance-profile-name {name} "
                f"--role-name {name}; aws iam delete-instance-profile --instance-profile-name {name}; "
                f"for policy in $(aws iam list-attached-role-policies --role-name {name} "
                "--query 'AttachedPolicies[].PolicyArn' --output text); do aws iam detach-role-policy "
                f"--role-name {name} --policy-arn $policy; done; aws iam delete-role --role-name {name}"
            )
            yield Leftover(kind="role and instance profile", name=name, urgent=False, remove=steps)
