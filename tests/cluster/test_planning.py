from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray.autoscaler.v2.instance_manager.config import NodeTypeConfig
from ray.autoscaler.v2.instance_manager.reconciler import Reconciler
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.schema import AutoscalerInstance
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import GangResourceRequest, NodeState, NodeStatus
from ray.core.generated.instance_manager_pb2 import Instance, NodeKind

from cluster.cluster_file import Cluster, NodeType
from cluster.fitting import fit, held
from cluster.planning import Assumptions, Simulation, autoscaler
from cluster.planning.cost import cost
from cluster.prices import NodePrice

CALM = Assumptions(refused=0, preemptions_per_h=0, packing_s=0)


def kind(name, resources, most, **more):
    return NodeType(
        name=name,
        resources=resources,
        min_workers=0,
        max_workers=most,
        instance=None,
        **{"spot": False, **more},
    )


def small(workers, most=None, speed=100.0, launches=100, head=None):
    return Cluster(
        path=Path("c.yaml"),
        name="c",
        provider="aws",
        region="r",
        head=kind("head", head or {"CPU": 0}, 0),
        workers=tuple(workers),
        max_workers=most if most is not None else sum(one.max_workers for one in workers),
        upscaling_speed=speed,
        idle_timeout_s=300.0,
        launches=launches,
        document={},
        lines={},
    )


class Trials:
    """So many trials of so many reports of so many seconds; at most `at_once` want room."""

    def __init__(self, count, reports=3, seconds=60.0, at_once=10**6):
        self.todo, self.reports = list(range(count))[::-1], reports
        self.seconds, self.at_once = seconds, at_once
        self.made, self.open, self.repeated = {}, 0, 0

    def waiting(self):
        return min(len(self.todo), self.at_once)

    def begin(self):
        if not self.todo:
            return None
        self.open += 1
        return self.todo.pop(), self.seconds

    def report(self, trial, now):
        self.made[trial] = self.made.get(trial, 0) + 1
        if self.made[trial] < self.reports:
            return self.seconds
        self.open -= 1
        return None

    def lost(self, trial):
        self.open, self.repeated = self.open - 1, self.repeated + 1
        self.todo.append(trial)

    def name(self, trial):
        return str(trial)

    @property
    def finished(self):
        return not self.open and not self.todo


def simulate(cluster, work, bundle=None, ranks=1, assumptions=CALM, seed=0):
    bundle = bundle or {"GPU": 1}
    return Simulation(cluster, work, bundle=bundle, ranks=ranks, assumptions=assumptions, seed=seed).run()


# -- the autoscaler: Ray's own is the oracle ---------------------------------------------------------


def rays_answer(cluster, bundle, ranks, waiting, up, recovery):
    """What Ray's scheduler launches; `up` has (type, bundles in use) of each node that runs."""
    types = {
        one.name: NodeTypeConfig(
            name=one.name,
            min_worker_nodes=0,
            max_worker_nodes=one.max_workers,
            resources=dict(one.resources),
            priority=one.priority,
        )
        for one in (cluster.head, *cluster.workers)
    }

    def running(i, one, used, kind):
        left = {name: total - used * bundle.get(name, 0.0) for name, total in one.resources.items()}
        im = Instance(
            instance_type=one.name, status=Instance.RAY_RUNNING, instance_id=f"i{i}", node_id=f"n{i}",
            cloud_instance_id=f"c{i}", node_kind=kind,
        )  # fmt: skip
        ray = NodeState(
            ray_node_type_name=one.name, available_resources=left, total_resources=dict(one.resources),
            node_id=f"n{i}".encode(), status=NodeStatus.RUNNING,
        )  # fmt: skip
        return AutoscalerInstance(im_instance=im, ray_node=ray, cloud_instance_id=f"c{i}")

    nodes = [running("h", cluster.head, 0, NodeKind.HEAD)]
    nodes += [running(i, cluster.node_type(name), used, NodeKind.WORKER) for i, (name, used) in enumerate(up)]
    gangs = [
        GangResourceRequest(requests=[ResourceRequestUtil.make(dict(bundle)) for _ in range(ranks)])
        for _ in range(waiting)
    ]
    request = SchedulingRequest(
        node_type_configs=types,
        max_num_nodes=cluster.max_workers + 1,
        disable_launch_config_check=True,
        idle_timeout_s=None,
        current_instances=nodes,
        gang_resource_requests=gangs,
        recoverable_resource_availabilities=dict(recovery),
    )
    reply = ResourceDemandScheduler().schedule(request)
    launched = {one.instance_type: one.count for one in reply.to_launch}
    return launched, waiting - len(reply.infeasible_gang_resource_requests)


