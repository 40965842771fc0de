"""Bugs of Ray that the project works around, asserted as still there: a failure says what may be removed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import ray

VIRTUAL = Path(__file__).with_name("virtual_cloud.py")


@pytest.fixture(scope="module")
def refused():
    """Two virtual minutes of Ray's own autoscaler without spot capacity (see virtual_cloud.py)."""
    done = subprocess.run(
        [sys.executable, VIRTUAL, "plain", "30", "120", "0", "1000"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_b1_ray_never_falls_back_from_spot_to_on_demand(refused):
    assert {one["type"] for one in refused["asked"]} == {"spot"}, (
        "Ray falls back by itself now: remove cluster/providers, and write `type: aws` (gcp, azure) in the "
        "YAMLs' providers, if its fallback passes tests/cluster/test_fallback.py"
    )


def test_b2_ray_keeps_the_record_of_every_failed_launch(refused):
    assert refused["dead_records"] == sum(one["count"] for one in refused["asked"][:-1]), (
        "Ray forgets failed launches now: remove `forget` from cluster/providers/fallback.py, "
        "but for what is queued"
    )


def test_b3_under_v2_a_local_providers_head_takes_the_place_of_a_worker():
    from ray.autoscaler._private.local.config import LOCAL_CLUSTER_NODE_TYPE, prepare_local
    from ray.autoscaler.v2.instance_manager.config import NodeTypeConfig
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.schema import AutoscalerInstance
    from ray.core.generated.autoscaler_pb2 import NodeState, NodeStatus
    from ray.core.generated.instance_manager_pb2 import Instance, NodeKind

    machines = {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["10.0.0.2", "10.0.0.3"]}
    config, _ = prepare_local({"cluster_name": "canary", "provider": machines})
    [(name, kind)] = config["available_node_types"].items()
    assert name == config["head_node_type"] == LOCAL_CLUSTER_NODE_TYPE
    head = AutoscalerInstance(
        ray_node=NodeState(node_id=b"0" * 28, ray_node_type_name=name, status=NodeStatus.RUNNING),
        im_instance=Instance(
            instance_id="head",
            instance_type=name,
            status=Instance.RAY_RUNNING,
            node_kind=NodeKind.HEAD,
            cloud_instance_id="10.0.0.1",
        ),
        cloud_instance_id="10.0.0.1",
    )
    wanted = NodeTypeConfig(
        name=name, min_worker_nodes=kind["min_workers"], max_worker_nodes=kind["max_workers"]
    )
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs={name: wanted},
        max_num_nodes=3,
        current_instances=[head],
    )
    launched = sum(one.count for one in ResourceDemandScheduler().schedule(request).to_launch)
    assert launched == 1, (
        f"Ray launches {launched} of 2 workers under v2 now: remove RAY_UP_enable_autoscaler_v2=0 (and "
        "RAY_enable_autoscaler_v2=0) from cluster/onprem.yaml and its documents"
    )


def test_b4_rays_own_autoscaling_cluster_lacks_a_file():
    example = Path(ray.__file__).parent / "autoscaler/_private/fake_multi_node/example.yaml"
    assert not example.exists(), (
        "ray.cluster_utils.AutoscalingCluster can start from a wheel now: look whether it may replace the "
        "configuration and the start of the head in cluster/simulate/local_cluster.py (it still must not run "
        "`ray stop --force` outside a private PID namespace)"
    )


def test_b5_ray_opens_ssh_to_the_world_beside_our_own_rule(monkeypatch):
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    from ray.autoscaler._private.aws import config as rays
    from ray.autoscaler._private.aws import utils

    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(key, "testing")
    for cached in (rays._get_subnets_or_die, utils.resource_cache, utils.client_cache):
        cached.cache_clear()
    ours = {"FromPort": 22, "ToPort": 22, "IpProtocol": "tcp", "IpRanges": [{"CidrIp": "203.0.113.7/32"}]}
    with moto.mock_aws():
        subnet = boto3.client("ec2", "us-west-2").describe_subnets()["Subnets"][0]["SubnetId"]
        group = {"GroupName": "canary", "IpPermissions": [ours]}
        config = {
            "cluster_name": "canary",
            "provider": {"type": "aws", "region": "us-west-2", "security_group": group},
            "head_node_type": "head",
            "available_node_types": {"head": {"node_config": {"SubnetIds": [subnet]}}},
        }
        made = rays._configure_security_group(config)["available_node_types"]["head"]["node_config"]
        [rules] = boto3.client("ec2", "us-west-2").describe_security_groups(
            GroupIds=made["SecurityGroupIds"]
        )["SecurityGroups"]
    sources = {
        block["CidrIp"]
        for rule in rules["IpPermissions"]
        if rule.get("FromPort") == 22
        for block in rule["IpRanges"]
    }
    assert sources == {"203.0.113.7/32", "0.0.0.0/0"}, (
        f"Ray opens SSH to {sources or 'nobody'} now: cluster/aws.yaml may let Ray make its security group "
        "(`provider.security_group`) instead of naming SecurityGroupIds"
    )
