"""A sweep's size follows from what its cluster may become, not from what is up."""

import json

import pytest
import ray
from ray import tune

from cluster.fitting import fit
from cluster.standing import standing
from sweeps import Sweep
from sweeps.loop import room

GROWING = """
cluster_name: growing
max_workers: 30
provider: {type: aws, region: us-west-2}
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, node_config: {InstanceType: m7i.large}}
  gpu: {resources: {CPU: 8, GPU: 1}, max_workers: 20, node_config: {InstanceType: g6.2xlarge}}
  cpu: {resources: {CPU: 16}, max_workers: 20, node_config: {InstanceType: m7i.4xlarge}}
"""


@pytest.fixture
def growing(outside):
    (outside / "growing.yaml").write_text(GROWING)
    return "growing.yaml"


def trial(**fields):
    return Sweep(trainable="classify", space={"lr": tune.uniform(0, 1)}, trials=1, **fields)


def test_a_trial_that_never_fits_is_refused_with_the_node_types_it_was_compared_with(
    starling, recipe, growing
):
    plan = starling("check", recipe, "--cluster", growing, "--gpus-per-rank", "2", "--json")
    (why,) = json.loads(plan.out)["obstacles"]
    assert why == (
        "ranks: no trial ever fits on growing: "
        "head (m7i.large): a rank needs 1 CPU and 2 GPU, a node has 0 CPU and 0 GPU; "
        "gpu (g6.2xlarge): a rank needs 1 CPU and 2 GPU, a node has 8 CPU and 1 GPU; "
        "cpu (m7i.4xlarge): a rank needs 1 CPU and 2 GPU, a node has 16 CPU and 0 GPU."
    )


def test_a_trial_whose_ranks_need_nodes_that_may_start_is_not_refused(starling, recipe, growing):
    plan = starling("check", recipe, "--cluster", growing, "--ranks", "20", "--gpus-per-rank", "1", "--json")
    assert json.loads(plan.out)["obstacles"] == []


def test_more_ranks_than_all_nodes_together_hold_are_refused(starling, recipe, growing):
    plan = starling("check", recipe, "--cluster", growing, "--ranks", "21", "--gpus-per-rank", "1", "--json")
    (why,) = json.loads(plan.out)["obstacles"]
    assert why.endswith("a trial is 21 ranks with 1 CPU and 1 GPU each; all 30 workers hold 20.")


def test_a_cluster_file_that_is_not_there_is_named(starling, recipe, outside):
    plan = starling("check", recipe, "--cluster", "nosuch.yaml", "--json")
    assert json.loads(plan.out)["obstacles"] == ["cluster: there is no cluster file 'nosuch.yaml'"]


def test_trials_at_a_time_are_those_of_all_nodes_that_may_start(small_ray, growing):
    here = ray.get_runtime_context().gcs_address
    for fields, most in (
        ({"gpus_per_rank": 1}, 20),  # 20 nodes with a GPU
        ({"cpus_per_rank": 8}, 50),  # 20 machines of two such ranks and 10 of one: 30 nodes in all
        ({"cpus_per_rank": 8, "ranks": 4}, 12),
    ):
        assert room.trials_at_once(trial(address=here, cluster=growing, **fields)) == most


def test_on_the_head_the_yaml_of_ray_up_is_found(small_ray, growing, outside, monkeypatch):
    here = ray.get_runtime_context().gcs_address
    assert room.largest(trial(address=here)).name == "the running cluster"
    (outside / "growing.yaml").rename(outside / "ray_bootstrap_config.yaml")
    monkeypatch.setattr(room, "BOOTSTRAPPED", outside / "ray_bootstrap_config.yaml")
    assert room.largest(trial(address=here)).name == "growing"


def test_machines_of_ones_own_are_those_that_have_joined(small_ray, outside, monkeypatch):
    own = "{cluster_name: own, max_workers: 3, provider: {type: local, head_ip: a, worker_ips: [b, c, d]}}"
    (outside / "ray_bootstrap_config.yaml").write_text(own)
    monkeypatch.setattr(room, "BOOTSTRAPPED", outside / "ray_bootstrap_config.yaml")
    here = ray.get_runtime_context().gcs_address
    assert room.largest(trial(address=here)).name == "the running cluster"
    assert room.trials_at_once(trial(address=here)) == 2


def test_a_cluster_that_does_not_grow_holds_what_its_nodes_hold_one_by_one(small_ray):
    here = ray.get_runtime_context().gcs_address
    assert room.trials_at_once(trial(address=here)) == 2
    two = standing([{"CPU": 1.0}, {"CPU": 1.0}])
    assert fit(two, {"CPU": 2}).trials == 0  # two CPUs in all, but not on one node
    assert fit(two, {"CPU": 1}, 2).trials == 1
