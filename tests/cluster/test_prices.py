from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from cluster import cluster_file
from cluster.prices import COLUMNS, SHIPPED, Prices, age, disks_of, machine_name, read

ROOT = Path(__file__).parents[2]
HEAD = ",".join(COLUMNS)
RENTED = [
    file
    for file in sorted((ROOT / "cluster").glob("*.yaml"))
    if cluster_file.load(file).provider in ("aws", "gcp", "azure")
]
"""Our cluster files whose machines are paid by the hour."""


@pytest.fixture
def aws():
    return cluster_file.load(ROOT / "cluster" / "aws.yaml")


def test_every_shipped_price_is_dated_sourced_and_sane():
    lines = read(SHIPPED)
    assert len({(one.cloud, one.region, one.instance) for one in lines}) == len(lines)
    for one in lines:
        assert one.source
        assert one.as_of <= date.today(), one
        assert one.on_demand > 0, one
        assert one.spot is None or 0 < one.spot < one.on_demand, one


def test_the_nodes_of_our_aws_file_have_prices(aws):
    prices = Prices.load()
    spot, plain = (prices.node(aws, aws.node_type(name)) for name in ("gpu_spot", "gpu"))
    assert spot.own == spot.spot < spot.on_demand
    assert plain.own == plain.on_demand == spot.on_demand


def test_our_files_of_three_clouds_are_looked_at():
    assert {cluster_file.load(file).provider for file in RENTED} == {"aws", "gcp", "azure"}


@pytest.mark.parametrize("file", RENTED, ids=lambda file: file.stem)
def test_every_machine_and_disk_of_our_cluster_files_has_a_price(file):
    ours, prices = cluster_file.load(file), Prices.load()
    assert any(node.spot for node in ours.workers)
    for node in (ours.head, *ours.workers):
        found = prices.node(ours, node)
        assert [one.instance for one in found.lines] == [
            machine_name(ours.provider, node),
            *(f"disk:{kind}" for kind, _ in disks_of(ours.provider, node)),
        ]
        assert len(found.lines) > 1, f"{node.name} asks for no disk that is priced"
        assert found.spot is not None
        assert found.spot < found.on_demand
        assert found.own == (found.spot if node.spot else found.on_demand)


@pytest.mark.parametrize(
    ("cloud", "region", "instance"),
    [
        ("aws", "us-east-1", "g5.xlarge"),
        ("aws", "us-west-2", "p4d.24xlarge"),
        ("gcp", "us-central1", "n1-standard-8+1xnvidia-tesla-t4"),
        ("gcp", "europe-west4", "g2-standard-8"),
        ("gcp", "us-east1", "a2-highgpu-1g"),
        ("gcp", "us-east4", "a3-highgpu-8g"),
        ("azure", "eastus", "Standard_NC4as_T4_v3"),
        ("azure", "westeurope", "Standard_NC40ads_H100_v5"),
    ],
)
def test_the_usual_gpu_machines_have_both_prices(cloud, region, instance):
    found = Prices.load().find(cloud, region, instance)
    assert found.spot is not None
    assert found.region == region


def test_a_node_costs_its_machine_and_its_disks(aws):
    prices = Prices.load()
    machine, disk = prices.find("aws", "us-west-2", "g6.2xlarge"), prices.find("aws", "us-west-2", "disk:gp3")
    assert disks_of("aws", aws.node_type("gpu")) == [("gp3", 150.0)]
    found = prices.node(aws, aws.node_type("gpu"))
    assert found.own == pytest.approx(machine.on_demand + 150 * disk.on_demand)


def test_a_price_of_ones_own_goes_before_the_shipped_one(aws, tmp_path):
    own = tmp_path / "prices.csv"
    own.write_text(f"{HEAD}\n2026-11-01,contract,us-west-2,aws,g6.2xlarge,0.5,0.1\n")
    shipped, mine = Prices.load(), Prices.load(own)
    gpu = aws.node_type("gpu")
    assert mine.node(aws, gpu).own < shipped.node(aws, gpu).own
    assert mine.find("aws", "us-west-2", "m7i.4xlarge") == shipped.find("aws", "us-west-2", "m7i.4xlarge")


def test_an_unknown_price_names_the_file_to_write_and_a_line_for_it(aws):
    with pytest.raises(ValueError, match=r"no price for p9\.huge of aws.*--prices FILE.*as_of,source,region"):
        Prices.load().find("aws", "us-west-2", "p9.huge")
    with pytest.raises(ValueError, match="it is known in us-"):
        Prices.load().node(replace(aws, region="mars-1"), aws.node_type("gpu"))


def test_a_spot_node_without_a_spot_price_is_refused(aws, tmp_path):
    own = tmp_path / "prices.csv"
    own.write_text(f"{HEAD}\n2026-11-01,contract,us-west-2,aws,g6.2xlarge,0.5,\n")
    with pytest.raises(ValueError, match=r"gpu_spot is spot, and g6\.2xlarge has no spot price"):
        Prices.load(own).node(aws, aws.node_type("gpu_spot"))


def test_a_region_of_a_star_holds_everywhere(tmp_path):
    own = tmp_path / "prices.csv"
    own.write_text(f"{HEAD}\n2026-11-01,own machines,*,local,worker,0,\n")
    assert Prices.load(own).find("local", None, "worker").on_demand == 0.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("as_of,price\n", "its first line lacks source, region"),
        (f"{HEAD}\nyesterday,x,r,aws,i,1,\n", r"prices.csv:2: .* is no price .*the date as"),
        (f"{HEAD}\n2026-11-01,x,r,aws,i,-1,\n", "a price below 0"),
        (f"{HEAD}\n2026-11-01,x,r,aws\n", "is no price"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, text, words):
    (tmp_path / "prices.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        Prices.load(tmp_path / "prices.csv")


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"there is no file of prices 'nowhere\.csv'"):
        Prices.load("nowhere.csv")


def test_the_age_is_that_of_the_oldest_price():
    lines = read(SHIPPED)
    oldest = min(one.as_of for one in lines)
    assert age(lines, date(2027, 1, 1)) == (oldest, (date(2027, 1, 1) - oldest).days)


def test_gpus_that_are_added_to_a_gcp_machine_are_part_of_its_name(aws):
    kind = "projects/p/zones/z/acceleratorTypes/nvidia-tesla-t4"
    added = [{"acceleratorType": kind, "acceleratorCount": 2}]
    one = replace(aws.node_type("gpu"), instance="n1-standard-8", config={"guestAccelerators": added})
    assert machine_name("gcp", one) == "n1-standard-8+2xnvidia-tesla-t4"
