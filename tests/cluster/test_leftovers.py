import json
import subprocess
import sys

import boto3
import pytest
from moto import mock_aws

from cluster import leftovers
from cluster.cluster_file import load
from cluster.leftovers import Leftover
from cluster.leftovers import local as hosts

NODES = """
cluster_name: night
max_workers: 2
provider: {provider}
auth: {{ssh_user: ubuntu, ssh_private_key: /keys/one.pem}}
head_node_type: head
available_node_types:
  head:
    resources: {{CPU: 0}}
    max_workers: 0
    node_config:
      TagSpecifications: [{{ResourceType: volume, Tags: [{{Key: project, Value: starling}}]}}]
"""
ONPREM = """
cluster_name: night
provider: {type: local, head_ip: 10.0.0.1, worker_ips: [10.0.0.2, 10.0.0.3]}
auth: {ssh_user: ubuntu, ssh_private_key: /keys/one.pem}
"""


def cluster(tmp_path, provider):
    file = tmp_path / "night.yaml"
    file.write_text(NODES.format(provider=json.dumps(provider)))
    return load(file)


@pytest.fixture
def aws(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield (
            boto3.client("ec2", region_name="us-west-2"),
            cluster(tmp_path, {"type": "aws", "region": "us-west-2"}),
        )


def found(cluster):
    return {(one.kind, one.name): one for one in leftovers.audit(cluster)}


def start(ec2, name="night", **more):
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "ray-cluster-name", "Value": name}]}]
    made = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, TagSpecifications=tags, **more)
    return made["Instances"][0]["InstanceId"]


def test_an_account_without_anything_of_the_cluster_is_clean(aws):
    ec2, cluster = aws
    start(ec2, name="another")
    ec2.create_volume(AvailabilityZone="us-west-2a", Size=1)
    assert found(cluster) == {}
    assert leftovers.text([]) == "nothing is left"


def test_instances_that_run_are_found_and_those_that_were_terminated_are_not(aws):
    ec2, cluster = aws
    alive, ended = start(ec2), start(ec2, InstanceMarketOptions={"MarketType": "spot"})
    ec2.terminate_instances(InstanceIds=[ended])
    seen = found(cluster)
    one = seen["running instance", alive]
    assert one.urgent
    assert one.remove == f"aws ec2 --region us-west-2 terminate-instances --instance-ids {alive}"
    assert not any(ended in name for _, name in seen)


def test_volumes_and_addresses_with_the_clusters_tag_or_the_yamls_are_found(aws):
    ec2, cluster = aws
    ray = [{"Key": "ray-cluster-name", "Value": "night"}]
    tagged = [
        ec2.create_volume(
            AvailabilityZone="us-west-2a",
            Size=1,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )["VolumeId"]
        for tags in (ray, [{"Key": "project", "Value": "starling"}])
    ]
    address = ec2.allocate_address(
        Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": ray}]
    )
    seen = found(cluster)
    assert set(seen) == {("volume", tagged[0]), ("volume", tagged[1]), ("elastic IP", address["PublicIp"])}
    assert all(one.urgent for one in seen.values())


def test_a_volume_that_goes_with_its_instance_is_not_counted_twice_and_one_that_stays_is_counted(aws):
    ec2, cluster = aws
    alive = start(ec2)
    kept = ec2.create_volume(AvailabilityZone="us-west-2a", Size=1)["VolumeId"]
    ec2.attach_volume(VolumeId=kept, InstanceId=alive, Device="/dev/sdf")
    assert set(found(cluster)) == {("running instance", alive), ("volume", kept)}


def test_what_ray_makes_where_a_yaml_names_none_is_found_and_does_not_alarm(aws):
    ec2, cluster = aws
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    ec2.create_security_group(GroupName="ray-autoscaler-night", Description="x", VpcId=vpc)
    ec2.create_key_pair(KeyName="ray-autoscaler_us-west-2")
    boto3.client("iam").create_role(RoleName="ray-autoscaler-v1", AssumeRolePolicyDocument="{}")
    seen = found(cluster)
    assert set(seen) == {
        ("security group", "ray-autoscaler-night"),
        ("key pair", "ray-autoscaler_us-west-2"),
        ("role and instance profile", "ray-autoscaler-v1"),
    }
    assert not any(one.urgent for one in seen.values())
    assert leftovers.text(list(seen.values())).startswith(
        "left, at no cost:\n  security group ray-autoscaler-night"
    )


def test_where_aws_refuses_the_search_is_handed_to_the_user(aws, monkeypatch):
    _, cluster = aws
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "nowhere")
    boto3.DEFAULT_SESSION = None
    (one,) = leftovers.audit(cluster)
    assert (one.kind, one.name, one.urgent) == ("search cut short:", "Unable to locate credentials", True)
    assert one.remove.endswith("describe-instances --filters Name=tag:ray-cluster-name,Values=night")


