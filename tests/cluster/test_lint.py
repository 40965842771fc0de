"""Lint against our own files, which are right, and against small mistakes planted in them."""

import importlib
import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from cluster import lint
from cluster.lint.rules import aws_model, azure_model, gcp_model

HERE = Path(lint.__file__).parents[1]
OURS = sorted([*HERE.glob("*.yaml"), *HERE.glob("kuberay/ray*.yaml"), HERE / "slurm.sbatch"])
KEY = "0123456789abcdef0123456789abcdef01234567"
"""As long as a W&B key."""

CLOUDS = [
    # where, what is there, the mistake, the family that must find it
    ("min over max", "aws.yaml", "min_workers: 0\n    max_workers: 200\n    priority: 10",
     "min_workers: 9\n    max_workers: 4\n    priority: 10", "limits"),
    ("negative max", "aws.yaml", "max_workers: 200                    # EDIT: 0 to wait",
     "max_workers: -1  #", "limits"),
    ("max_workers too small", "aws.yaml", "max_workers: 200                        # EDIT",
     "max_workers: 0  #", "limits"),
    ("never scales to zero", "aws.yaml", "min_workers: 0\n    max_workers: 200\n    priority: 10",
     "min_workers: 2\n    max_workers: 200\n    priority: 10", "limits"),
    ("no idle time-out", "aws.yaml", "idle_timeout_minutes: 5\n", "", "limits"),
    ("hours of idling", "gcp.yaml", "idle_timeout_minutes: 5\n", "idle_timeout_minutes: 240\n", "limits"),
    ("slow upscaling", "azure.yaml", "upscaling_speed: 100", "upscaling_speed: 1.0", "limits"),
    ("gpu in lower case", "aws.yaml", "resources: {CPU: 8, GPU: 1}", "resources: {CPU: 8, gpu: 1}",
     "resources"),
    ("CPUs that are not there", "aws.yaml", "resources: {CPU: 8, GPU: 1}", "resources: {CPU: 16, GPU: 1}",
     "resources"),
    ("GPUs that are not there", "gcp.yaml", "resources: {CPU: 8, GPU: 1}", "resources: {CPU: 8, GPU: 4}",
     "resources"),
    ("GPU not claimed", "azure.yaml", "resources: {CPU: 24, GPU: 1}", "resources: {CPU: 24}", "resources"),
    ("unknown instance type", "aws.yaml", "g6.2xlarge ", "g6.2xlrge ", "resources"),
    ("unknown machine type", "gcp.yaml", "g2-standard-8 ", "g2-standart-8 ", "resources"),
    ("trials on the head", "aws.yaml", "resources: {CPU: 0}", "resources: {CPU: 16}", "resources"),
    ("a head with a GPU", "aws.yaml", "InstanceType: m7i.4xlarge", "InstanceType: g6.4xlarge", "resources"),
    ("typo in a node_config of EC2", "aws.yaml", "KeyName:", "KeyNmae:", "aws_model"),
    ("deep typo", "aws.yaml", "VolumeSize: 150", "VolumeSze: 150", "aws_model"),
    ("a word EC2 does not know", "aws.yaml", "VolumeType: gp3", "VolumeType: gp33", "aws_model"),
    ("text for a number", "aws.yaml", "VolumeSize: 150", "VolumeSize: 150 GB", "aws_model"),
    ("market that does not exist", "aws.yaml", "MarketType: spot", "MarketType: spott", "aws_model"),
    ("typo in GCP", "gcp.yaml", "diskSizeGb", "diskSizeGB", "gcp_model"),
    ("a word GCP does not know", "gcp.yaml", "provisioningModel: SPOT", "provisioningModel: PREEMPTIBLE",
     "gcp_model"),
    ("typo in Azure", "azure.yaml", "vmSize: Standard_D16s_v5", "vmsize: Standard_D16s_v5", "azure_model"),
    ("a word Azure does not know", "azure.yaml", "evictionPolicy: Delete", "evictionPolicy: Stop",
     "azure_model"),
    ("unknown key", "aws.yaml", "upscaling_speed:", "upscaling_sped:", "schema"),
    ("key of old versions", "aws.yaml", "max_workers: 200                        # EDIT",
     "min_workers: 1\nmax_workers: 200 #", "schema"),
    ("a key twice", "aws.yaml", "    priority: 10", "    priority: 10\n    priority: 0", "schema"),
    ("external without commands", "aws.yaml", "worker_setup_commands: []\n", "", "schema"),
    ("fraction of a GPU", "aws.yaml", "resources: {CPU: 8, GPU: 1}", "resources: {CPU: 8, GPU: 0.5}",
     "schema"),
    ("no autoscaling config", "aws.yaml", " --autoscaling-config=~/ray_bootstrap_config.yaml", "",
     "start_commands"),
    ("no launch cap", "aws.yaml", "AUTOSCALER_MAX_CONCURRENT_LAUNCHES=100 ", "", "start_commands"),
    ("workers alone", "gcp.yaml", "--address=$RAY_HEAD_IP:6379", "", "start_commands"),
    ("v2 on own machines", "onprem.yaml", "auth_token RAY_enable_autoscaler_v2=0", "auth_token",
     "start_commands"),
    ("mount that is not there", "aws.yaml", "starling/cluster: cluster", "starling/cluster: clutser",
     "shipping"),
    ("nothing shipped", "aws.yaml", r"re:file_mounts:.*?rsync_exclude", "file_mounts: {}\nrsync_exclude",
     "shipping"),
    ("no security group", "aws.yaml", r"re:      SecurityGroupIds:.*?\n", "", "network"),
    ("open rule", "aws.yaml", "  use_internal_ips: false",
     "  security_group: {IpPermissions: [{FromPort: 22, ToPort: 22, IpRanges: [{CidrIp: 0.0.0.0/0}]}]}\n"
     "  use_internal_ips: false", "network"),
    ("dashboard for all", "aws.yaml", "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", "network"),
    ("no token", "aws.yaml", "ulimit -n 65536;\n    RAY_AUTH_MODE=token", "ulimit -n 65536;\n    ",
     "network"),
    ("Azure's open default", "azure.yaml", r"re:  nsg:.*?\n", "", "network"),
    ("GCP's default network", "gcp.yaml", r"re:      networkInterfaces:.*?accessConfigs:.*?\n", "",
     "network"),
    ("no IMDSv2", "aws.yaml", "HttpTokens: required", "HttpTokens: optional", "machines"),
    ("disk in the clear", "aws.yaml", "Encrypted: true", "Encrypted: false", "machines"),
    ("stopped nodes kept", "gcp.yaml", "cache_stopped_nodes: false", "cache_stopped_nodes: true", "machines"),
    ("Ray's default role", "aws.yaml", "      IamInstanceProfile: {Name: starling-head}\n", "", "identity"),
    ("Azure's default role", "azure.yaml", r"re:  msi:.*?\n", "", "identity"),
    ("W&B key in a command", "aws.yaml", "head_setup_commands:\n",
     f"head_setup_commands:\n  - export WANDB_API_KEY={KEY}\n", "secrets"),
    ("W&B login", "gcp.yaml", "head_setup_commands:\n", f"head_setup_commands:\n  - wandb login {KEY}\n",
     "secrets"),
    ("AWS key in a comment", "aws.yaml", "cluster_name:", "# AKIAIOSFODNN7EXAMPLE\ncluster_name:", "secrets"),
    ("Ray's token", "onprem.yaml", "RAY_AUTH_TOKEN_PATH=$HOME/.starling/token/auth_token",
     "RAY_AUTH_TOKEN=c0ffee00c0ffee00", "secrets"),
    ("password in an address", "aws.yaml", "worker_setup_commands: []",
     "worker_setup_commands: ['curl https://me:s3cretpassw0rd@example.org']", "secrets"),
    ("node types on own machines", "onprem.yaml", "upscaling_speed:",
     "available_node_types: {gpu: {resources: {GPU: 1}, node_config: {}}}\nupscaling_speed:", "schema"),
    ("spot without a twin", "aws.yaml", r"re:  gpu:  .*?(?=# The package)", "", "spot"),
    ("twin tried first", "aws.yaml", "priority: 0", "priority: 20", "spot"),
    ("deaf to preemption", "azure.yaml", "-m cluster.preemption azure", "-m http.server", "spot"),
    ("provider without fallback", "aws.yaml", r"re:type: external .*?\n  module:.*?\n", "type: aws\n",
     "spot"),
    ("no region", "aws.yaml", r"re:  region:.*?\n", "", "provider"),
    ("zone of another region", "gcp.yaml", "us-central1-a", "us-west1-a", "provider"),
    ("misspelt class", "aws.yaml", "FallbackAWSNodeProvider", "FallbackAwsNodeProvider", "provider"),
    ("key unknown to EC2", "aws.yaml", "      KeyName: starling\n", "", "provider"),
    ("ARM head", "aws.yaml", "m7i.4xlarge", "m7g.4xlarge", "resources"),
    ("GPU that cannot move", "gcp.yaml",
     "scheduling: {onHostMaintenance: TERMINATE, automaticRestart: false} ",
     "scheduling: {onHostMaintenance: MIGRATE} ", "machines"),
    ("latest image", "aws.yaml", "initialization_commands: []",
     "docker: {image: rayproject/ray:latest, container_name: ray}\ninitialization_commands: []", "pins"),
    ("nightly wheel", "aws.yaml", '"ray[default,tune]==2.60.0"',
     '"ray[default] @ https://example.org/ray-wheels/latest/ray-3.0.0.dev0-cp312.whl"', "pins"),
    ("Ray without a version", "aws.yaml", '"ray[default,tune]==2.60.0"', "ray", "pins"),
    ("another Ray", "gcp.yaml", "==2.60.0", "==2.40.0", "pins"),
    ("no machine image", "aws.yaml", "      ImageId: ami-REPLACE\n", "", "pins"),
    ("image of a family", "gcp.yaml", "images/REPLACE-image", "images/family/ubuntu-2404", "pins"),
    ("latest on Azure", "azure.yaml", "imageVersion: REPLACE-version", "imageVersion: latest", "pins"),
]  # fmt: skip
OTHERS = [
    ("no token", "kuberay/raycluster.yaml", r"re:  authOptions:.*?\n", "", "kuberay"),
    ("old autoscaler", "kuberay/raycluster.yaml", "version: v2", "version: v1", "kuberay"),
    ("autoscaler off", "kuberay/rayjob.yaml", "enableInTreeAutoscaling: true",
     "enableInTreeAutoscaling: false", "kuberay"),
    ("typo", "kuberay/raycluster.yaml", "idleTimeoutSeconds: 300", "idleTimeoutSecond: 300", "kuberay_keys"),
    ("number for text", "kuberay/raycluster.yaml", 'num-cpus: "0"', "num-cpus: 0", "kuberay_pods"),
    ("GPU pods that stay", "kuberay/raycluster.yaml", "minReplicas: 0", "minReplicas: 2", "limits"),
    ("open to the world", "kuberay/raycluster.yaml", "  headGroupSpec:",
     "  headGroupSpec:\n    serviceType: LoadBalancer", "kuberay_pods"),
    ("tag that moves", "kuberay/raycluster.yaml", "REPLACE-registry/starling:0.1.0@sha256:REPLACE-digest",
     "example.org/starling:latest", "pins"),
    ("secret by value", "kuberay/raycluster.yaml", "- {name: NETRC, value: /run/starling/netrc}",
     f"- {{name: WANDB_API_KEY, value: {KEY}}}", "secrets"),
    ("cluster that stays", "kuberay/rayjob.yaml", "shutdownAfterJobFinishes: true",
     "shutdownAfterJobFinishes: false", "kuberay"),
    ("pod without a fence", "kuberay/raycluster.yaml", "metadata: {labels: {app: starling}}",
     "metadata: {labels: {app: mine}}", "kuberay"),
    ("limits missing", "kuberay/raycluster.yaml", '              limits: {cpu: "8", memory: 32Gi}\n', "",
     "kuberay_pods"),
    ("late directive", "slurm.sbatch", "set -euo pipefail", "set -euo pipefail\n#SBATCH --mem=64G", "slurm"),
    ("two Rays a node", "slurm.sbatch", "--ntasks-per-node=1", "--ntasks-per-node=8", "slurm"),
    ("no srun", "slurm.sbatch", "srun --kill-on-bad-exit=1 ray", "ray", "slurm"),
    ("no token", "slurm.sbatch", "RAY_AUTH_MODE=token ", "", "slurm"),
    ("typo", "slurm.sbatch", "--exclusive", "--exclusiv", "slurm"),
    ("option of ray start", "slurm.sbatch", "--min-nodes", "--head --min-nodes", "slurm"),
    ("no time", "slurm.sbatch", r"re:#SBATCH --time.*?\n", "", "slurm"),
]  # fmt: skip
PLANTED = CLOUDS + OTHERS


