"""What `ray up` and `ray down` make and delete on GCP and Azure where the YAML names access of your own."""

import copy
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider

from cluster.providers.gcp import FallbackGCPNodeProvider

CLUSTERS = Path(__file__).parents[2] / "cluster"


def document(name):
    return yaml.safe_load((CLUSTERS / f"{name}.yaml").read_text())


def test_our_gcp_cluster_makes_no_service_account_and_asks_google_for_nothing(monkeypatch):
    monkeypatch.setattr(GCPNodeProvider, "bootstrap_config", lambda config: pytest.fail("Ray makes its own"))
    config = document("gcp")
    before = copy.deepcopy(config)
    assert FallbackGCPNodeProvider.bootstrap_config(config) == before | {"head_node": {}}


@pytest.mark.parametrize("lacks", ["serviceAccounts", "networkInterfaces", "ssh_private_key"])
def test_where_access_of_your_own_is_incomplete_on_gcp_ray_makes_it(monkeypatch, lacks):
    monkeypatch.setattr(GCPNodeProvider, "bootstrap_config", lambda config: "made by Ray")
    config = document("gcp")
    config["auth"].pop(lacks, None)
    for one in config["available_node_types"].values():
        one["node_config"].pop(lacks, None)
    assert FallbackGCPNodeProvider.bootstrap_config(config) == "made by Ray"


@pytest.fixture
def azure():
    pytest.importorskip("azure.mgmt.compute", reason="needs the extra azure")
    from cluster.providers import azure

    return azure


def test_our_azure_cluster_keeps_its_identity_and_network_and_gets_its_key(azure, monkeypatch, tmp_path):
    monkeypatch.setattr(
        azure.AzureNodeProvider, "bootstrap_config", lambda config: pytest.fail("Ray makes its own")
    )
    config = document("azure")
    for name in ("ssh_private_key", "ssh_public_key"):
        (tmp_path / name).write_text("a key")
        config["auth"][name] = str(tmp_path / name)
    given = {name: config["provider"][name] for name in azure.OWN}
    made = azure.FallbackAzureNodeProvider.bootstrap_config(config)
    assert {name: made["provider"][name] for name in azure.OWN} == given
    types = made["available_node_types"].values()
    assert all(one["node_config"]["azure_arm_parameters"]["publicKey"] == "a key" for one in types)


@pytest.mark.parametrize("own", [True, False])
def test_ray_down_deletes_on_azure_what_ray_made_and_nothing_of_yours(azure, monkeypatch, own):
    deleted = []
    monkeypatch.setattr(
        azure.AzureNodeProvider, "cleanup_cluster_resources", lambda self: deleted.append(self)
    )
    provider = object.__new__(azure.FallbackAzureNodeProvider)
    provider.provider_config = {azure.KEPT: True} if own else {}
    provider.cleanup_cluster_resources()
    assert bool(deleted) is not own
