"""Lint against our own files, which are right, and against small mistakes planted in them."""

import argparse
import importlib
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from cluster import lint
from cluster.lint import kubernetes_model
from cluster.lint.rules import aws_model, azure_model, gcp_model
from cluster.lint.starling_command import OPTIONS
from sweeps.commands import resume, run

HERE = Path(lint.__file__).parents[1]
OURS = sorted([*HERE.glob("*.yaml"), *HERE.glob("kuberay/*.yaml"), HERE / "slurm.sbatch"])


def faults(findings):
    return [one for one in findings if one.level in ("error", "warning")]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_files_have_no_error_and_no_warning(path):
    assert faults(lint.lint(path)) == []
    assert [one for one in lint.lint(path) if one.level == "skipped" and find_spec("googleapiclient")] == []


def test_values_to_be_filled_in_are_edits_and_no_faults():
    found = lint.lint(HERE / "aws.yaml")
    assert {one.level for one in found} == {"edit"}
    assert {one.line for one in found if "REPLACE" in one.what} == {
        number
        for number, line in enumerate((HERE / "aws.yaml").read_text().splitlines(), 1)
        if "REPLACE" in line
    }


def test_every_finding_is_shown_with_line_why_and_fix_and_counted(plant):
    path = plant("aws.yaml", "Encrypted: true", "Encrypted: false")
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


def test_a_file_that_cannot_be_read_as_a_cluster_still_gets_what_ray_says(plant):
    path = plant("aws.yaml", "max_workers: 200                        # EDIT", "max_workers: many #")
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


def test_a_secret_is_never_repeated(plant):
    token = "hf_" + "q" * 34
    path = plant("aws.yaml", "worker_setup_commands: []", f"worker_setup_commands: ['login {token}']")
    found = [one for one in lint.lint(path) if one.rule == "secrets"]
    assert len(found) == 1
    assert token[:12] not in lint.text(found)


def test_secrets_are_found_in_every_spelling_each_in_its_line(plant):
    """Made up here, in pieces, so that no scanner takes this file for a leak."""
    random = "Zk3J9xQ7mP2vL8sR4tW6yB1nC5dF0gH3jK7aE9uI"
    lines = [
        f"export WANDB_API_KEY={random}",
        f"WANDB_API_KEY='{random}' python train.py",
        f'wandb_api_key: "{random}"',
        f"wandb login --relogin {random}",
        f"wandb.login(key='{random}')",
        f"run_options: [-e, HF_TOKEN=hf_{random}]",
        f"aws configure set aws_secret_access_key {random}",
        f"aws_access_key_id = AKIA{'Q7' * 8}",
        f"git clone https://me:{random}@github.com/me/private.git",
        f"curl -H 'Authorization: Bearer {random}' https://example.org",
        "curl -u me:hunter2 https://example.org",
        "mysql -u root -phunter22 data",
        "sshpass -p hunter2 ssh gpu1",
        "docker login -u me -p hunter22",
        "redis://:hunter2@10.0.0.1:6379",
        "PGPASSWORD=hunter2 psql",
        "machine api.wandb.ai login user password " + "a1" * 20,
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "- {name: OPENAI_API_KEY, value: " + random + "}",
        f"--conf spark.hadoop.fs.s3a.secret.key={random}",
        f"echo {random}== | base64 -d > ~/.netrc",
        "AZURE_CLIENT_SECRET=Q8x~" + random,
    ]
    path = plant("aws.yaml", "cluster_name:", "".join(f"# {line}\n" for line in lines) + "cluster_name:")
    found = {one.line for one in lint.lint(path) if one.rule == "secrets"}
    first = path.read_text().splitlines().index(f"# {lines[0]}") + 1
    assert [line for i, line in enumerate(lines, first) if i not in found] == []


def test_references_to_secrets_are_not_taken_for_secrets(plant):
    lines = [
        "export WANDB_API_KEY=$(cat ~/.starling/wandb)",
        "export RAY_AUTH_TOKEN_PATH=$HOME/.starling/token/auth_token",
        "aws ssm get-parameter --name /starling/wandb --with-decryption",
        "gcloud secrets versions access latest --secret=team-vision-wandb-key",
        "az keyvault secret show --vault-name starling --name wandb",
        "password=${PASSWORD} command",
        "image: example.org/starling@sha256:" + "0123456789abcdef" * 4,
        "pip install git+https://github.com/me/mine@" + "0123456789abcdef0123456789abcdef01234567",
        "ssh_private_key: /home/me/.ssh/id_ed25519",
        "secretKeyRef: {name: starling-wandb, key: api_key}",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq8sXk9Zl2Qw7v0aT3yN5bC1dE4fG6hI8jK0lM2nO4p me@laptop",
        "automountServiceAccountToken: false",
        "MetadataOptions: {HttpTokens: required}",
        "KeyName: starling-2026",
        "starling run sweeps/recipes/quickstart.py --name a-very-long-name-of-a-sweep-of-mine-2026",
    ]
    path = plant("aws.yaml", "cluster_name:", "".join(f"# {line}\n" for line in lines) + "cluster_name:")
    assert [one.what for one in lint.lint(path) if one.rule == "secrets"] == []


def test_options_of_starling_that_lint_knows_are_those_of_its_commands():
    parser = argparse.ArgumentParser(conflict_handler="resolve")
    run.options(parser)
    resume.options(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    assert set(OPTIONS) == {option for option in known if option.startswith("--")} - {"--help"}


def test_every_object_that_kubernetes_model_names_is_there_and_every_key_has_a_value():
    every = kubernetes_model.objects()
    for kind, keys in every.items():
        for key, one in keys.items():
            inner = one.value.rpartition("[")[2].rstrip("]")
            plain = inner in (*kubernetes_model.PLAIN, "quantity", "any") or "|" in inner
            assert plain or inner in every, f"{kind}.{key}: {one.value}"
    assert every["RayClusterSpec"]["headGroupSpec"].required
    assert every["Toleration"]["tolerationSeconds"].value == "integer"


def test_a_launcher_file_of_another_shape_is_judged_by_what_it_has(plant):
    """Commands of a node type, and Docker's own images for head and workers, are looked at too."""
    path = plant(
        "aws.yaml",
        "    labels: {market: on-demand}\n",
        "    labels: {market: on-demand}\n    worker_setup_commands: [sudo reboot]\n",
        "initialization_commands: []",
        "docker: {head_image: rayproject/ray:latest, worker_image: rayproject/ray:latest-gpu, "
        "container_name: ray}\ninitialization_commands: []",
    )
    told = {(one.rule, one.key) for one in faults(lint.lint(path))}
    assert ("shell", "available_node_types.gpu.worker_setup_commands.0") in told
    assert {("pins", "docker.head_image"), ("pins", "docker.worker_image")} <= told


def test_azures_parameters_are_those_of_rays_template():
    assert azure_model.parameters()["vmSize"] == "string"
    assert azure_model.parameters().keys() >= azure_model.FILLED
