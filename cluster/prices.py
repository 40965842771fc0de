"""What machines cost: dated prices of a few, `prices.csv` beside this file, which a file of yours overrides.

Columns of both: as_of (YYYY-MM-DD), source, region, cloud, instance, on_demand, spot; prices in dollars an
hour, an empty `spot` where there is none. `instance` is what the cluster's YAML names (AWS instance type, GCP
machine type, Azure VM size; on premises the node type's own name); for GCP machines that GPUs are added to,
`n1-standard-8+1xnvidia-tesla-t4`; for a GiB of disk `disk:gp3` and the like. Region `*` holds everywhere.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cluster.cluster_file import Cluster, NodeType

SHIPPED = Path(__file__).with_name("prices.csv")
COLUMNS = ("as_of", "source", "region", "cloud", "instance", "on_demand", "spot")
STALE_DAYS = 30
DISKS = {"aws": "gp3", "gcp": "pd-balanced", "azure": "Premium_LRS"}
"""Kind of disk where the YAML does not say."""
AZURE_GIB = tuple(2**n for n in range(2, 16))
"""Sizes in which Azure sells disks, from 4 GiB to 32 TiB; one in between is billed as the next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """One line of the table."""

    as_of: date
    source: str
    region: str
    cloud: str
    instance: str
    on_demand: float
    """$/h."""
    spot: float | None
    """$/h; None: it is not sold so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodePrice:
    """What a node of one type costs an hour, its disks included."""

    on_demand: float
    spot: float | None
    own: float
    """As the YAML asks for it: spot or on demand."""
    lines: tuple[Price, ...]
    """What it was made from."""


class Prices:
    """Prices by cloud, region and instance; later lines override earlier ones."""

    def __init__(self, lines: Iterable[Price]) -> None:
        self._lines = {(one.cloud, one.region, one.instance): one for one in lines}

    @classmethod
    def load(cls, own: str | os.PathLike[str] | None = None) -> Prices:
        """The shipped prices, and over them those of a file of yours.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line cannot be read; names it.
        """
        lines = read(SHIPPED)
        if own is not None:
            if not Path(own).is_file():
                raise FileNotFoundError(f"there is no file of prices {os.fspath(own)!r}")
            lines += read(Path(own))
        return cls(lines)

    def find(self, cloud: str, region: str | None, instance: str) -> Price:
        """One price.

        Raises:
            ValueError: it is not known; says what is, and the line that a file of yours needs.
        """
        for where in (region, "*"):
            if where is not None and (found := self._lines.get((cloud, where, instance))) is not None:
                return found
        elsewhere = sorted(r for c, r, i in self._lines if c == cloud and i == instance)
        names = sorted({i for c, _, i in self._lines if c == cloud})
        if elsewhere:
            known = f"it is known in {', '.join(elsewhere)}"
        elif near := get_close_matches(instance, names, n=3):
            known = f"known are {', '.join(near)}"
        else:
            known = f"known of {cloud} are {', '.join(names) or 'none'}"
        raise ValueError(
            f"no price for {instance} of {cloud} in {region or 'any region'}; {known}. Give it in a file of "
            f"yours with --prices FILE: a first line {','.join(COLUMNS)}, then for example "
            f"{date.today():%Y-%m-%d},my contract,{region or '*'},{cloud},{instance},1.23,0.45"
        )

    def node(self, cluster: Cluster, node: NodeType) -> NodePrice:
        """What one node of a cluster costs an hour.

        Raises:
            ValueError: a price is not known.
        """
        cloud = cluster.provider
        machine = self.find(cloud, cluster.region, machine_name(cloud, node))
        lines, disks = [machine], 0.0
        for kind, gib in disks_of(cloud, node):
            line = self.find(cloud, cluster.region, f"disk:{kind}")
            disks += gib * line.on_demand
            lines.append(line)
        spot = None if machine.spot is None else machine.spot + disks
        if node.spot and spot is None:
            raise ValueError(
                f"{node.name} is spot, and {machine.instance} has no spot price in {machine.region}; give "
                f"one with --prices FILE (columns {','.join(COLUMNS)})"
            )
        on_demand = machine.on_demand + disks
        own = spot if node.spot and spot is not None else on_demand
        return NodePrice(on_demand=on_demand, spot=spot, own=own, lines=tuple(lines))


def read(path: Path) -> list[Price]:
    """The lines of a file of prices.

    Raises:
        ValueError: names file, line and what is wrong.
    """
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        if lacking := [name for name in COLUMNS if name not in (table.fieldnames or ())]:
            raise ValueError(
                f"{path}: its first line lacks {', '.join(lacking)}; it must be {','.join(COLUMNS)}"
            )
        return [_price(path, table.line_num, row) for row in table]


def age(lines: Iterable[Price], today: date) -> tuple[date, int]:
    """The date of the oldest of these prices, and its age in days."""
    oldest = min(one.as_of for one in lines)
    return oldest, (today - oldest).days


def machine_name(cloud: str, node: NodeType) -> str:
    """What a node is called in the table: its machine, with the GPUs that are added to it on GCP."""
    name = node.instance or node.name
    for added in (node.config.get("guestAccelerators") or ()) if cloud == "gcp" else ():
        kind = str(added.get("acceleratorType", "")).rpartition("/")[2]
        name += f"+{added.get('acceleratorCount', 1)}x{kind}"
    return name


def disks_of(cloud: str, node: NodeType) -> list[tuple[str, float]]:
    """Kind and GiB of each disk that the YAML asks for."""
    config, default = node.config, DISKS.get(cloud, "")
    if cloud == "aws":
        drives = [one.get("Ebs") or {} for one in config.get("BlockDeviceMappings") or ()]
        sized = [one for one in drives if "VolumeSize" in one]
        return [(str(one.get("VolumeType", default)), float(one["VolumeSize"])) for one in sized]
    if cloud == "gcp":
        disks = [one.get("initializeParams") or {} for one in config.get("disks") or ()]
        return [
            (str(d.get("diskType", default)).rpartition("/")[2], float(d["diskSizeGb"]))
            for d in disks
            if "diskSizeGb" in d
        ]
    if cloud == "azure":
        parameters = config.get("azure_arm_parameters") or {}
        if not (asked := parameters.get("osDiskSize")):
            return []
        sold = next((size for size in AZURE_GIB if size >= float(asked)), float(asked))
        return [(str(parameters.get("osDiskType", default)), float(sold))]
    return []


def _price(path: Path, line: int, row: Mapping[str, Any]) -> Price:
    try:
        spot = (row["spot"] or "").strip()
        price = Price(
            as_of=date.fromisoformat(row["as_of"].strip()),
            source=row["source"].strip(),
            region=row["region"].strip(),
            cloud=row["cloud"].strip(),
            instance=row["instance"].strip(),
            on_demand=float(row["on_demand"]),
            spot=float(spot) if spot else None,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}:{line}: {dict(row)} is no price ({error}); a line is {','.join(COLUMNS)}, the date as "
            "2026-07-09 and prices in dollars an hour, `spot` empty where there is none"
        ) from error
    if price.on_demand < 0 or (price.spot or 0) < 0:
        raise ValueError(f"{path}:{line}: a price below 0; give dollars an hour, 0 where nothing is paid")
    return price
