"""A sweep run for real on a played cluster: `starling cluster simulate YAML --sweep RECIPE`.

Two processes. `simulate`, what the user calls, writes both files down and starts the second one in a process
namespace of its own; it draws what came out. The second one, `python -m sweeps.simulation FOLDER`, starts the
head, runs the sweep against it by its address, and waits until the idle nodes are given back.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster import cluster_file
from cluster.simulate import local_cluster, namespace, timeline
from cluster.simulate.scenario import Scenario, check
from sweeps import journal
from sweeps.files import sweep_file
from sweeps.results import Results
from sweeps.spec import Sweep
from sweeps.store.storage import open_folder

PICTURE = "nodes.svg"


def simulate(yaml: str | os.PathLike[str], sweep: Sweep, scenario: Scenario) -> int:
    """Run a sweep on the cluster that a YAML describes, in a cloud that is played on this machine.

    The sweep's folder holds what any sweep's holds, and `nodes.svg`.

    Returns:
        The sweep's exit code.

    Raises:
        ValueError: the YAML or the scenario cannot be played; nothing was started.
        PermissionError: this machine allows no process namespace.
    """
    cluster = cluster_file.load(yaml)
    check(cluster, scenario)
    if sweep.address is not None:
        raise ValueError(f"address: is {sweep.address!r}; a simulation starts its own cluster: leave it out")
    sweep = sweep.override(
        cluster=os.path.abspath(yaml), name=sweep.name or time.strftime("simulation-%Y%m%d-%H%M%S")
    )
    folder = Path(tempfile.mkdtemp(prefix="played-"))  # short: Ray's sockets lie in it
    (folder / "scenario.json").write_text(json.dumps(scenario.to_dict()))
    (folder / "spec.yaml").write_text(sweep_file.dump(sweep))
    words = namespace.command([sys.executable, "-m", "sweeps.simulation", str(folder)])
    more = local_cluster.environment(cluster, scenario, folder) | {
        "STARLING_LOGICAL_GPUS": "1"  # a played node's GPUs are a number in Ray's books
    }
    code = subprocess.run(words, env=os.environ | more).returncode
    seen = timeline.read(folder / "events.jsonl")
    if code not in (0, 1, 2, 130):
        raise RuntimeError(f"the simulation broke off (exit code {code}); Ray's files are in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    if seen.nodes or seen.refused:
        print("\n" + timeline.text(seen))
        print(_summary(seen, open_folder(sweep.storage).child(str(sweep.name)).uri))
        _draw(seen, sweep, cluster.name)
    return code


def _summary(seen: timeline.Timeline, uri: str) -> str:
    moved = sum(event["event"] == "moved" for event in journal.read(uri))
    left = [node.name for node in seen.nodes if node.gone is None]
    words = [
        f"{len(seen.nodes)} nodes, {seen.most} at once",
        f"{sum(count for _, _, count in seen.refused)} refused",
        f"{sum(node.notice is not None for node in seen.nodes)} preempted",
        f"trials moved: {moved}, failed: {Results(uri).status().get('failed', 0)}",
    ]
    return ", ".join(words) + (f"; still up: {', '.join(left)}" if left else "; all given back")


def _draw(seen: timeline.Timeline, sweep: Sweep, title: str) -> None:
    folder = open_folder(sweep.storage).child(str(sweep.name))
    folder.put(PICTURE, timeline.svg(seen, title).encode())
    print(f"drawn in {folder.uri}/{PICTURE}")


def _inside(folder: Path) -> int:
    """The second process."""
    from ray._private import worker

    from sweeps.run import start

    worker.print_to_stdstream = lambda *_, **__: None  # the last words of nodes that are taken away
    scenario = Scenario.from_dict(json.loads((folder / "scenario.json").read_text()))
    sweep = sweep_file.load(folder / "spec.yaml")
    cluster = cluster_file.load(str(sweep.cluster))
    address = local_cluster.start(cluster, scenario, folder)
    outcome = start(sweep.override(address=address))
    idle_s = max([cluster.idle_timeout_s] + [one.idle_timeout_s or 0.0 for one in cluster.workers])
    kept = sum(one.min_workers for one in cluster.workers)
    local_cluster.wait_until_gone(folder / "events.jsonl", kept, 3 * scenario.scaled(idle_s) + 60)
    return outcome.exit_code


if __name__ == "__main__":
    try:
        sys.exit(_inside(Path(sys.argv[1])))
    except (ValueError, RuntimeError) as error:
        print(f"starling: {error}", file=sys.stderr)
        sys.exit(2)
