import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cluster import cluster_file
from cluster.simulate import local_cluster, namespace, timeline
from cluster.simulate.scenario import Scenario, check, refusals
from sweeps import cli, journal

ROOT = Path(__file__).resolve().parents[2]

YAML = """
cluster_name: small
max_workers: 20
upscaling_speed: 3
idle_timeout_minutes: 5
provider: {type: external, module: cluster.providers.aws.FallbackAWSNodeProvider, region: us-west-2}
auth: {ssh_user: ubuntu}
head_node_type: head
available_node_types:
  head:
    resources: {CPU: 0}
    node_config: {InstanceType: m7i.large}
  spot:
    resources: {CPU: 8, GPU: 1, memory: 1000}
    labels: {market: spot}
    max_workers: 10
    priority: 10
    idle_timeout_s: 120
    node_config: {InstanceType: g6.2xlarge, InstanceMarketOptions: {MarketType: spot}}
  on-demand:
    resources: {CPU: 8, GPU: 1}
    max_workers: 10
    node_config: {InstanceType: g6.2xlarge}
head_start_ray_commands: [AUTOSCALER_MAX_CONCURRENT_LAUNCHES=50 ray start --head]
"""


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(YAML)
    return cluster_file.load(file)


def test_the_autoscaler_reads_the_yamls_types_and_limits_with_idle_times_by_the_clouds_clock(small, tmp_path):
    scenario = Scenario(speed=20, preempt_s=(60.0,), refuse={"spot": 1})
    found = local_cluster.autoscaling_config(small, scenario, tmp_path, "127.0.0.1:1")
    assert (found["max_workers"], found["upscaling_speed"]) == (20, 3)
    assert found["idle_timeout_minutes"] == 5 / 20
    spot = found["available_node_types"]["spot"]
    assert spot == {
        "resources": {"CPU": 8, "GPU": 1}, "labels": {"market": "spot"}, "min_workers": 0, "max_workers": 10,
        "priority": 10, "idle_timeout_s": 6.0, "node_config": {},
    }  # fmt: skip
    provider = found["provider"]
    assert (provider["falls_back"], provider["spot_types"], provider["notice_s"]) == (True, ["spot"], 120.0)
    assert Scenario.from_dict(json.loads(json.dumps(provider["scenario"]))) == scenario
    more = local_cluster.environment(small, scenario, tmp_path)
    assert more["AUTOSCALER_MAX_CONCURRENT_LAUNCHES"] == "50"
    assert more["AUTOSCALER_UPDATE_INTERVAL_S"] == "1"


def test_a_yaml_with_rays_own_provider_is_played_without_our_fallback(tmp_path):
    file = tmp_path / "plain.yaml"
    file.write_text(re.sub(r"provider: .*", "provider: {type: aws, region: us-west-2}", YAML))
    found = local_cluster.autoscaling_config(cluster_file.load(file), Scenario(), tmp_path, "127.0.0.1:1")
    assert found["provider"]["falls_back"] is False


def test_no_spot_and_refuse_say_how_many_nodes_there_are(small):
    assert refusals(small, ["on-demand:2"], no_spot=True) == {"spot": 0, "on-demand": 2}
    with pytest.raises(ValueError, match=r"has no worker type 'gpu'; it has spot, on-demand"):
        refusals(small, ["gpu"], no_spot=False)
    with pytest.raises(ValueError, match="after the colon, how many nodes there are; as spot:1"):
        refusals(small, ["spot:few"], no_spot=False)


def test_what_cannot_be_played_is_refused_with_its_reason(small, tmp_path):
    check(small, Scenario(preempt_s=(1.0,)))
    with pytest.raises(ValueError, match="speed is 0; it must be above 0"):
        Scenario(speed=0)
    file = tmp_path / "other.yaml"
    file.write_text(YAML.replace("MarketType: spot", "MarketType: capacity-block"))
    with pytest.raises(ValueError, match="only spot nodes are taken away"):
        check(cluster_file.load(file), Scenario(preempt_s=(1.0,)))
    file.write_text(YAML.replace("    resources: {CPU: 8, GPU: 1}\n", ""))
    with pytest.raises(ValueError, match="on-demand: the `resources` are not written down"):
        check(cluster_file.load(file), Scenario())


@pytest.fixture(scope="module")
def private():
    """Makes a command that runs in a process namespace of its own."""
    try:
        namespace.command(["true"])
    except PermissionError as refusal:
        pytest.skip(str(refusal))
    return namespace.command


def test_a_process_in_the_namespace_sees_itself_alone_and_needs_no_root(private):
    words = private(["sh", "-c", "echo $$; echo /proc/[0-9]*"])
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    if "--user" not in words:
        nobody = {}
    said = subprocess.run(words, capture_output=True, text=True, check=True, **nobody).stdout
    assert said.split() == ["1", "/proc/1"]


EVENTS = [
    {"t": 0, "event": "starting", "node": "spot-1", "type": "spot"},
    {"t": 0, "event": "refused", "type": "spot", "count": 3},
    {"t": 5, "event": "starting", "node": "on-demand-1", "type": "on-demand"},
    {"t": 10, "event": "up", "node": "spot-1", "type": "spot"},
    {"t": 20, "event": "up", "node": "on-demand-1", "type": "on-demand"},
    {"t": 30, "event": "notice", "node": "spot-1", "type": "spot"},
    {"t": 42, "event": "gone", "node": "spot-1", "type": "spot", "why": "preempted"},
    {"t": 60, "event": "gone", "node": "on-demand-1", "type": "on-demand", "why": "given back"},
]


