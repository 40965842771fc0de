"""What the plan's clock says, against the same sweep run by real raylets and Ray's real autoscaler."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from cluster import cluster_file
from cluster.fitting import fit
from cluster.planning import Assumptions, Simulation
from cluster.simulate import namespace
from sweeps import journal
from sweeps.files import sweep_file
from sweeps.planning.curves import Curve
from sweeps.planning.virtual import VirtualSweep

ROOT = Path(__file__).resolve().parents[2]
SPEED, BOOT_S, REPORT_S, REPORTS = 10, 300, 6, 3
WITHIN = 0.15

YAML = """
cluster_name: small
max_workers: 20
upscaling_speed: 3
idle_timeout_minutes: 10
provider: {type: external, module: cluster.providers.aws.FallbackAWSNodeProvider, region: us-west-2}
auth: {ssh_user: ubuntu}
head_node_type: head
available_node_types:
  head:
    resources: {CPU: 0}
    node_config: {InstanceType: m7i.large}
  spot:
    resources: {CPU: 8, GPU: 1, memory: 4000000000}
    labels: {market: spot}
    max_workers: 4
    priority: 10
    node_config: {InstanceType: g6.2xlarge, InstanceMarketOptions: {MarketType: spot}}
  on-demand:
    resources: {CPU: 8, GPU: 1, memory: 4000000000}
    max_workers: 1
    node_config: {InstanceType: g6.2xlarge}
head_start_ray_commands: [AUTOSCALER_MAX_CONCURRENT_LAUNCHES=50 ray start --head]
"""

RECIPE = f"""
import time

from ray import tune

from sweeps import Sweep


def train(config):
    for i in range(1, {REPORTS} + 1):
        time.sleep({REPORT_S})
        tune.report({{"loss": config["x"] + 1 / i}})


sweep = Sweep(
    trainable=train, space={{"x": tune.uniform(0.0, 1.0)}}, metric="loss", mode="min", search="random",
    max_iterations={REPORTS}, trials=1,
)
"""


class Sleeper:
    """What the recipe's `train` reports, and how long it takes."""

    words, length = "known", REPORTS

    def trial(self, config, *words):
        i = np.arange(1, REPORTS + 1)
        return Curve({"loss": config["x"] + 1 / i}, np.full(REPORTS, float(REPORT_S)))


@dataclass(frozen=True)
class Case:
    """One scenario."""

    trials: int
    fields: dict = field(default_factory=dict)
    spot: int = 4
    """Nodes of that type that there may be."""
    refuse: tuple = ()


CASES = {
    "one wave of nodes": Case(4, {"gpus_per_rank": 1}),
    "trials that follow one another on two nodes": Case(6, {"gpus_per_rank": 1, "max_concurrent": 2}),
    "two trials share a GPU": Case(8, {"gpus_per_rank": 0.5, "cpus_per_rank": 4}, spot=2),
    "ASHA": Case(9, {"gpus_per_rank": 1, "scheduler": "asha:grace_period=1,reduction_factor=3"}, spot=3),
    "no spot node, one on demand": Case(3, {"gpus_per_rank": 1}, refuse=("spot:0",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_planned_makespan_is_within_15_percent_of_the_simulated_one(name, tmp_path):
    """Boots take what the scenario says, and a launch is answered at once, in both."""
    try:
        namespace.command(["true"])
    except PermissionError as refusal:
        pytest.skip(str(refusal))
    case = CASES[name]
    yaml, recipe = tmp_path / "small.yaml", tmp_path / "sleeper.py"
    yaml.write_text(YAML.replace("max_workers: 4\n", f"max_workers: {case.spot}\n"))
    recipe.write_text(RECIPE)
    fields = case.fields | {"trials": case.trials}
    words = [word for key, value in fields.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    words += ["--storage", str(tmp_path), "--name", "s", "--boot", str(BOOT_S), "--speed", str(SPEED)]
    words += ["--refuse", *case.refuse] if case.refuse else []
    done = subprocess.run(
        [sys.executable, "-m", "sweeps", "cluster", "simulate", yaml, "--sweep", recipe, *words],
        capture_output=True, text=True, timeout=900, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    events = list(journal.read(tmp_path / "s"))
    asked = [one["t"] for one in events if one["event"] == "suggested"]
    ended = [one["t"] for one in events if one["event"] == "ended"]
    assert len(ended) == case.trials
    simulated_s = max(ended) - min(asked)
    planned_s = planned(yaml, recipe, fields, spot=0 if case.refuse else case.spot)
    print(f"{name}: planned {planned_s:.0f} s, simulated {simulated_s:.0f} s: {planned_s / simulated_s:.2f}")
    assert planned_s == pytest.approx(simulated_s, rel=WITHIN)


def planned(yaml, recipe, fields, *, spot):
    """Makespan in seconds, with the played cloud's times as the assumptions."""
    cluster = cluster_file.load(yaml)
    sweep = sweep_file.load(recipe, overrides=fields | {"cluster": str(yaml)})
    bundle = {"CPU": float(sweep.cpus_per_rank), "GPU": float(sweep.gpus_per_rank)}
    fits = fit(cluster, bundle, sweep.ranks).trials
    work = VirtualSweep(sweep, Sleeper(), fits=fits, seed=sweep.seed, suggestions=500)
    assumptions = Assumptions(
        boot_s=BOOT_S / SPEED, boot_sigma=0.0, refused=0.0 if spot else 1.0, preemptions_per_h=0.0,
        update_s=1.0, request_s=0.1, recovery_s=600 / SPEED,
    )  # fmt: skip
    simulation = Simulation(cluster, work, bundle=bundle, ranks=1, assumptions=assumptions, seed=0)
    work.simulation = simulation
    return simulation.run().makespan_s


def test_a_wave_of_trials_takes_boot_start_and_training_in_the_plan(tmp_path):
    """30 s of boot, 7.4 s until a new process trains, 3 reports of 6 s; a second or two of waiting."""
    yaml, recipe = tmp_path / "small.yaml", tmp_path / "sleeper.py"
    yaml.write_text(YAML)
    recipe.write_text(RECIPE)
    took = planned(yaml, recipe, {"gpus_per_rank": 1, "trials": 4}, spot=4)
    assert 30 + 7.4 + 18 <= took <= 30 + 7.4 + 18 + 3
