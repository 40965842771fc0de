"""One mistake or several for each family of rules of lint, planted in our own files, which are right."""

import importlib
from importlib.util import find_spec

import pytest

from cluster import lint

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
    ("disk in the clear", "aws.yaml", "Encrypted: true", "Encrypted: false", "disks"),
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
    ("zone of another region", "gcp.yaml", "us-central1-a", "us-west1-a", "places"),
    ("misspelt class", "aws.yaml", "FallbackAWSNodeProvider", "FallbackAwsNodeProvider", "provider"),
    ("key unknown to EC2", "aws.yaml", "      KeyName: starling\n", "", "log_in"),
    ("ARM head", "aws.yaml", "m7i.4xlarge", "m7g.4xlarge", "resources"),
    ("GPU that cannot move", "gcp.yaml",
     "scheduling: {onHostMaintenance: TERMINATE, automaticRestart: false} ",
     "scheduling: {onHostMaintenance: MIGRATE} ", "gcp_machines"),
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
    ("typo", "kuberay/raycluster.yaml", "idleTimeoutSeconds: 300", "idleTimeoutSecond: 300", "kuberay_model"),
    ("number for text", "kuberay/raycluster.yaml", 'num-cpus: "0"', "num-cpus: 0", "kuberay_model"),
    ("GPU pods that stay", "kuberay/raycluster.yaml", "minReplicas: 0", "minReplicas: 2", "limits"),
    ("open to the world", "kuberay/raycluster.yaml", "  headGroupSpec:",
     "  headGroupSpec:\n    serviceType: LoadBalancer", "pod_rights"),
    ("tag that moves", "kuberay/raycluster.yaml", "REPLACE-registry/starling:0.1.0@sha256:REPLACE-digest",
     "example.org/starling:latest", "pins"),
    ("secret by value", "kuberay/raycluster.yaml", "- {name: NETRC, value: /run/starling/netrc}",
     f"- {{name: WANDB_API_KEY, value: {KEY}}}", "secrets"),
    ("cluster that stays", "kuberay/rayjob.yaml", "shutdownAfterJobFinishes: true",
     "shutdownAfterJobFinishes: false", "ray_job"),
    ("pod without a fence", "kuberay/raycluster.yaml", "metadata: {labels: {app: starling}}",
     "metadata: {labels: {app: mine}}", "kuberay"),
    ("limits missing", "kuberay/raycluster.yaml", '              limits: {cpu: "8", memory: 32Gi}\n', "",
     "pod_sizes"),
    ("late directive", "slurm.sbatch", "set -euo pipefail", "set -euo pipefail\n#SBATCH --mem=64G",
     "slurm_header"),
    ("two Rays a node", "slurm.sbatch", "--ntasks-per-node=1", "--ntasks-per-node=8", "slurm_header"),
    ("no srun", "slurm.sbatch", "srun --kill-on-bad-exit=1 ray", "ray", "slurm_command"),
    ("no token", "slurm.sbatch", "RAY_AUTH_MODE=token ", "", "slurm_command"),
    ("typo", "slurm.sbatch", "--exclusive", "--exclusiv", "slurm_header"),
    ("option of ray start", "slurm.sbatch", "--min-nodes", "--head --min-nodes", "slurm_command"),
    ("no time", "slurm.sbatch", r"re:#SBATCH --time.*?\n", "", "slurm_header"),
]  # fmt: skip

FAMILIES = [
    ("head among the workers", "onprem.yaml", "REPLACE-gpu2]", "REPLACE-head]", "addresses"),
    ("priority that was given up", "azure.yaml", "priority: Spot", "priority: Low", "azure_machines"),
    ("one's own keys", "aws.yaml", "  ~/.starling/token: ", "  ~/.aws: ~/.aws\n  ~/.starling/token: ",
     "credentials"),
    ("container without a name", "aws.yaml", "initialization_commands: []",
     "docker: {image: 'rayproject/ray:2.60.0-py312-gpu'}\ninitialization_commands: []", "docker"),
    ("misspelt variable", "gcp.yaml", "AUTOSCALER_MAX_CONCURRENT", "AUTOSCALER_MAX_CONCURENT", "environment"),
    ("network card twice", "aws-h100.yaml", "NetworkCardIndex: 4,", "NetworkCardIndex: 3,", "interfaces"),
    ("other half of the key", "aws.yaml", "starling.pem ", "starling.pem.pub ", "log_in"),
    ("name with a space", "aws.yaml", "cluster_name: starling", "cluster_name: my starling", "names"),
    ("spot in name alone", "aws.yaml", r"re:      InstanceMarketOptions.*?\n", "", "node_types"),
    ("zone for a region", "aws.yaml", "region: us-west-2 ", "region: us-west-2a ", "places"),
    ("limit that buys nothing", "aws.yaml", "SpotInstanceType: one-time",
     "SpotInstanceType: one-time, MaxPrice: '0.01'", "price_limits"),
    ("Python of another version", "aws.yaml", "python3.12 -m venv", "python3.11 -m venv", "versions"),
    ("quote left open", "onprem.yaml", 'tune]==2.60.0"', "tune]==2.60.0", "shell"),
    ("policy for everybody", "kuberay/networkpolicy.yaml", "- podSelector: {matchLabels: {app: starling}}",
     "- ipBlock: {cidr: 0.0.0.0/0}", "network_policy"),
    ("machine's network", "kuberay/raycluster.yaml", "automountServiceAccountToken: false",
     "automountServiceAccountToken: false\n          hostNetwork: true", "pod_rights"),
    ("half a GPU", "kuberay/rayjob.yaml", "nvidia.com/gpu: 1}", "nvidia.com/gpu: 0.5}", "pod_sizes"),
    ("option that is none", "kuberay/raycluster.yaml", "num-cpus:", "num-cpu:", "pod_start"),
    ("mount of nothing", "kuberay/raycluster.yaml", "/dev/shm, name: shm", "/dev/shm, name: dshm",
     "pod_volumes"),
    ("results in a pod", "kuberay/rayjob.yaml", "s3://REPLACE-bucket/sweeps", "/home/ray/results", "ray_job"),
    ("misspelt variable of Slurm", "slurm.sbatch", "$SLURM_JOB_NUM_NODES", "$SLURM_JOB_NUM_NODE",
     "slurm_script"),
]  # fmt: skip
PLANTED = CLOUDS + OTHERS + FAMILIES


@pytest.mark.parametrize(
    ("what", "name", "old", "new", "rule"), PLANTED, ids=[f"{one[1]}: {one[0]}" for one in PLANTED]
)
def test_a_planted_mistake_is_found_by_its_rule_at_its_line(plant, what, name, old, new, rule):
    if rule == "gcp_model" and find_spec("googleapiclient") is None:
        pytest.skip("google-api-python-client, which has Compute Engine's model, is not installed")
    path = plant(name, old, new)
    found = [one for one in lint.lint(path) if one.rule == rule and one.level in ("error", "warning")]
    assert found, lint.text(lint.lint(path))
    for one in found:
        assert all(len(text) > 5 for text in (one.what, one.why, one.fix))
        assert 1 <= one.line <= len(path.read_text().splitlines())
    assert KEY not in lint.text(found)


def test_each_family_says_what_it_reads_and_has_a_mistake_here():
    for name in lint.families():
        family = importlib.import_module(f"cluster.lint.rules.{name}")
        assert set(family.KINDS) <= {"launcher", "kuberay", "policy", "slurm"}
        assert family.__doc__
    assert {one[4] for one in PLANTED} | {"placeholders"} == set(lint.families())