def plant(tmp_path, name, old, new):
    """A copy of one of our files with a mistake in it, beside copies of its neighbours."""
    source = HERE / name
    folder = tmp_path / "planted"
    shutil.copytree(
        source.parent, folder, ignore=lambda _, names: [n for n in names if not n.endswith(".yaml")]
    )
    text = source.read_text()
    if old.startswith("re:"):
        changed = re.sub(old[3:], lambda _: new, text, count=1, flags=re.DOTALL)
    else:
        changed = text.replace(old, new, 1)
    assert changed != text, f"{name} no longer has {old!r}"
    (folder / source.name).write_text(changed)
    return folder / source.name


def faults(findings):
    return [one for one in findings if one.level in ("error", "warning")]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_files_have_no_error_and_no_warning(path):
    assert faults(lint.lint(path)) == []
    assert [one for one in lint.lint(path) if one.level == "skipped" and find_spec("googleapiclient")] == []


@pytest.mark.parametrize(
    ("what", "name", "old", "new", "rule"), PLANTED, ids=[f"{one[1]}: {one[0]}" for one in PLANTED]
)
def test_a_planted_mistake_is_found_by_its_rule_at_its_line(tmp_path, what, name, old, new, rule):
    if rule == "gcp_model" and find_spec("googleapiclient") is None:
        pytest.skip("google-api-python-client, which has Compute Engine's model, is not installed")
    path = plant(tmp_path, name, old, new)
    found = [one for one in faults(lint.lint(path)) if one.rule == rule]
    assert found, lint.text(lint.lint(path))
    for one in found:
        assert all(len(text) > 5 for text in (one.what, one.why, one.fix))
        assert 1 <= one.line <= len(path.read_text().splitlines())
    assert KEY not in lint.text(found)


