"""A real cluster of raylets on this machine, from which nodes are taken away."""

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import ray
from ray import tune
from ray._private.state import state
from ray.cluster_utils import Cluster
from ray.util import placement_group_table

from cluster import preemption
from sweeps import Sweep, journal

HERE = Path(__file__).resolve().parents[3]
WATCHER = """
import sys
from cluster import preemption
preemption.CLOUDS["aws"] = (*preemption.CLOUDS["aws"][:2], 0.2)  # asked five times a second
preemption.main(sys.argv[1:])
"""


class Metadata(BaseHTTPRequestHandler):
    """EC2's metadata service: no notice, until the server has an `action`."""

    def do_GET(self):
        action = self.server.action if self.path.endswith("instance-action") else None
        self.send_response(200 if action else 404)
        self.end_headers()
        self.wfile.write((action or "").encode())

    def do_PUT(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"token")

    def log_message(self, *_):
        pass


@pytest.fixture
def metadata():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    server.action = None
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs; each test sees to two nodes beside it."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def nodes(cluster):
    """The two nodes that are there, with a CPU each, by Ray's id."""
    there = {one["NodeID"] for one in ray.nodes() if one["Alive"]} - state.get_draining_nodes().keys()
    found = {one.node_id: one for one in cluster.worker_nodes if one.node_id in there}
    while len(found) < 2:
        made = cluster.add_node(num_cpus=1, env_vars={"RAY_CLOUD_INSTANCE_ID": f"i-{time.monotonic_ns()}"})
        found[made.node_id] = made
    return found


def kill(node):
    """As a cloud does: the node's raylet is gone, and with it all that ran there."""
    import psutil  # Ray brings it, and shows it once imported

    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    for process in (raylet, *raylet.children(recursive=True)):
        process.kill()


def events(path, kind):
    try:
        return [one for one in journal.read(path) if one["event"] == kind]
    except (OSError, ValueError):
        return []


def when(condition, then):
    """In a thread: `then` of what `condition` gives, as soon as that is something."""

    def wait():
        while not (found := condition()):
            time.sleep(0.1)
        then(found)

    thread = Thread(target=wait, daemon=True)
    thread.start()
    return thread


def counting(config):
    """Says where it runs, and reports 1, 2, ... with a checkpoint each, quicker at another place."""
    place = Path(config["place"])
    first = not place.exists()
    if first:
        place.with_suffix(".part").write_text(ray.get_runtime_context().get_node_id())
        place.with_suffix(".part").rename(place)
    folder = Path(config["place"]).parent
    checkpoint = tune.get_checkpoint()
    done = json.loads(Path(checkpoint.path, "n").read_text()) if checkpoint else 0
    for n in range(done + 1, 31):
        time.sleep(0.5 if first else 0.01)
        (folder / "log").open("a").write(f"{n}\n")
        (folder / f"c{n}").mkdir()
        (folder / f"c{n}" / "n").write_text(str(n))
        tune.report({"loss": 1.0 / n}, checkpoint=tune.Checkpoint(folder / f"c{n}"))


def lasting(config):
    """The first time it never ends; it has no checkpoint."""
    place = Path(config["place"])
    if not place.exists():
        place.with_suffix(".part").write_text(ray.get_runtime_context().get_node_id())
        place.with_suffix(".part").rename(place)
        time.sleep(600)
    tune.report({"loss": 1.0})


def sweep(trainable, folder, **more):
    return Sweep(
        trainable=trainable, space={"x": tune.uniform(0, 1)}, fixed={"place": str(folder / "place")},
        metric="loss", mode="min", trials=1, retries=0, search="random", storage=str(folder), name="s",
        quiet=True, **more,
    )  # fmt: skip


def test_a_trial_leaves_its_node_at_the_clouds_notice_after_a_checkpoint_and_repeats_nothing(
    cluster, nodes, metadata, tmp_path
):
    """The cloud gives notice on one node; the watcher that runs there drains it."""
    url, watchers = f"http://127.0.0.1:{metadata.server_port}", []

    def take_away(place):
        mine = {**nodes[place]._ray_params.env_vars, "PYTHONPATH": str(HERE)}
        words = ["aws", "--metadata", url, "--address", cluster.address]
        command = [sys.executable, "-c", WATCHER, *words]
        pipe = subprocess.PIPE
        watchers.append(subprocess.Popen(command, env=os.environ | mine, stdout=pipe, text=True))
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 120))
        metadata.action = f'{{"action": "terminate", "time": "{at}"}}'

    place = tmp_path / "place"
    thread = when(lambda: place.exists() and place.read_text(), take_away)
    results = sweep(counting, tmp_path).run()
    thread.join(10)
    watchers[0].terminate()
    said = watchers[0].communicate(timeout=30)[0]
    assert f"spot interruption (terminate): node {place.read_text()} drains" in said
    assert results.status()["completed"] == 1
    assert not events(tmp_path / "s", "failed")
    assert [one["iteration"] for one in events(tmp_path / "s", "reported")] == list(range(1, 31))
    [moved] = events(tmp_path / "s", "moved")
    before = [one for one in events(tmp_path / "s", "reported") if one["n"] < moved["n"]]
    assert moved["iteration"] == len(before)
    done = [int(line) for line in (tmp_path / "log").read_text().split()]
    assert len(done) <= 31  # a function runs ahead of its report by one


def test_a_trial_that_loses_its_node_before_any_checkpoint_starts_again_and_has_not_failed(
    cluster, nodes, tmp_path
):
    def take_away(place):
        notice = preemption.Notice(why="test", deadline=time.time() + 1)
        preemption.drain(cluster.address, place, notice)
        time.sleep(1.5)
        kill(nodes[place])

    place = tmp_path / "place"
    thread = when(lambda: place.exists() and place.read_text(), take_away)
    results = sweep(lasting, tmp_path).run()
    thread.join(10)
    assert results.status()["completed"] == 1
    assert [one["iteration"] for one in events(tmp_path / "s", "moved")] == [0]
    assert not events(tmp_path / "s", "failed")


@pytest.mark.slow
def test_a_trial_whose_one_rank_is_lost_with_its_node_goes_on_from_its_checkpoint(cluster, nodes, tmp_path):
    """Two ranks on two nodes of three; one dies long before the next report. The lost rank makes the other
    fail, and what Ray sees is an error of the trial."""
    free = cluster.add_node(num_cpus=1)
    nodes = nodes | {free.node_id: free}

    def take_away(saved):
        [group] = [one for one in placement_group_table().values() if one["state"] == "CREATED"]
        spot = list(group["bundles_to_node_id"].values())[-1]
        preemption.drain(cluster.address, spot, preemption.Notice(why="test", deadline=time.time() + 1))
        time.sleep(1.5)
        kill(nodes[spot])

    thread = when(lambda: events(tmp_path / "s", "checkpointed"), take_away)
    results = Sweep(
        trainable="classify", space={"lr": tune.uniform(0.01, 0.1)},
        fixed={"dataset": "digits", "model": "conv", "width": 16, "report_every": 600, "epochs": 60},
        trials=1, ranks=2, retries=0, search="random", storage=str(tmp_path), name="s", quiet=True,
    ).run()  # fmt: skip
    thread.join(60)
    assert results.status()["completed"] == 1
    assert not events(tmp_path / "s", "failed")
    [moved] = events(tmp_path / "s", "moved")
    reported = events(tmp_path / "s", "reported")
    assert [one["iteration"] for one in reported] == list(range(1, len(reported) + 1))
    assert moved["iteration"] == max(one["iteration"] for one in reported if one["n"] < moved["n"])
