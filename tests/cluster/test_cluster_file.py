from pathlib import Path

import pytest

from cluster import cluster_file, pods
from cluster.yaml_lines import documents

HERE = Path(cluster_file.__file__).parent

LAUNCHER = """\
cluster_name: small
max_workers: 9
upscaling_speed: 2
idle_timeout_minutes: 3
provider: {type: external, module: cluster.providers.aws.FallbackAWSNodeProvider, region: us-west-2}
head_node_type: head
available_node_types:
  head:
    resources: {CPU: 0}
    node_config: &machine
      InstanceType: m7i.large
      ImageId: ami-1
  gpu:
    min_workers: 1
    max_workers: 4
    priority: 7
    idle_timeout_s: 30
    labels: {market: spot}
    resources: {CPU: 8, GPU: 1}
    node_config:
      <<: *machine
      InstanceType: g6.2xlarge
      InstanceMarketOptions: {MarketType: spot}
  cpu:
    resources: {CPU: 2}
    node_config: *machine
head_start_ray_commands:
  - AUTOSCALER_MAX_CONCURRENT_LAUNCHES=40 ray start --head
"""


def read(tmp_path, text):
    (tmp_path / "cluster.yaml").write_text(text)
    return cluster_file.load(tmp_path / "cluster.yaml")


def test_a_launcher_file_is_read_with_its_limits_and_node_types(tmp_path):
    cluster = read(tmp_path, LAUNCHER)
    assert (cluster.name, cluster.provider, cluster.region) == ("small", "aws", "us-west-2")
    assert (cluster.max_workers, cluster.upscaling_speed, cluster.idle_timeout_s) == (9, 2, 180)
    assert cluster.launches == 40
    assert cluster.head.resources == {"CPU": 0}
    assert cluster.head.max_workers == 0
    gpu = cluster.node_type("gpu")
    assert (gpu.min_workers, gpu.max_workers, gpu.priority, gpu.idle_timeout_s) == (1, 4, 7, 30)
    assert (gpu.instance, gpu.spot, gpu.labels) == ("g6.2xlarge", True, {"market": "spot"})
    assert gpu.config["ImageId"] == "ami-1"
    assert cluster.node_type("cpu").max_workers == 9  # the cluster's, as Ray takes it
    assert not cluster.node_type("cpu").spot


def test_lines_are_those_where_a_value_is_written_also_when_it_is_merged(tmp_path):
    cluster = read(tmp_path, LAUNCHER)
    lines = LAUNCHER.splitlines()
    at = ("available_node_types", "gpu", "node_config")
    assert "g6.2xlarge" in lines[cluster.line((*at, "InstanceType")) - 1]
    assert "ami-1" in lines[cluster.line((*at, "ImageId")) - 1]
    assert "node_config" in lines[cluster.line((*at, "KeyName")) - 1]  # missing: the nearest around it
    assert "40 ray start" in lines[cluster.line(("head_start_ray_commands", 0)) - 1]


def test_a_key_that_is_there_twice_is_told(tmp_path):
    (tmp_path / "twice.yaml").write_text("a: 1\nb: {c: 1}\na: 2\n")
    assert documents(tmp_path / "twice.yaml")[0].repeated == ((("a",), 3),)


@pytest.mark.parametrize(
    ("config", "spot"),
    [
        ("{machineType: g2-standard-8, scheduling: {provisioningModel: SPOT}}", True),
        ("{machineType: g2-standard-8, scheduling: [{preemptible: true}]}", True),
        ("{machineType: g2-standard-8, scheduling: {onHostMaintenance: TERMINATE}}", False),
        ("{azure_arm_parameters: {vmSize: Standard_NC4as_T4_v3, priority: Spot}}", True),
        ("{azure_arm_parameters: {vmSize: Standard_NC4as_T4_v3}}", False),
    ],
)
def test_spot_is_recognised_in_the_words_of_every_cloud(tmp_path, config, spot):
    text = LAUNCHER.replace("    node_config: *machine", f"    node_config: {config}")
    assert read(tmp_path, text).node_type("cpu").spot is spot
    assert read(tmp_path, text).node_type("cpu").instance in ("g2-standard-8", "Standard_NC4as_T4_v3")


def test_machines_reached_by_ssh_are_one_kind_all_expected_unless_told_otherwise(tmp_path):
    text = "cluster_name: own\nprovider: {type: local, head_ip: a, worker_ips: [b, c, d]}\n"
    cluster = read(tmp_path, text)
    assert (cluster.provider, cluster.max_workers) == ("local", 3)
    assert [(one.min_workers, one.max_workers) for one in cluster.workers] == [(3, 3)]
    assert read(tmp_path, text + "min_workers: 1\n").workers[0].min_workers == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("max_workers: 9", "max_workers: many", r"cluster.yaml:2: max_workers must be a number, is 'many'"),
        ("    priority: 7", "    priority: high", r":16: priority must be a number"),
        ("head_node_type: head", "head_node_type: haed", r":6: head_node_type is 'haed'.*head, gpu, cpu"),
        ("{CPU: 8, GPU: 1}", "8", r":19: resources must be a mapping, is 8"),
        ("provider: {", "provider: [{", r"is not YAML"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_its_line(tmp_path, old, new, words):
    with pytest.raises(ValueError, match=words):
        read(tmp_path, LAUNCHER.replace(old, new))


def test_a_file_that_is_none_of_the_forms_is_refused(tmp_path):
    with pytest.raises(ValueError, match="neither `available_node_types`"):
        read(tmp_path, "kind: Deployment\n")
    with pytest.raises(FileNotFoundError, match="no cluster file"):
        cluster_file.load(tmp_path / "absent.yaml")


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_kuberay_files_are_read_as_the_same_cluster(name):
    cluster = cluster_file.load(HERE / "kuberay" / name)
    assert cluster.provider == "kuberay"
    assert cluster.head.resources["CPU"] == 0  # rayStartParams go before the pod's limit
    assert [(one.name, one.max_workers) for one in cluster.workers] == [("gpu", 200)]
    assert cluster.workers[0].resources == {"CPU": 7, "GPU": 1, "memory": 28 * 2**30}
    assert (cluster.launches, cluster.idle_timeout_s) == (100, 300)
    assert cluster.document["kind"] == {"raycluster.yaml": "RayCluster", "rayjob.yaml": "RayJob"}[name]


@pytest.mark.parametrize(
    ("text", "value"), [("500m", 0.5), (4, 4), ("4Gi", 2**32), ("1.5k", 1500), ("2M", 2e6)]
)
def test_quantities_are_those_of_kubernetes(text, value):
    assert pods.quantity(text) == value


@pytest.mark.parametrize("text", ["4GB", "", "1e3x", "-1"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        pods.quantity(text)
