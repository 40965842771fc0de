"""Every cluster file we ship, against Ray's own readers and against what we promise of all of them."""

import copy
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import prepare_config, validate_config

from cluster import catalogue, cluster_file, yaml_lines

HERE = Path(cluster_file.__file__).parent
LAUNCHER = sorted(HERE.glob("*.yaml"))
CLOUDS = [path for path in LAUNCHER if path.name != "onprem.yaml"]
KUBERAY = sorted(HERE.glob("kuberay/ray*.yaml"))
SCRIPTS = sorted([*HERE.glob("access/*.sh"), HERE / "slurm.sbatch"])


def named(path):
    return path.name


@cache
def read(path):
    return yaml.load(path.read_text(), Loader=yaml_lines.Loader)


def commands(path, key):
    return "\n".join(read(path)[key])


def test_all_that_the_docs_promise_are_there():
    assert {path.name for path in LAUNCHER} == {
        "aws.yaml",
        "aws-h100.yaml",
        "gcp.yaml",
        "azure.yaml",
        "onprem.yaml",
    }
    assert {path.name for path in KUBERAY} == {"raycluster.yaml", "rayjob.yaml"}
    assert {path.name for path in SCRIPTS} == {"aws.sh", "gcp.sh", "azure.sh", "slurm.sbatch"}


@pytest.mark.parametrize("path", LAUNCHER, ids=named)
def test_ray_prepares_and_accepts_it_with_no_key_filled_from_defaults(path):
    written = read(path)
    prepared = prepare_config(copy.deepcopy(written))
    validate_config(prepared)
    filled = set(prepared) - set(written)
    assert filled == (
        {"available_node_types", "head_node_type", "max_workers", "docker"} if path not in CLOUDS else set()
    )


