"""cluster/aws.yaml from an empty account and back to nothing, with the real commands, in a cloud of moto's.

Real: cluster/access/aws.sh, `ray up` and `ray down` through `cluster.lifecycle`, our node provider as the
autoscaler on the head would load it. Missing: machines. `ssh` and `rsync` are programs that say yes; rsync
keeps what the head would get.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cluster import leftovers, lifecycle
from cluster.cluster_file import load

ROOT = Path(__file__).parents[2]
REGION, BUCKET, FROM = "us-west-2", "sweeps-of-ours", "203.0.113.7/32"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("aws") is None, reason="cluster/access/aws.sh needs the AWS CLI"),
]

RSYNC = """#!/bin/bash
# The last two words are from where and to where on the head.
source=${@: -2:1}
target=${@: -1}
target=$KEPT/${target#*:~/}
mkdir -p "$(dirname "$target")"
cp -r "$source" "$target"
"""
AUTOSCALER = """
import json, sys
from ray.autoscaler._private.providers import _get_node_provider
config = json.load(open(sys.argv[1]))
provider = _get_node_provider(config["provider"], config["cluster_name"])
for kind in ("gpu_spot", "gpu_spot", "gpu"):  # one by one: of several, moto starts one
    tags = {"ray-node-type": "worker", "ray-user-node-type": kind, "ray-node-status": "up-to-date"}
    provider.create_node(config["available_node_types"][kind]["node_config"], tags, 1)
print(type(provider).__name__, provider.non_terminated_nodes({}))
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The whole way once; what was there at each point."""
    moto_server = pytest.importorskip("moto.server")
    folder = tmp_path_factory.mktemp("aws")
    patch = pytest.MonkeyPatch()
    patch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    (folder / "bin").mkdir()
    for name, text in (("ssh", "#!/bin/sh\nexit 0\n"), ("rsync", RSYNC)):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    for key, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "HOME": str(folder),
        "KEPT": str(folder / "head"),
        "FROM": FROM,
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
    }.items():
        patch.setenv(key, value)
    patch.chdir(ROOT)
    try:
        yield tell(folder)
    finally:
        server.stop()
        patch.undo()


def access(*words):
    done = subprocess.run(["bash", "cluster/access/aws.sh", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tell(folder):
    import boto3

    ec2, iam = boto3.client("ec2"), boto3.client("iam")
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    before = everything(ec2, iam)
    said = access("make", REGION, BUCKET)
    file = folder / "aws.yaml"
    file.write_text(filled(said))
    lifecycle.up(file, yes=True, say=lambda line: None)
    bootstrap = folder / "head" / "ray_bootstrap_config.yaml"
    done = subprocess.run([sys.executable, "-c", AUTOSCALER, bootstrap], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    running = everything(ec2, iam)
    found_running = leftovers.audit(load(file))
    urgent = lifecycle.down(file, yes=True, say=lambda line: None)
    found_after = leftovers.audit(load(file))
    access("remove", REGION)
    return {
        "before": before,
        "provider": done.stdout,
        "bootstrap": json.loads(bootstrap.read_text()),
        "head": sorted(str(one.relative_to(folder / "head")) for one in (folder / "head").rglob("*")),
        "token": (folder / "head" / ".starling/token/auth_token").stat().st_mode & 0o777,
        "running": running,
        "found_running": found_running,
        "urgent": urgent,
        "found_after": found_after,
        "after": everything(ec2, iam),
    }


def filled(said):
    """aws.yaml with what aws.sh prints; the image alone is not to be had from moto."""
    text = (ROOT / "cluster" / "aws.yaml").read_text()
    subnets = re.search(r"SubnetIds: (\[.+\])", said)[1]
    group = re.search(r"SecurityGroupIds: (\[.+\])", said)[1]
    return (
        text.replace("[subnet-REPLACE]", subnets)
        .replace("[sg-REPLACE]", group)
        .replace("ami-REPLACE", "ami-12345678")
    )


def everything(ec2, iam):
    """What an account has that a cluster may leave behind."""
    machines = [
        one
        for reservation in ec2.describe_instances()["Reservations"]
        for one in reservation["Instances"]
        if one["State"]["Name"] != "terminated"
    ]
    return {
        "instances": machines,
        "volumes": ec2.describe_volumes()["Volumes"],
        "groups": {one["GroupName"]: one for one in ec2.describe_security_groups()["SecurityGroups"]},
        "keys": [one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]],
        "roles": [
            one["RoleName"]
            for one in iam.list_roles()["Roles"]
            if not one["RoleName"].startswith("AWSServiceRoleFor")  # AWS's own, once an account
        ],
        "profiles": [one["InstanceProfileName"] for one in iam.list_instance_profiles()["InstanceProfiles"]],
    }


def by_type(story):
    nodes = {}
    for one in story["running"]["instances"]:
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        nodes.setdefault(tags.get("ray-user-node-type"), []).append((one, tags))
    return nodes


def test_a_head_a_pair_of_spot_nodes_and_an_on_demand_one_run_with_the_tags_of_ray_and_of_the_bill(story):
    assert story["provider"].splitlines()[-1].startswith("FallbackAWSNodeProvider")
    nodes = by_type(story)
    assert {kind: len(some) for kind, some in nodes.items()} == {"head": 1, "gpu_spot": 2, "gpu": 1}
    for some in nodes.values():
        for _, tags in some:
            assert (tags["ray-cluster-name"], tags["project"]) == ("starling", "starling")


def test_spot_nodes_are_spot_and_nothing_else_is(story):
    nodes = by_type(story)
    kinds = {kind: {one.get("InstanceLifecycle") for one, _ in some} for kind, some in nodes.items()}
    assert kinds == {"head": {None}, "gpu": {None}, "gpu_spot": {"spot"}}


def test_every_machine_insists_on_imdsv2(story):
    for one in story["running"]["instances"]:
        options = one["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)


def test_every_disk_is_encrypted_gp3_tagged_and_ends_with_its_machine(story):
    disks = {one["VolumeId"]: one for one in story["running"]["volumes"]}
    seen = set()
    for one in story["running"]["instances"]:
        for held in one["BlockDeviceMappings"]:
            disk = disks[held["Ebs"]["VolumeId"]]
            seen.add(disk["VolumeId"])
            assert (disk["Encrypted"], disk["VolumeType"]) == (True, "gp3")
            assert {"Key": "project", "Value": "starling"} in disk["Tags"]
            assert held["Ebs"]["DeleteOnTermination"]
    assert seen == set(disks)


def test_all_are_in_one_group_that_lets_in_ssh_from_one_address_and_the_nodes_themselves(story):
    group = story["running"]["groups"]["starling"]
    for one in story["running"]["instances"]:
        assert [held["GroupId"] for held in one["SecurityGroups"]] == [group["GroupId"]]
    rules = [
        (rule.get("FromPort"), [block["CidrIp"] for block in rule["IpRanges"]], rule["UserIdGroupPairs"])
        for rule in group["IpPermissions"]
    ]
    inside = [(port, blocks) for port, blocks, pairs in rules if pairs]
    outside = [(port, blocks) for port, blocks, pairs in rules if not pairs]
    assert outside == [(22, [FROM])]
    assert [blocks for _, blocks in inside] == [[]]


def test_ray_made_no_role_key_or_group_of_its_own(story):
    names = [name for kind in ("keys", "roles", "profiles") for name in story["running"][kind]]
    names += story["running"]["groups"]
    assert not [name for name in names if name.startswith("ray-autoscaler")]
    profiles = {
        kind: {one["IamInstanceProfile"]["Arn"].rpartition("/")[2] for one, _ in some}
        for kind, some in by_type(story).items()
    }
    assert profiles == {
        "head": {"starling-head"},
        "gpu": {"starling-worker"},
        "gpu_spot": {"starling-worker"},
    }


def test_the_head_gets_the_package_the_token_and_a_configuration_without_the_laptops_paths(story):
    for name in ("starling/cluster/providers/aws.py", "starling/sweeps/cli.py", "ray_bootstrap_key.pem"):
        assert name in story["head"]
    assert story["token"] == 0o600
    mounts = story["bootstrap"]["file_mounts"]
    assert mounts["~/starling/cluster"] == "~/starling/cluster"
    assert story["bootstrap"]["auth"]["ssh_private_key"] == "~/ray_bootstrap_key.pem"


def test_the_audit_of_a_running_cluster_names_its_machines_and_no_disk_that_ends_with_them(story):
    kinds = sorted(one.kind for one in story["found_running"])
    assert [kind for kind in kinds if kind != "spot request"] == ["running instance"] * 4
    assert kinds.count("spot request") in (0, 2)  # moto forgets which machine a request became


def test_down_and_remove_leave_the_account_as_it_was(story):
    assert story["urgent"] == 0
    assert story["found_after"] == []
    assert story["after"] == story["before"]


def test_the_yaml_names_no_secret(story):
    text = yaml.safe_dump(story["bootstrap"])
    assert "testing" not in text
    assert "AWS_" not in text