def test_values_to_be_filled_in_are_edits_and_no_faults():
    found = lint.lint(HERE / "aws.yaml")
    assert {one.level for one in found} == {"edit"}
    assert {one.line for one in found if "REPLACE" in one.what} == {
        number
        for number, line in enumerate((HERE / "aws.yaml").read_text().splitlines(), 1)
        if "REPLACE" in line
    }


def test_every_finding_is_shown_with_line_why_and_fix_and_counted(tmp_path):
    path = plant(tmp_path, "aws.yaml", "Encrypted: true", "Encrypted: false")
    found = lint.lint(path)
    shown = lint.text(found, path)
    assert f"{path}:42: error: available_node_types.head.node_config.BlockDeviceMappings.0: disk" in shown
    assert "    fix: write Encrypted: true" in shown
    assert (
        shown.splitlines()[-1] == "1 errors, 4 values to fill in"
    )  # once, though three node types have this disk
    as_json = json.loads(json.dumps(lint.to_json(found)))
    assert {"level", "line", "key", "what", "why", "fix", "rule"} == set(as_json[0])
    assert lint.text([]) == "nothing found"


def test_a_file_that_cannot_be_read_as_a_cluster_still_gets_what_ray_says(tmp_path):
    path = plant(
        tmp_path, "aws.yaml", "max_workers: 200                        # EDIT", "max_workers: many #"
    )
    found = faults(lint.lint(path))
    assert {one.rule for one in found} == {"", "schema"}
    assert {one.line for one in found} == {9}


