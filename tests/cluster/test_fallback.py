import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from cluster.providers.fallback import FallsBack, ShortOfCapacity

VIRTUAL = Path(__file__).with_name("virtual_cloud.py")


def virtual(*words):
    """What Ray's autoscaler, mended, asked a cloud for (see virtual_cloud.py)."""
    done = subprocess.run(
        [sys.executable, VIRTUAL, "mended", *map(str, words)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_without_spot_capacity_the_next_loop_asks_for_on_demand_and_spot_is_back_ten_minutes_later():
    seen = virtual("30,40@700", 720, 0, 60)
    first, *others = seen["asked"]
    assert (first["type"], first["refused"]) == ("spot", True)
    taken = [(one["s"], one["type"]) for one in others]
    assert taken == [(5, "on_demand"), (10, "on_demand"), (15, "on_demand"), (700, "spot")]  # ten at a time
    assert Counter(seen["nodes"])["on_demand"] == 30
    assert Counter(seen["nodes"])["spot"] > 0


def test_while_everything_is_refused_both_are_tried_in_turn_and_old_records_are_forgotten():
    seen = virtual(30, 150, 0, 1000, "on_demand")
    asked = Counter(one["type"] for one in seen["asked"])
    assert min(asked["spot"], asked["on_demand"]) >= 9
    assert not seen["nodes"]
    assert seen["dead_records"] <= 10 * 13  # ten a loop, kept for a minute


class Stingy:
    """A cloud that gives one node a time."""

    def __init__(self):
        self.nodes = {}

    def create_node(self, node_config, tags, count):
        self.nodes[f"i-{len(self.nodes)}"] = tags
        return dict(list(self.nodes.items())[-1:])


class Mended(FallsBack, Stingy):
    def __init__(self):
        Stingy.__init__(self)


def test_a_launch_that_gets_fewer_nodes_than_it_asked_for_keeps_them_and_says_so():
    cloud = Mended()
    assert cloud.create_node({}, {}, 1)
    with pytest.raises(ShortOfCapacity, match="1 of 3 nodes of type gpu_spot were to be had"):
        cloud.create_node({}, {"ray-user-node-type": "gpu_spot"}, 3)
    assert len(cloud.nodes) == 2


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_ray_finds_the_provider_by_its_name_and_it_is_the_clouds_own_but_for_its_launches(cloud):
    from ray.autoscaler._private.providers import _get_node_provider_cls

    name = {"aws": "AWS", "gcp": "GCP"}[cloud]
    module = f"cluster.providers.{cloud}.Fallback{name}NodeProvider"
    mended = _get_node_provider_cls({"type": "external", "module": module})
    rays_own = _get_node_provider_cls({"type": cloud})
    assert issubclass(mended, rays_own)
    assert mended.create_node is FallsBack.create_node
