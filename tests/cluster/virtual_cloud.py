"""Ray's own autoscaler (v2) in virtual time, against a cloud without spot; prints what it asked for, as JSON.

python virtual_cloud.py plain|mended NODES[,NODES@SECOND] SECONDS REFUSED_FROM REFUSED_UNTIL [on_demand]

Every five virtual seconds: the reconciler, scheduler, instance manager and monitor of Ray, one after another.
Demand is for NODES nodes, from SECOND on for the second number. `spot` (priority 10) is refused within the
window, `on_demand` too if that word is given. A process of its own, because what mends the autoscaler is a
patch of the whole process.
"""

import json
import logging
import sys
import time
from pathlib import Path

NOW = 1_790_000_000.0
time.time = lambda: NOW  # before Ray is imported, so that nobody keeps the real one
time.time_ns = lambda: int(NOW * 1e9)

from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig  # noqa: E402
from ray.autoscaler.v2.instance_manager.instance_manager import InstanceManager  # noqa: E402
from ray.autoscaler.v2.instance_manager.instance_storage import InstanceStorage  # noqa: E402
from ray.autoscaler.v2.instance_manager.node_provider import (  # noqa: E402
    CloudInstance,
    ICloudInstanceProvider,
    LaunchNodeError,
)
from ray.autoscaler.v2.instance_manager.reconciler import Reconciler  # noqa: E402
from ray.autoscaler.v2.instance_manager.storage import InMemoryStorage  # noqa: E402
from ray.autoscaler.v2.instance_manager.subscribers.cloud_instance_updater import (  # noqa: E402
    CloudInstanceUpdater,
)
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import (  # noqa: E402
    CloudResourceMonitor,
)
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler  # noqa: E402
from ray.core.generated.autoscaler_pb2 import (  # noqa: E402
    ClusterResourceState,
    NodeState,
    NodeStatus,
    ResourceRequest,
    ResourceRequestByCount,
)
from ray.core.generated.instance_manager_pb2 import Instance, NodeKind  # noqa: E402

LOOP_S = 5
NODE = {"CPU": 8, "GPU": 1}


class Cloud(ICloudInstanceProvider):
    """Nodes run the moment they are granted."""

    def __init__(self, refuses):
        self.refuses, self.asked, self.errors = refuses, [], []
        self.nodes = {"head": CloudInstance("head", "head", NodeKind.HEAD, True)}

    def get_non_terminated(self):
        return dict(self.nodes)

    def launch(self, shape, request_id):
        for kind, count in shape.items():
            refused = self.refuses(kind)
            self.asked.append({"s": NOW - START, "type": kind, "count": count, "refused": refused})
            if refused:
                self.errors.append(LaunchNodeError(kind, count, request_id, time.time_ns()))
                continue
            for _ in range(count):
                name = f"{kind}-{len(self.nodes)}"
                self.nodes[name] = CloudInstance(name, kind, NodeKind.WORKER, True, request_id)

    def terminate(self, ids, request_id):
        for name in ids:
            self.nodes.pop(name, None)

    def poll_errors(self):
        errors, self.errors = self.errors, []
        return errors


def autoscaling_config():
    commands = ("setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray", "initialization")
    lists = [f"{kind}_commands" for kind in commands]
    lists += ["cluster_synced_files", "rsync_exclude", "rsync_filter"]
    worker = {"resources": NODE, "max_workers": 200, "node_config": {}}
    return AutoscalingConfig(
        {
            "cluster_name": "virtual", "max_workers": 200, "upscaling_speed": 100, "idle_timeout_minutes": 60,
            "provider": {"type": "external", "module": "none", "disable_node_updaters": True},
            "head_node_type": "head",
            "available_node_types": {
                "head": {"resources": {"CPU": 0}, "max_workers": 0, "node_config": {}},
                "spot": {**worker, "priority": 10},
                "on_demand": {**worker, "priority": 0},
            },
            "file_mounts": {}, "auth": {}, **{key: [] for key in lists},
        },
        skip_content_hash=True,
    )  # fmt: skip


def state(cloud, wanted):
    """What the cluster reports: each node runs one piece of the demand, the rest is pending."""
    nodes = [
        NodeState(
            node_id=one.cloud_instance_id.encode().ljust(28, b"0"),
            instance_id=one.cloud_instance_id,
            ray_node_type_name=one.node_type,
            status=NodeStatus.RUNNING,
            total_resources={"node:__internal_head__": 1} if one.node_type == "head" else NODE,
        )
        for one in cloud.nodes.values()
    ]
    pending = max(0, wanted - (len(cloud.nodes) - 1))
    request = ResourceRequest(resources_bundle=NODE)
    demand = [ResourceRequestByCount(request=request, count=pending)] if pending else []
    return ClusterResourceState(node_states=nodes, pending_resource_requests=demand)


START = NOW


def main(how, wanted, seconds, since, until, *also):
    global NOW
    logging.disable(logging.WARNING)
    first, _, later = wanted.partition(",")
    more, _, when = later.partition("@")
    if how == "mended":
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        from cluster.providers.fallback import install

        install()
    refused = {"spot", *also}
    cloud = Cloud(lambda kind: kind in refused and float(since) <= NOW - START < float(until))
    monitor = CloudResourceMonitor()
    storage = InstanceStorage(cluster_id="virtual", storage=InMemoryStorage())
    manager = InstanceManager(storage, [CloudInstanceUpdater(cloud), monitor])
    scheduler, config = ResourceDemandScheduler(), autoscaling_config()
    for _ in range(int(seconds) // LOOP_S + 1):
        demand = more if later and float(when) <= NOW - START else first
        Reconciler.reconcile(
            instance_manager=manager,
            scheduler=scheduler,
            cloud_provider=cloud,
            cloud_resource_monitor=monitor,
            ray_cluster_resource_state=state(cloud, int(demand)),
            non_terminated_cloud_instances=cloud.get_non_terminated(),
            cloud_provider_errors=cloud.poll_errors(),
            autoscaling_config=config,
        )
        NOW += LOOP_S
    records = storage.get_instances(status_filter={Instance.ALLOCATION_FAILED})[0]
    nodes = [one.node_type for one in cloud.nodes.values() if one.node_type != "head"]
    print(json.dumps({"asked": cloud.asked, "nodes": nodes, "dead_records": len(records)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