def test_what_is_no_cluster_is_refused_with_what_was_expected(tmp_path):
    (tmp_path / "sweep.yaml").write_text("trainable: classify\n")
    with pytest.raises(ValueError, match="neither `available_node_types`"):
        lint.lint(tmp_path / "sweep.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(ValueError, match="is not YAML"):
        lint.lint(tmp_path / "broken.yaml")
    with pytest.raises(FileNotFoundError, match="no cluster file"):
        lint.lint(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("model", "name", "package", "extra"),
    [(aws_model, "aws.yaml", "botocore", "aws"), (gcp_model, "gcp.yaml", "googleapiclient", "gcp")],
    ids=["aws", "gcp"],
)
def test_a_check_that_is_left_out_says_so_and_how_to_have_it(monkeypatch, model, name, package, extra):
    monkeypatch.setattr(model, "find_spec", lambda wanted: None if wanted == package else find_spec(wanted))
    left_out = [one for one in lint.lint(HERE / name) if one.level == "skipped"]
    assert len(left_out) == 1
    assert f"starling-sweeps[{extra}]" in left_out[0].fix


def test_rays_own_examples_show_the_weak_points_that_ours_avoid():
    defaults = Path(importlib.import_module("ray.autoscaler").__file__).parent / "aws" / "defaults.yaml"
    told = {(one.rule, one.level) for one in lint.lint(defaults)}
    assert {("machines", "error"), ("network", "error"), ("identity", "error"), ("pins", "error")} <= told


def test_a_secret_is_never_repeated(tmp_path):
    token = "hf_" + "q" * 34
    path = plant(
        tmp_path, "aws.yaml", "worker_setup_commands: []", f"worker_setup_commands: ['login {token}']"
    )
    found = [one for one in lint.lint(path) if one.rule == "secrets"]
    assert len(found) == 1
    assert token[:12] not in lint.text(found)


@pytest.mark.parametrize(
    "line",
    [
        "export WANDB_API_KEY=$(cat ~/.starling/wandb)",
        "export RAY_AUTH_TOKEN_PATH=$HOME/.starling/token/auth_token",
        "aws ssm get-parameter --name /starling/wandb --with-decryption",
        "password=${PASSWORD} command",
        "image: example.org/starling@sha256:" + "0" * 64,
    ],
)
def test_references_to_secrets_are_not_taken_for_secrets(tmp_path, line):
    path = plant(tmp_path, "aws.yaml", "cluster_name:", f"# {line}\ncluster_name:")
    assert [one for one in lint.lint(path) if one.rule == "secrets"] == []


def test_each_family_says_what_it_reads_and_adding_a_file_adds_a_family():
    for name in lint.families():
        family = importlib.import_module(f"cluster.lint.rules.{name}")
        assert set(family.KINDS) <= {"launcher", "kuberay", "slurm"}
        assert family.__doc__
    assert {one[4] for one in PLANTED} | {"placeholders"} == set(lint.families())


def test_azures_parameters_are_those_of_rays_template():
    assert azure_model.parameters()["vmSize"] == "string"
    assert azure_model.parameters().keys() >= azure_model.FILLED