@pytest.mark.parametrize("path", KUBERAY, ids=named)
def test_rays_autoscaler_derives_its_configuration_from_the_kuberay_file(path):
    content = read(path)
    spec = content["spec"].get("rayClusterSpec", content["spec"])
    metadata = {"name": content["metadata"]["name"], "namespace": "default"}
    derived = _derive_autoscaling_config_from_ray_cr({"metadata": metadata, "spec": spec})
    types = derived["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == 0
    assert (types["gpu"]["min_workers"], types["gpu"]["max_workers"]) == (0, 200)
    assert types["gpu"]["resources"] == {"CPU": 7, "GPU": 1, "memory": 28 * 2**30}
    assert derived["idle_timeout_minutes"] == 5


@pytest.mark.parametrize("path", CLOUDS + KUBERAY, ids=named)
def test_workers_scale_from_nothing_to_hundreds_of_gpus_and_back(path):
    cluster = cluster_file.load(path)
    assert all(one.min_workers == 0 for one in cluster.workers)
    assert sum(one.resources["GPU"] * one.max_workers for one in cluster.workers) >= 100
    assert 60 <= cluster.idle_timeout_s <= 900
    assert cluster.upscaling_speed >= 100
    assert cluster.launches >= min(100, cluster.max_workers)
    assert cluster.head.resources["CPU"] == 0
    assert not cluster.head.resources.get("GPU")


@pytest.mark.parametrize("path", CLOUDS, ids=named)
def test_each_spot_type_has_an_on_demand_twin_that_is_tried_later(path):
    spot, on_demand = sorted(cluster_file.load(path).workers, key=lambda one: not one.spot)
    assert (spot.spot, on_demand.spot) == (True, False)
    assert spot.instance == on_demand.instance
    assert spot.resources == on_demand.resources
    assert spot.priority > on_demand.priority
    machine = catalogue.find(cluster_file.load(path).provider, spot.instance)
    assert (machine.vcpus, machine.gpus) == (spot.resources["CPU"], spot.resources["GPU"])


@pytest.mark.parametrize("path", LAUNCHER, ids=named)
def test_every_ray_asks_for_the_token_and_shows_its_dashboard_to_nobody(path):
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        start = [one for one in read(path)[key] if "ray start" in one]
        assert len(start) == 1
        assert "RAY_AUTH_MODE=token" in start[0]
    assert "--dashboard-host=127.0.0.1" in commands(path, "head_start_ray_commands")
    assert "0.0.0.0" not in path.read_text()
    assert read(path)["file_mounts"]["~/.starling/token"] == "~/.starling/token"


@pytest.mark.parametrize("path", LAUNCHER, ids=named)
def test_what_is_shipped_is_what_the_package_is_installed_from(path):
    document = read(path)
    root = HERE.parent
    for remote, local in document["file_mounts"].items():
        if remote.startswith("~/starling/"):
            assert remote == f"~/starling/{local}"
            assert (root / local).exists()
    packages = re.search(r"packages = \[(.*?)\]", (root / "pyproject.toml").read_text(), re.DOTALL)[1]
    needed = {name.partition(".")[0] for name in re.findall(r'"([\w.]+)"', packages)}
    assert needed <= set(document["file_mounts"].values())
    assert "-c ~/starling/constraints.txt" in commands(path, "setup_commands")
    assert f"ray[default,tune]=={sys.modules['ray'].__version__}" in commands(path, "setup_commands")


@pytest.mark.parametrize("path", [*LAUNCHER, *KUBERAY, HERE / "slurm.sbatch"], ids=named)
def test_the_wandb_key_comes_from_a_store_or_a_file_and_only_to_the_head(path):
    text = path.read_text()
    assert "WANDB_API_KEY" not in text
    if path in LAUNCHER:
        assert "wandb" not in commands(path, "worker_start_ray_commands") + commands(path, "setup_commands")
    if path in KUBERAY:
        content = yaml.safe_load(text)["spec"]
        assert "wandb" not in str(content.get("rayClusterSpec", content)["workerGroupSpecs"])


@pytest.mark.parametrize("path", [HERE / "aws.yaml", HERE / "aws-h100.yaml"], ids=named)
def test_every_machine_on_aws_has_imdsv2_an_encrypted_disk_and_a_role_and_group_of_its_own(path):
    cluster = cluster_file.load(path)
    for one in (cluster.head, *cluster.workers):
        assert one.config["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in one.config["BlockDeviceMappings"])
        groups = one.config.get("SecurityGroupIds") or one.config["NetworkInterfaces"][0]["Groups"]
        assert groups == ["sg-REPLACE"]
    assert cluster.head.config["IamInstanceProfile"] == {"Name": "starling-head"}
    assert all(one.config["IamInstanceProfile"] == {"Name": "starling-worker"} for one in cluster.workers)


def test_h100_nodes_use_every_network_card_that_the_machine_has():
    cards = cluster_file.load(HERE / "aws-h100.yaml").node_type("h100").config["NetworkInterfaces"]
    assert [card["NetworkCardIndex"] for card in cards] == list(range(32))
    assert [card["DeviceIndex"] for card in cards] == [0] + [1] * 31
    assert {card["InterfaceType"] for card in cards} == {"efa", "efa-only"}


def test_the_policy_selects_the_pods_of_both_kuberay_files():
    policy = read(HERE / "kuberay" / "networkpolicy.yaml")
    label = policy["spec"]["podSelector"]["matchLabels"].items()
    for path in KUBERAY:
        content = read(path)["spec"]
        spec = content.get("rayClusterSpec", content)
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            assert label <= group["template"]["metadata"]["labels"].items()


def test_the_two_kuberay_files_describe_the_same_pods():
    cluster, job = (read(HERE / "kuberay" / f"{name}.yaml") for name in ("raycluster", "rayjob"))
    inside = job["spec"]["rayClusterSpec"]
    assert inside["workerGroupSpecs"] == cluster["spec"]["workerGroupSpecs"]
    assert inside["headGroupSpec"]["template"] == cluster["spec"]["headGroupSpec"]["template"]


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_scripts_are_correct_bash(path):
    subprocess.run(["bash", "-n", path], check=True)


@pytest.mark.parametrize("path", sorted(HERE.glob("access/*.sh")), ids=named)
def test_a_script_without_arguments_says_what_it_takes_and_does_nothing(path):
    said = subprocess.run(["bash", path], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert {"make", "image", "remove"} <= set(
        re.findall(r"^ +bash cluster/access/\w+\.sh (\w+)", said.stdout, re.M)
    )


@pytest.mark.parametrize("path", sorted(HERE.glob("access/*.sh")), ids=named)
def test_a_script_refuses_to_open_ssh_to_the_world_before_it_makes_anything(path):
    """What aws.sh makes and removes is in test_aws_bootstrap.py."""
    words = ["make", "somewhere", "something", "more"][: 3 if path.name == "aws.sh" else 4]
    environment = os.environ | {"FROM": "0.0.0.0/0"}
    said = subprocess.run(
        ["bash", path, *words], capture_output=True, text=True, check=False, env=environment
    )
    assert said.returncode == 1
    assert said.stderr == "FROM=0.0.0.0/0 would let the whole world in\n"