@pytest.mark.parametrize("seed", range(60))
def test_packing_launches_what_rays_own_scheduler_launches(seed):
    rng = np.random.default_rng(seed)
    types = []
    for i in range(int(rng.integers(1, 4))):
        resources = {"CPU": float(rng.choice([2, 4, 8, 16]))}
        if rng.random() < 0.6:
            resources["GPU"] = float(rng.choice([1, 2, 4, 8]))
        if rng.random() < 0.3:
            resources["memory"] = 2.0**30 * float(rng.choice([16, 64]))
        types.append(kind(f"t{i}", resources, int(rng.integers(1, 12)), priority=int(rng.integers(0, 3))))
    cluster = small(types, most=int(rng.integers(2, 16)))
    bundle = {"CPU": float(rng.choice([1, 2, 3]))}
    if rng.random() < 0.5:
        bundle["GPU"] = float(rng.choice([1, 2]))
    ranks, waiting = int(rng.integers(1, 5)), int(rng.integers(0, 12))
    up, free = [], 0
    for one in types:
        for _ in range(int(rng.integers(0, one.max_workers + 1))):
            if len(up) < cluster.max_workers:
                holds = held(one, bundle)
                used = int(rng.integers(0, holds + 1))
                up.append((one.name, used))
                free += holds - used
    recovery = {one.name: float(rng.choice([0.0, 0.4])) for one in types if rng.random() < 0.3}
    found = autoscaler.pack(
        cluster.workers,
        bundle=bundle,
        ranks=ranks,
        waiting=waiting,
        free=free + held(cluster.head, bundle),
        nodes={one.name: sum(name == one.name for name, _ in up) for one in types},
        most=cluster.max_workers,
        recovery=recovery,
    )
    assert (dict(found.launch), found.placed) == rays_answer(cluster, bundle, ranks, waiting, up, recovery)


@pytest.mark.parametrize("seed", range(20))
def test_as_many_queued_nodes_are_asked_for_as_ray_asks_for(seed):
    rng = np.random.default_rng(seed)
    names = ["a", "b", "c"]
    queued = {name: int(rng.integers(0, 30)) for name in names}
    running = {name: int(rng.integers(0, 30)) for name in names}
    requested, cap = int(rng.integers(0, 12)), int(rng.integers(1, 40))
    speed = float(rng.choice([0, 0.5, 1, 10]))

    def instances(counts):
        return [
            Instance(instance_type=name, instance_id=f"{name}{i}")
            for name in names
            for i in range(counts[name])
        ]

    asked = Reconciler._compute_to_launch(
        instances(queued), [Instance()] * requested, instances(running), speed, cap
    )
    found = autoscaler.allowed_now(queued, requested, running, speed=speed, cap=cap)
    assert {name: count for name, count in found.items() if count} == {
        name: len(some) for name, some in asked.items() if some
    }


@pytest.mark.parametrize(
    ("nodes", "speed", "cap", "at_once", "seconds"),
    [(200, 1, 10, 16, 1910), (200, 10, 10, 200, 270), (200, 100, 100, 200, 215), (1000, 100, 100, 1000, 259)],
)
def test_the_time_to_nine_tenths_of_the_nodes_is_that_of_rays_own_reconciler(
    nodes, speed, cap, at_once, seconds
):
    """Those times come from a simulation that drove Ray's Reconciler itself in virtual time. Within 10 %."""
    cluster = small([kind("gpu", {"CPU": 8, "GPU": 1}, nodes)], speed=speed, launches=cap)
    found = simulate(cluster, Trials(nodes, reports=1, seconds=5000.0, at_once=at_once))
    up = sorted(one.up for one in found.nodes[1:])
    assert up[int(0.9 * nodes) - 1] == pytest.approx(seconds, rel=0.1)


# -- nodes and trials --------------------------------------------------------------------------------


def test_a_sweep_by_hand():
    """Two nodes of one GPU, four trials of 3 x 60 s: two rounds, the second on the processes of the first."""
    exact = replace(CALM, boot_sigma=0.0)
    found = simulate(small([kind("gpu", {"GPU": 1}, 2)]), Trials(4), assumptions=exact)
    up = exact.request_s + exact.boot_s
    assert [node.up for node in found.nodes[1:]] == [up, up]
    assert found.makespan_s == pytest.approx(up + exact.start_s + exact.switch_s + 2 * 180)
    end = found.nodes[1].end
    assert end - found.makespan_s == pytest.approx(300, abs=2 * exact.update_s)


def test_ranks_of_one_trial_may_lie_on_several_nodes():
    found = simulate(small([kind("gpu", {"GPU": 1}, 4)]), Trials(2), ranks=2)
    assert len(found.nodes) == 5
    assert found.unplaced == 0


def test_a_preempted_trial_goes_on_from_its_last_report():
    rough = replace(CALM, preemptions_per_h=6.0)
    work = Trials(40, reports=5)
    found = simulate(small([kind("gpu", {"GPU": 1}, 10, spot=True)]), work, assumptions=rough)
    assert found.preemptions > 0 < work.repeated
    assert work.made == {trial: 5 for trial in range(40)}


def test_refused_spot_falls_back_to_on_demand_within_two_updates():
    cluster = small([kind("spot", {"GPU": 1}, 4, spot=True, priority=10), kind("plain", {"GPU": 1}, 4)])
    found = simulate(cluster, Trials(4), assumptions=replace(CALM, refused=1.0))
    assert found.refusals > 0
    assert {node.kind.name for node in found.nodes[1:]} == {"plain"}
    two = 2 * CALM.update_s + 2 * CALM.request_s
    assert min(node.begin for node in found.nodes[1:]) <= two


