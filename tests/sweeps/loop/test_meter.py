"""Dollars of real trials on a real cluster of raylets on this machine, whose node types have prices."""

from types import SimpleNamespace

import pytest
import ray
from ray import tune
from ray.cluster_utils import Cluster

from sweeps import Results, SpecError, Sweep, journal, resume
from sweeps.loop import meter as meters

GROWN = """
cluster_name: grown
max_workers: 4
provider: {type: aws, region: here}
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, node_config: {InstanceType: small}}
  worker: {resources: {CPU: 4}, node_config: {InstanceType: large}}
"""
PRICES = """as_of,source,region,cloud,instance,on_demand,spot
2026-11-01,a test,here,aws,small,36,
2026-11-01,a test,here,aws,large,360,
"""


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs and one worker, as the autoscaler would have started them."""
    named = {"RAY_NODE_TYPE_NAME": "head", "RAY_CLOUD_INSTANCE_ID": "i-head"}
    head = {"num_cpus": 0, "include_dashboard": False, "env_vars": named}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.add_node(num_cpus=4, env_vars={"RAY_NODE_TYPE_NAME": "worker", "RAY_CLOUD_INSTANCE_ID": "i-1"})
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made.address
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def priced(outside):
    """Fields of a sweep on that cluster."""
    (outside / "grown.yaml").write_text(GROWN)
    (outside / "prices.csv").write_text(PRICES)
    return {"cluster": str(outside / "grown.yaml"), "prices": str(outside / "prices.csv")}


SLOW = """
import time

from ray import tune


def train(config):
    for step in range(3):
        time.sleep(0.5)
        tune.report({"loss": config["x"] + step})
"""


def sweep(folder, address, **fields):
    """In the folder that is the working one, with its function in a file, so that it can be resumed."""
    (folder / "slow.py").write_text(SLOW)
    return Sweep(
        trainable="slow.py:train", space={"x": tune.uniform(0, 1)}, metric="loss", mode="min",
        search="random", storage=str(folder), name="s", address=address, quiet=True, **fields,
    )  # fmt: skip


def test_the_dollars_of_trials_boot_and_idle_time_are_the_bill_of_the_nodes(outside, cluster, priced):
    results = sweep(outside, cluster, trials=3, cpus_per_rank=2, **priced).run()
    told = list(journal.read(outside / "s"))
    seen = {one["node"]: one["price"] for one in told if one["event"] == "node"}
    assert seen == {"i-head": 36, "i-1": 360}
    assert {tuple(one["shares"].items()) for one in told if one["event"] == "placed"} == {(("i-1", 0.5),)}
    spent, trials = results.dollars, [trial.dollars for trial in results.trials]
    assert spent["total"] == pytest.approx(spent["boot"] + spent["idle"] + sum(trials))
    first = min(one["t"] for one in told if one["event"] == "node")
    assert spent["total"] == pytest.approx((told[-1]["t"] - first) * 396 / 3600, rel=1e-3)
    assert min(trials) >= 1.5 * 180 / 3600  # half a node, for as long as it slept
    assert spent["idle"] >= spent["total"] * 36 / 396 * 0.99  # the head trains nothing


@pytest.mark.slow
def test_a_sweep_stops_at_its_cost_and_goes_on_where_there_is_more_money(outside, cluster, priced, starling):
    results = sweep(outside, cluster, trials=90, cpus_per_rank=4, max_cost=3.3, **priced).run()  # 30 s
    assert list(journal.read(outside / "s"))[-1]["why"] == "max_cost"
    done = results.status().get("completed", 0)
    assert done < 90
    assert 3.3 <= results.dollars["total"] < 3.3 + 10 * 396 / 3600  # it looks every 5 s
    said = starling("status", outside / "s").out
    assert f"${results.dollars['total']:.2f}: $" in said
    assert "--max-cost DOLLARS" in said
    with pytest.raises(SpecError, match=r"max_cost: is \$3.3, and the sweep has cost \$"):
        resume(outside / "s")
    resume(outside / "s", max_cost=6.6, address=cluster)
    later = Results(outside / "s")
    assert later.status()["completed"] > done
    assert later.dollars["total"] >= 6.6


def test_a_limit_of_cost_without_prices_is_refused_before_anything_starts(outside, cluster, priced):
    with pytest.raises(SpecError, match="max_cost: nobody knows what this cluster's nodes cost"):
        sweep(outside, cluster, trials=1, max_cost=1.0).run()
    with pytest.raises(SpecError, match="max_cost: no price for small of aws in here"):
        sweep(outside, cluster, trials=1, max_cost=1.0, cluster=priced["cluster"]).run()
    assert not (outside / "s" / "journal").exists()


def test_a_node_that_starts_under_one_name_and_joins_under_another_is_paid_for_once(monkeypatch):
    """The autoscaler (v2) numbers starting nodes itself, and shows them for a while after they joined."""

    def pending(name, kind="worker"):
        return SimpleNamespace(instance_id=name, ray_node_type_name=kind)

    def up(name, kind="worker"):
        return SimpleNamespace(
            instance_id=name, node_id=f"node of {name}", ray_node_type_name=kind, total_resources=dict
        )

    looks = []
    conductor = SimpleNamespace(node=lambda name, state, *_: looks[-1].add((name, state)))
    meter = meters.Meter(conductor, None, {"head": 36.0, "worker": 360.0, "spot": 90.0}, {})
    monkeypatch.setattr(meters.ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address="x"))
    head, spot = up("i-head", "head"), pending("s", "spot")
    for pendings, ups in (
        ([pending("a"), pending("b"), spot], [head]),
        ([pending("a"), pending("b"), spot], [head, up("i-1")]),
        ([pending("b"), spot, pending("c")], [head, up("i-1"), up("i-2")]),
        ([spot], [head, up("i-1"), up("i-2"), up("i-3")]),
        ([], [head, up("i-1"), up("i-4")]),
    ):
        status = SimpleNamespace(active_nodes=ups, idle_nodes=[], pending_nodes=pendings)
        monkeypatch.setattr(meters, "get_cluster_status", lambda _, status=status: status)
        looks.append(set())
        meter.look(0.0, force=True)
    assert looks == [
        {("i-head", "up"), ("a", "starting"), ("b", "starting"), ("s", "starting")},
        {("a", "up")},
        {("b", "up"), ("c", "starting")},
        {("c", "up")},
        {("b", "gone"), ("c", "gone"), ("s", "gone"), ("i-4", "up")},
    ]
