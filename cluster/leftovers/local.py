"""Machines reached by SSH: raylets that are still alive.

Those of workers live on for 25 to 65 s after `ray down`, until they give up on the head; that is waited for.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from cluster.cluster_file import Cluster
from cluster.leftovers.leftover import Leftover

RAYLETS_LEAVE_S = 90.0


def find(cluster: Cluster) -> Iterator[Leftover]:
    """Of every machine at once; each is asked again until its raylet is gone."""
    provider = cluster.document["provider"]
    hosts = [str(provider["head_ip"]), *map(str, provider.get("worker_ips") or [])]
    until = time.monotonic() + RAYLETS_LEAVE_S
    with ThreadPoolExecutor(len(hosts)) as pool:
        for problem in pool.map(lambda host: _raylet(cluster, host, until), hosts):
            if problem is not None:
                yield problem


def _raylet(cluster: Cluster, host: str, until: float) -> Leftover | None:
    ask = ssh(cluster, host, "pgrep -x raylet || true")
    while True:
        ended = subprocess.run(ask, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if ended.returncode:
            said = (ended.stderr.strip().splitlines() or ["no answer"])[-1]
            name = f"{host} ({said})"
            return Leftover(kind="host not searched:", name=name, urgent=True, remove=shlex.join(ask))
        if not ended.stdout.strip():
            return None
        if time.monotonic() > until:
            stop = shlex.join(ssh(cluster, host, "pkill -x raylet"))
            return Leftover(kind="raylet on", name=host, urgent=True, remove=stop)
        time.sleep(2.0)


def ssh(cluster: Cluster, host: str, text: str) -> list[str]:
    """The words that run a command on one of the cluster's machines, with the YAML's user and key."""
    auth = cluster.document.get("auth") or {}
    words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    if auth.get("ssh_private_key"):
        words += ["-o", "IdentitiesOnly=yes", "-i", str(auth["ssh_private_key"])]
    if auth.get("ssh_proxy_command"):
        words += ["-o", f"ProxyCommand={auth['ssh_proxy_command']}"]
    return [*words, f"{auth.get('ssh_user', 'root')}@{host}", text]