def test_spot_is_taken_while_there_is_any():
    cluster = small([kind("plain", {"GPU": 1}, 4), kind("spot", {"GPU": 1}, 4, spot=True, priority=10)])
    found = simulate(cluster, Trials(4))
    assert {node.kind.name for node in found.nodes[1:]} == {"spot"}


def test_ray_shows_its_autoscaler_a_thousand_waiting_trials():
    """With fewer shown, the nodes come in waves."""
    cluster = small([kind("gpu", {"GPU": 1}, 100)])
    all_at_once = simulate(cluster, Trials(100))
    in_waves = simulate(cluster, Trials(100), assumptions=replace(CALM, visible=20))
    assert in_waves.makespan_s > all_at_once.makespan_s + 100


def test_a_trial_that_no_node_holds_ends_the_simulation_and_not_time():
    found = simulate(small([kind("cpu", {"CPU": 8}, 4)]), Trials(3), bundle={"GPU": 1})
    assert (found.unplaced, len(found.nodes)) == (3, 1)


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    def times(seed):
        rough = Assumptions(preemptions_per_h=1.0)
        cluster = small([kind("spot", {"GPU": 1}, 20, spot=True, priority=1), kind("plain", {"GPU": 1}, 20)])
        found = simulate(cluster, Trials(60), assumptions=rough, seed=seed)
        return [(node.begin, node.up, node.end) for node in found.nodes]

    assert times(3) == times(3) != times(4)


def test_the_bill_is_node_seconds_times_price_to_the_cent_over_a_thousand_sweeps():
    rng = np.random.default_rng(0)
    for seed in range(1000):
        cluster = small(
            [
                kind("spot", {"CPU": 4, "GPU": 1}, int(rng.integers(1, 5)), spot=True, priority=5),
                kind("plain", {"CPU": 8, "GPU": 2}, int(rng.integers(1, 4))),
            ]
        )
        prices = {
            name: NodePrice(on_demand=2 * own, spot=own, own=own if name == "spot" else 2 * own, lines=())
            for name, own in (("head", 0.4), ("spot", 3.7), ("plain", 11.0))
        }
        rough = Assumptions(preemptions_per_h=3.0, refused=0.2, update_s=30.0)
        count, reports = int(rng.integers(1, 12)), int(rng.integers(1, 5))
        work = Trials(count, reports, seconds=float(rng.uniform(9, 300)))
        bundle = {"CPU": 1.0, "GPU": float(rng.choice([0, 0.5, 1]))}
        outcome = simulate(cluster, work, bundle, int(rng.integers(1, 3)), rough, seed)
        found = cost(outcome, prices)
        seconds = sum((node.end - node.begin) * prices[node.kind.name].own for node in outcome.nodes)
        assert round(100 * found.split.total) == round(100 * seconds / 3600)
        cents = found.split.cents()
        assert sum(value for name, value in cents.items() if name != "total") == cents["total"]
        parts = found.split.boot + found.split.idle + sum(found.split.trials.values())
        assert parts == pytest.approx(found.split.total, abs=1e-6)
        assert found.low <= found.expected + 1e-9 <= found.high + 2e-9


# -- fitting -----------------------------------------------------------------------------------------


def test_what_fits_at_most_is_counted_over_the_roomiest_nodes_first():
    cluster = small([kind("a", {"CPU": 8, "GPU": 1}, 3), kind("b", {"CPU": 8, "GPU": 8}, 2)], most=3)
    found = fit(cluster, {"CPU": 1, "GPU": 1}, ranks=4)
    assert (found.trials, dict(found.bundles)) == ((8 + 8 + 1) // 4, {"head": 0, "a": 1, "b": 8})


def test_a_trial_that_never_fits_is_compared_with_every_node_type():
    found = fit(small([kind("a", {"CPU": 8, "GPU": 1}, 3)]), {"CPU": 4, "GPU": 2})
    assert found.trials == 0
    assert found.obstacles == (
        "head: a rank needs 4 CPU and 2 GPU, a node has 0 CPU and 0 GPU",
        "a: a rank needs 4 CPU and 2 GPU, a node has 8 CPU and 1 GPU",
    )


def test_a_trial_of_too_many_ranks_is_told_how_many_the_cluster_holds():
    found = fit(small([kind("a", {"CPU": 8, "GPU": 1}, 3)]), {"GPU": 1}, ranks=4)
    assert found.obstacles == ("a trial is 4 ranks with 1 GPU each; all 3 workers hold 3",)


def test_a_trial_that_takes_nothing_is_refused():
    with pytest.raises(ValueError, match="takes no resources; give it CPUs or GPUs"):
        fit(small([kind("a", {"CPU": 8}, 3)]), {"CPU": 0.0})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"refused": 1.5}, r"a chance lies in \[0, 1\]"),
        ({"boot_s": -1.0}, "boot_s is -1.0"),
        ({"boot_s": 0}, "above 0"),
    ],
)
def test_assumptions_that_cannot_be_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        Assumptions(**values)
