"""Spot capacity that runs out is taken from another node type, and spot is tried again later.

Ray 2.60's autoscaler (v2) has all it takes: a node type that was refused scores 0 for ten seconds and rises
to 1 within RAY_AUTOSCALER_AVAILABILITY_RECOVERY_S (600 by default), and between equal nodes the one that was
never refused wins before `priority` is asked. But nobody tells it of a refusal: the event of a failed launch
does not name its node type, and the monitor listens to another event. So it asks for spot for ever
(`tests/cluster/test_canaries.py`, B1). What is mended here, in the autoscaler's own process:

    a failed launch names its node type, and lowers that type's score
    launches of a refused type that are still queued are thought over, instead of failing batch after batch
    records of failed launches are forgotten after a minute; Ray keeps them and reads all in each loop (B2)
    a launch that got fewer nodes than it asked for says so: Ray would wait ten minutes for the others

The names used are private, so Ray is pinned; the canaries fail when an upgrade makes this file superfluous.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE
from ray.autoscaler.v2.instance_manager.common import InstanceUtil
from ray.autoscaler.v2.instance_manager.instance_manager import InstanceManager
from ray.autoscaler.v2.instance_manager.reconciler import Reconciler
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import CloudResourceMonitor
from ray.core.generated import instance_manager_pb2

Instance: Any = instance_manager_pb2.Instance  # type: ignore[attr-defined]  # protobuf makes it at import

REMEMBERED_S = 60.0
"""How long the record of a failed launch is kept, for `ray status`."""


class ShortOfCapacity(RuntimeError):
    """The cloud gave fewer nodes than it was asked for, and no other reason."""


class FallsBack:
    """Mixed into a node provider of Ray, before it: `class Mine(FallsBack, AWSNodeProvider)`."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        install()
        super().__init__(provider_config, cluster_name)  # type: ignore[call-arg]  # Ray's provider comes next

    def create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> Any:
        """Ask the cloud for `count` nodes; those that it gives are kept in any case.

        Raises:
            ShortOfCapacity: it gave fewer.
        """
        created = super().create_node(node_config, tags, count)  # type: ignore[misc]  # Ray's provider comes next
        if created is not None and len(created) < count:
            raise ShortOfCapacity(
                f"{len(created)} of {count} nodes of type {tags.get(TAG_RAY_USER_NODE_TYPE)} were to be had"
            )
        return created


def install() -> None:
    """Mend Ray's autoscaler in this process; a second time changes nothing."""
    if hasattr(CloudResourceMonitor.notify, "__wrapped__"):
        return
    reconciler: Any = Reconciler
    for name in ("_try_resolve_pending_allocation", "_handle_stuck_requested_instance"):
        setattr(reconciler, name, staticmethod(_naming_its_type(getattr(reconciler, name))))
    reconciler._scale_cluster = staticmethod(_forgetting_first(reconciler._scale_cluster))
    monitor: Any = CloudResourceMonitor
    monitor.notify = _hearing_refusals(monitor.notify)


def _naming_its_type(decide: Callable[..., Any]) -> Callable[..., Any]:
    """What becomes of a requested node; if it failed, the event says of which type it was."""

    @functools.wraps(decide)
    def wrapped(instance: Any, *args: Any, **kwargs: Any) -> Any:
        event = decide(instance, *args, **kwargs)
        if event is not None and event.new_instance_status == Instance.ALLOCATION_FAILED:
            event.instance_type = instance.instance_type
        return event

    return wrapped


def _hearing_refusals(notify: Callable[..., None]) -> Callable[..., None]:
    """The monitor of what is to be had hears of failed launches too."""

    @functools.wraps(notify)
    def wrapped(self: CloudResourceMonitor, events: list[Any]) -> None:
        notify(self, events)
        for event in events:
            if event.new_instance_status == Instance.ALLOCATION_FAILED and event.instance_type:
                self.allocation_timeout(event)

    return wrapped


def _forgetting_first(scale: Callable[..., None]) -> Callable[..., None]:
    """Before it is decided what to launch, records that would mislead the decision or slow it down go."""

    @functools.wraps(scale)
    def wrapped(**kwargs: Any) -> None:
        forget(kwargs["instance_manager"], kwargs["cloud_resource_monitor"])
        scale(**kwargs)

    return wrapped


def forget(manager: InstanceManager, monitor: CloudResourceMonitor) -> None:
    """Delete records of failed launches, and of queued ones whose type was refused in the last seconds.

    Neither has a machine behind it. What was queued is asked for anew, perhaps of another type.
    """
    refused = {
        kind for kind, score in monitor.get_recoverable_resource_availabilities().items() if score == 0.0
    }
    storage = manager._instance_storage
    waiting, version = storage.get_instances(status_filter={Instance.ALLOCATION_FAILED, Instance.QUEUED})
    gone = [
        name
        for name, one in waiting.items()
        if (one.instance_type in refused if one.status == Instance.QUEUED else _age_s(one) > REMEMBERED_S)
    ]
    if gone:
        storage.batch_delete_instances(gone, expected_storage_version=version)


def _age_s(instance: Any) -> float:
    """Since its last change of status."""
    last: Any = InstanceUtil.get_last_status_transition(instance)
    return time.time() - last.timestamp_ns / 1e9
