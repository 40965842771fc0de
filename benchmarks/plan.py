"""What a plan costs, from 50 nodes to 2,000: `starling cluster plan` of the quickstart, five trials a node.

The cluster is `cluster/aws.yaml` with its `max_workers` raised. One seed at each size for the CPU time, which
other load does not change much; then the command itself at the largest size, with its default seeds, on the
wall clock. Below, what Ray's own scheduler computes for a pair of waiting trial and node, which the plan adds
to each update of the autoscaler (`cluster.planning.Assumptions.packing_s`).

    python -m benchmarks.plan [--plot docs/plan-scaling.svg]     # the figure needs matplotlib
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks import svg
from benchmarks.table import markdown, spread, verdict
from cluster import cluster_file
from sweeps.files import sweep_file
from sweeps.planning.plan import plan

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "sweeps" / "recipes" / "quickstart.py"
SIZES = (50, 200, 600, 2_000)
TRIALS = 5
"""For each node."""
GOAL_S = 600.0


def enlarged(nodes: int, folder: Path) -> Path:
    """`cluster/aws.yaml` with so many workers at most, of each type and in all."""
    document = yaml.safe_load((ROOT / "cluster" / "aws.yaml").read_text())
    document["max_workers"] = nodes
    for name, one in document["available_node_types"].items():
        if name != document["head_node_type"]:
            one["max_workers"] = nodes
    file = folder / f"{nodes}.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def measure(nodes: int, folder: Path) -> dict[str, float]:
    """One seed in this process."""
    cluster = cluster_file.load(enlarged(nodes, folder))
    sweep = sweep_file.load(RECIPE, overrides={"trials": TRIALS * nodes})
    began = time.process_time()
    found = plan(sweep, cluster, seeds=1, processes=1)
    return {"cpu_s": time.process_time() - began, "nodes": nodes, **found.seeds[0].numbers}


def command(nodes: int, folder: Path) -> float:
    """Wall-clock seconds of the whole command with its defaults."""
    began = time.monotonic()
    words = ["cluster", "plan", str(enlarged(nodes, folder)), "--sweep", str(RECIPE)]
    words += ["--trials", str(TRIALS * nodes)]
    subprocess.run([sys.executable, "-m", "sweeps", *words], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return time.monotonic() - began


def packing(nodes: int, trials: int) -> float:
    """Microseconds that Ray's scheduler computes for each pair of node and waiting trial."""
    from ray.autoscaler.v2.instance_manager.config import NodeTypeConfig
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.schema import AutoscalerInstance
    from ray.autoscaler.v2.utils import ResourceRequestUtil
    from ray.core.generated import autoscaler_pb2, instance_manager_pb2

    messages: Any = autoscaler_pb2
    instances: Any = instance_manager_pb2
    resources = {"CPU": 8.0, "GPU": 1.0}
    kind = NodeTypeConfig(name="gpu", min_worker_nodes=0, max_worker_nodes=5_000, resources=resources)

    def full(i: int) -> AutoscalerInstance:
        name = str(i)
        im = instances.Instance(
            instance_type="gpu", instance_id=name, node_id=name, cloud_instance_id=name,
            status=instances.Instance.RAY_RUNNING, node_kind=instances.NodeKind.WORKER,
        )  # fmt: skip
        node = messages.NodeState(
            ray_node_type_name="gpu", node_id=name.encode(), total_resources=resources,
            status=messages.NodeStatus.RUNNING,
        )  # fmt: skip
        return AutoscalerInstance(im_instance=im, ray_node=node, cloud_instance_id=name)

    waiting = [
        messages.GangResourceRequest(requests=[ResourceRequestUtil.make({"CPU": 1.0}) for _ in range(2)])
        for _ in range(trials)
    ]
    request = SchedulingRequest(
        node_type_configs={"gpu": kind},
        max_num_nodes=5_000,
        disable_launch_config_check=True,
        current_instances=[full(i) for i in range(nodes)],
        gang_resource_requests=waiting,
    )
    began = time.process_time()
    reply = ResourceDemandScheduler().schedule(request)
    launched = sum(one.count for one in reply.to_launch)
    return (time.process_time() - began) / (trials * (nodes + launched / 2)) * 1e6


def draw(rows: list[dict[str, float]], where: Path) -> None:
    """What a seed costs, and what it says of the sweep, against the number of nodes."""
    pyplot = svg.pyplot("plan")
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    nodes = [row["nodes"] for row in rows]
    left.loglog(nodes, [row["cpu_s"] for row in rows], marker="o", color="#0b6e4f")
    left.set_xlabel("nodes at most, five trials for each")
    left.set_ylabel("CPU seconds of one seed")
    right.semilogx(nodes, [row["makespan_h"] for row in rows], marker="o", color="#1f4e9c")
    right.set_ylim(bottom=0)
    right.set_xlabel("nodes at most, five trials for each")
    right.set_ylabel("simulated hours of the sweep")
    svg.save(figure, where)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="NODES")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the scaling")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(nodes, Path(folder)) for nodes in given.sizes]
        whole_s = command(max(given.sizes), Path(folder))
    print(
        markdown(
            ["nodes at most", "trials", "CPU s a seed", "makespan, h", "nodes up", "dollars"],
            [
                [
                    f"{row['nodes']:,}",
                    f"{TRIALS * row['nodes']:,.0f}",
                    f"{row['cpu_s']:.1f}",
                    f"{row['makespan_h']:.2f}",
                    f"{row['peak_nodes']:,.0f}",
                    f"{row['dollars']:,.2f}",
                ]
                for row in rows
            ],
        ),
        end="\n\n",
    )
    print(verdict(f"the command with {max(given.sizes):,} nodes, wall s", whole_s, GOAL_S, at_most=True))
    pairs = [packing(nodes, trials) for nodes, trials in ((100, 10), (100, 40), (400, 10))]
    print(f"- Ray's scheduler for a pair of waiting trial and node, CPU us: {spread(pairs)}")
    print(f"  (a full update with 1,000 trials and 1,000 nodes: {statistics.median(pairs):.0f} s)")
    if given.plot:
        draw(rows, given.plot)


if __name__ == "__main__":
    main()
