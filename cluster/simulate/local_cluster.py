"""The head of a played cluster on this machine: Ray's own, with the YAML's node types, limits and speed.

To be run inside `namespace.command`: what is started here is not stopped, it ends with the namespace.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

from cluster.cluster_file import Cluster, NodeType
from cluster.simulate.played_cloud import OBJECT_STORE_BYTES
from cluster.simulate.scenario import NOTICE_S, Scenario

HERE = Path(__file__).resolve().parents[2]
LISTS = (
    "setup_commands", "head_setup_commands", "worker_setup_commands", "head_start_ray_commands",
    "worker_start_ray_commands", "initialization_commands", "cluster_synced_files", "rsync_exclude",
    "rsync_filter",
)  # fmt: skip
LOOP_S, RECOVERY_S = 5.0, 600.0
"""Ray's defaults: from one look of the autoscaler to the next; until a refused type is trusted again."""


def environment(cluster: Cluster, scenario: Scenario, folder: Path) -> dict[str, str]:
    """Variables that the process which calls `start` must have from its birth: Ray reads them when imported.

    Args:
        folder: for Ray's files; its path must be short, because sockets lie there.
    """
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": str(folder),
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": str(max(1, round(scenario.scaled(LOOP_S)))),
        "RAY_AUTOSCALER_AVAILABILITY_RECOVERY_S": str(max(1, round(scenario.scaled(RECOVERY_S)))),
        "AUTOSCALER_MAX_CONCURRENT_LAUNCHES": str(cluster.launches),
        "RAY_enable_worker_prestart": "0",  # else a played node of 8 CPUs starts 8 processes at once
        "RAY_prestart_worker_first_driver": "0",
        "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def start(cluster: Cluster, scenario: Scenario, folder: Path) -> str:
    """Start the head and its autoscaler, which writes what happens to `folder/events.jsonl`.

    Returns:
        Its address, host:port, on loopback.

    Raises:
        RuntimeError: Ray does not start; with its own words.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "autoscaling.yaml"
    config.write_text(yaml.safe_dump(autoscaling_config(cluster, scenario, folder, address)))
    own = {
        "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
        "RAY_NODE_TYPE_NAME": cluster.head.name,
    }
    cpus, gpus = (int(cluster.head.resources.get(kind, 0)) for kind in ("CPU", "GPU"))
    words = [
        "start", "--head", "--node-ip-address=127.0.0.1", f"--port={address.rpartition(':')[2]}",
        f"--num-cpus={cpus}", f"--num-gpus={gpus}", f"--object-store-memory={OBJECT_STORE_BYTES}",
        "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}",
        f"--autoscaling-config={config}",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", *words],
        env=os.environ | own,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"Ray's head does not start: {(done.stderr or done.stdout).strip()[-2000:]}")
    return address


def autoscaling_config(cluster: Cluster, scenario: Scenario, folder: Path, address: str) -> dict[str, Any]:
    """What the autoscaler reads: all as in the YAML but the provider, and idle times by the cloud's clock."""
    module = str((cluster.document.get("provider") or {}).get("module", ""))
    provider = {
        "type": "external",
        "module": "cluster.simulate.played_cloud.PlayedCloud",
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "gcs_address": address,
        "head_node_id": FAKE_HEAD_NODE_ID,
        "head_type": cluster.head.name,
        "falls_back": module.startswith("cluster.providers."),
        "spot_types": [one.name for one in cluster.workers if one.spot],
        "notice_s": NOTICE_S.get(cluster.provider, 30.0),
        "scenario": scenario.to_dict(),
        "events": str(folder / "events.jsonl"),
    }
    types = {one.name: _node_type(one, scenario) for one in (cluster.head, *cluster.workers)}
    return {
        "cluster_name": cluster.name,
        "max_workers": cluster.max_workers,
        "upscaling_speed": cluster.upscaling_speed,
        "idle_timeout_minutes": scenario.scaled(cluster.idle_timeout_s) / 60,
        "provider": provider,
        "auth": {},
        "file_mounts": {},
        "head_node_type": cluster.head.name,
        "available_node_types": types,
        **{key: [] for key in LISTS},
    }


def _node_type(one: NodeType, scenario: Scenario) -> dict[str, Any]:
    """Without memory, which nodes on one machine share."""
    idle = {} if one.idle_timeout_s is None else {"idle_timeout_s": scenario.scaled(one.idle_timeout_s)}
    return {
        "resources": {key: int(amount) for key, amount in one.resources.items() if "memory" not in key},
        "labels": dict(one.labels),
        "min_workers": one.min_workers,
        "max_workers": one.max_workers,
        "priority": one.priority,
        "node_config": {},
        **idle,
    }


def wait_until_gone(events: Path, kept: int, patience_s: float) -> bool:
    """Whether no more than `kept` nodes are left within that time (the YAML's min_workers stay)."""
    from cluster.simulate.timeline import read

    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if sum(node.gone is None for node in read(events).nodes) <= kept:
            return True
        time.sleep(0.5)
    return False