def command_line(folder, monkeypatch, name, answers):
    """A cloud's command line: it answers by the words it is called with, and fails where it has no answer."""
    program = f"""#!{sys.executable}
import json, sys
for words, answer in json.loads({json.dumps(json.dumps(answers))}):
    if all(word in sys.argv for word in words):
        print(json.dumps(answer)); sys.exit(0)
print("ERROR: log in first", file=sys.stderr); sys.exit(1)
"""
    (folder / name).write_text(program)
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_google_is_asked_by_label_and_by_name_and_each_finding_has_its_zone(tmp_path, monkeypatch):
    wanted = "--filter=labels.ray-cluster-name=night OR name~^ray-night-"
    answers = [
        (["compute", "instances", wanted, "--project=p"], []),
        (
            ["compute", "disks", wanted],
            [{"name": "ray-night-head-1", "zone": "https://x/zones/us-central1-a"}],
        ),
        (["compute", "addresses"], []),
        (["iam", "service-accounts"], [{"email": "ray-autoscaler-sa-v1@p.iam.gserviceaccount.com"}]),
    ]
    command_line(tmp_path, monkeypatch, "gcloud", answers)
    disk, account = leftovers.audit(
        cluster(tmp_path, {"type": "gcp", "project_id": "p", "region": "us-central1"})
    )
    assert (disk.kind, disk.urgent) == ("disk", True)
    assert disk.remove == "gcloud compute disks delete ray-night-head-1 --zone=us-central1-a --project=p"
    assert (account.kind, account.urgent) == ("service account", False)


def test_azure_is_asked_for_its_group_and_only_this_clusters_resources_are_named(tmp_path, monkeypatch):
    def resource(kind, name, tags=None):
        return {"type": f"Microsoft.X/{kind}", "name": name, "id": f"/id/{name}", "tags": tags}

    answers = [(["--resource-group", "lab"], [
        resource("virtualMachines", "any", {"ray-cluster-name": "night"}),
        resource("disks", "ray-night-worker_disk"),
        resource("networkSecurityGroups", "ray-night-nsg"),
        resource("disks", "ray-nightly-worker_disk"),
        resource("virtualMachines", "yours"),
    ])]  # fmt: skip
    command_line(tmp_path, monkeypatch, "az", answers)
    seen = leftovers.audit(
        cluster(tmp_path, {"type": "azure", "location": "westus2", "resource_group": "lab"})
    )
    assert [(one.kind, one.name, one.urgent) for one in seen] == [
        ("virtualMachines", "any", True),
        ("disks", "ray-night-worker_disk", True),
        ("networkSecurityGroups", "ray-night-nsg", False),
    ]
    assert seen[0].remove == "az resource delete --ids /id/any"


@pytest.mark.parametrize(("there", "why"), [(True, "ERROR: log in first"), (False, "az is not installed")])
def test_where_a_clouds_command_line_does_not_answer_its_command_is_shown(there, why, tmp_path, monkeypatch):
    if there:
        command_line(tmp_path, monkeypatch, "az", [])
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    (one,) = leftovers.audit(cluster(tmp_path, {"type": "azure", "location": "x", "resource_group": "lab"}))
    assert one == Leftover(
        kind="resource: not searched,", name=why, urgent=True,
        remove="az resource list --resource-group lab --output json",
    )  # fmt: skip


def test_raylets_are_waited_for_and_those_that_stay_are_named_with_what_ends_them(tmp_path, monkeypatch):
    file = tmp_path / "night.yaml"
    file.write_text(ONPREM)
    asked = []

    def answer(words, **options):
        host = words[-2]
        asked.append(host)
        if host == "ubuntu@10.0.0.3":
            return subprocess.CompletedProcess(words, 255, "", "ssh: connect: No route to host\n")
        alive = host == "ubuntu@10.0.0.2" or asked.count(host) < 2
        return subprocess.CompletedProcess(words, 0, "417\n" if alive else "", "")

    monkeypatch.setattr(hosts.subprocess, "run", answer)
    monkeypatch.setattr(hosts, "RAYLETS_LEAVE_S", 0.2)
    monkeypatch.setattr(hosts.time, "sleep", lambda seconds: None)
    stuck, lost = leftovers.audit(load(file))
    assert (stuck.kind, stuck.name, stuck.urgent) == ("raylet on", "10.0.0.2", True)
    assert stuck.remove.startswith("ssh -o BatchMode=yes")
    assert stuck.remove.endswith("-i /keys/one.pem ubuntu@10.0.0.2 'pkill -x raylet'")
    assert (lost.kind, lost.name) == ("host not searched:", "10.0.0.3 (ssh: connect: No route to host)")
    assert asked.count("ubuntu@10.0.0.1") == 2