@pytest.fixture
def seen(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps({**one, "t": 1000.0 + one["t"]}) + "\n" for one in EVENTS))
    return timeline.read(file)


def test_the_timeline_tells_of_each_node_by_the_second(seen, tmp_path):
    assert timeline.read(tmp_path / "none") == timeline.Timeline()
    assert (seen.most, seen.start, seen.end) == (2, 1000.0, 1060.0)
    rows = timeline.text(seen).splitlines()  # 60 columns, so that one is a second
    assert rows[0] == "spot-1       " + "·" * 10 + "█" * 20 + "▒" * 13 + " " * 17 + "  preempted at 42 s"
    assert rows[1] == "spot         x  3 refused at 0 s"
    assert rows[2] == "on-demand-1  " + " " * 5 + "·" * 15 + "█" * 40 + "  given back at 60 s"


def test_the_picture_is_svg_with_a_bar_for_every_phase(seen):
    picture = ElementTree.fromstring(timeline.svg(seen, "small <1>"))
    bars = picture.findall("{http://www.w3.org/2000/svg}rect")
    assert [bar[0].text for bar in bars] == [
        "boot: 0 to 10 s", "up: 10 to 30 s", "leaving: 30 to 42 s", "boot: 5 to 20 s", "up: 20 to 60 s"
    ]  # fmt: skip
    widths = [float(bar.get("width")) for bar in bars]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)


def test_the_command_of_the_document_is_understood(monkeypatch):
    monkeypatch.chdir(ROOT)
    document = (ROOT / "docs" / "cluster-simulate.md").read_text()
    [line] = re.findall(r"^\$ starling (cluster simulate .*)$", document, re.MULTILINE)
    asked = []
    monkeypatch.setattr("sweeps.simulation.simulate", lambda *given: asked.append(given) or 0)
    assert cli.main(line.split()) == 0
    [(yaml, sweep, scenario)] = asked
    check(cluster_file.load(yaml), scenario)
    assert scenario == Scenario(boot_s=60, preempt_s=(600.0,), refuse={"gpu_spot": 1}, speed=20)
    assert (sweep.trials, sweep.ranks, sweep.cpus_per_rank) == (4, 2, 4)


SLOW = """
import time

from ray import tune

from sweeps import Sweep
from trainables.classify import Classify


class Slow(Classify):
    def evaluate(self, model, ranks):
        time.sleep(1)
        return super().evaluate(model, ranks)


sweep = Sweep(
    trainable=Slow,
    space={"lr": tune.uniform(0.01, 0.1)},
    fixed={"dataset": "digits", "model": "mlp", "width": 8, "report_every": 2, "epochs": 4},
    trials=2, max_concurrent=1, ranks=2, gpus_per_rank=1, search="random", retries=0,
)
"""
"""Trials whose ranks need a GPU each, and so two nodes; one after another; 45 s or more each."""


@pytest.mark.slow
def test_a_sweep_on_aws_yaml_survives_a_refusal_and_a_preemption_and_gives_all_nodes_back(private, tmp_path):
    """There is one spot node only, and it gets its notice 45 s after it came up."""
    recipe = tmp_path / "slow.py"
    recipe.write_text(SLOW)
    options = ["--storage", tmp_path, "--name", "s", "--boot", 60, "--preempt", 900, "--refuse", "gpu_spot:1"]
    options += ["--speed", 20]
    yaml = ROOT / "cluster" / "aws.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "sweeps", "cluster", "simulate", yaml, "--sweep", recipe, *map(str, options)],
        capture_output=True, text=True, timeout=900, cwd=ROOT,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    events = list(journal.read(tmp_path / "s"))
    states = [one["state"] for one in events if one["event"] == "ended"]
    assert states == ["completed", "completed"], said
    assert not [one for one in events if one["event"] == "failed"], said
    moved = [one for one in events if one["event"] == "moved"]
    spot = {one["node"] for one in events if one["event"] == "node" and one.get("type") == "gpu_spot"}
    on_spot = [one for one in events if one["event"] == "placed" and not spot.isdisjoint(one["shares"])]
    assert bool(moved) == bool(on_spot), said  # a busy machine may not get so far before the notice
    for move in moved:
        own = [one for one in events if one.get("trial") == move["trial"] and one["n"] < move["n"]]
        reached = max((one["iteration"] for one in own if one["event"] == "reported"), default=0)
        assert reached - move["iteration"] <= 1, said
    # Drained after its notice (▒), it is given back at once, or at its end taken away.
    assert re.search(r"^gpu_spot-1 .*▒ +(preempted|given back) at", said, re.MULTILINE), said
    assert "gpu_spot    x  1 refused at 0 s" in said
    summary = "3 nodes, 2 at once, . refused, 1 preempted, trials moved: [01], failed: 0; all given back"
    assert re.search(f"^{summary}$", said, re.MULTILINE), said
    assert (tmp_path / "s" / "nodes.svg").exists()
