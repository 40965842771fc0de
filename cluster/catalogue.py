"""What machines the clouds rent: vCPUs, memory, GPUs, local disks, and whether there is a spot market.

`instances.csv` holds the facts, one machine type a row, as of `AS_OF`. AWS: every type that moto's catalogue
knows (EC2's own DescribeInstanceTypes, all regions together). GCP and Azure: the GPU types and the
general-purpose ones that suit a head, written down by hand; vCPUs, memory and GPUs were compared with public
price lists (docs/cluster-cost.md), local disks were not, and a type that is missing there may well exist.
`python -m cluster.catalogue` writes the rows of AWS anew from the installed moto.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

AS_OF = "2026-11-27"
COMPLETE = frozenset({"aws"})
"""Clouds of which every type is known, so that an unknown one is a mistake."""
FILE = Path(__file__).with_name("instances.csv")


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """A machine type; one row."""

    cloud: str
    """aws, gcp or azure."""
    type: str
    vcpus: int
    memory_gib: float
    gpus: int
    gpu: str
    """The GPU's name; empty where there is none."""
    gpu_memory_gib: float
    """Of one GPU."""
    nvme_gib: float
    """Local disks together, lost with the machine."""
    efa: bool
    """Has AWS's Elastic Fabric Adapter; for other clouds, a comparable network between GPUs."""
    spot: bool
    """Can be had from the spot market."""
    arm: bool
    """Its processors are ARM's: images and wheels for x86 do not run on it."""


@cache
def instances(cloud: str) -> dict[str, Instance]:
    """All of a cloud, by type; empty for a cloud that is not in the catalogue."""
    with FILE.open(newline="") as file:
        return {row["type"]: _instance(row) for row in csv.DictReader(file) if row["cloud"] == cloud}


def find(cloud: str, kind: str) -> Instance | None:
    """One machine type; None if the catalogue has none of that name."""
    return instances(cloud).get(kind)


def _instance(row: dict[str, str]) -> Instance:
    return Instance(
        cloud=row["cloud"],
        type=row["type"],
        vcpus=int(row["vcpus"]),
        memory_gib=float(row["memory_gib"]),
        gpus=int(row["gpus"]),
        gpu=row["gpu"],
        gpu_memory_gib=float(row["gpu_memory_gib"]),
        nvme_gib=float(row["nvme_gib"]),
        efa=row["efa"] == "yes",
        spot=row["spot"] == "yes",
        arm=row["arm"] == "yes",
    )


def from_moto(facts: dict[str, Any]) -> Instance:
    """A row from what EC2's DescribeInstanceTypes says of a type."""
    gpus = (facts.get("GpuInfo") or {}).get("Gpus") or []
    count = sum(one.get("LogicalGpuCount") or one["Count"] for one in gpus)  # logical: a slice counts as one
    total = (facts.get("GpuInfo") or {}).get("TotalGpuMemoryInMiB", 0)
    return Instance(
        cloud="aws",
        type=facts["InstanceType"],
        vcpus=facts["VCpuInfo"]["DefaultVCpus"],
        memory_gib=facts["MemoryInfo"]["SizeInMiB"] / 1024,
        gpus=count,
        gpu=gpus[0]["Name"] if gpus else "",
        gpu_memory_gib=total / 1024 / count if count else 0,
        nvme_gib=round((facts.get("InstanceStorageInfo") or {}).get("TotalSizeInGB", 0) * 1e9 / 2**30),
        efa=bool((facts.get("NetworkInfo") or {}).get("EfaSupported")),
        spot="spot" in facts.get("SupportedUsageClasses", []),
        arm="arm64" in facts["ProcessorInfo"]["SupportedArchitectures"],
    )


def _row(one: Instance) -> dict[str, str]:
    shown = {}
    for field in fields(Instance):
        value = getattr(one, field.name)
        if isinstance(value, bool):
            shown[field.name] = "yes" if value else "no"
        else:
            shown[field.name] = f"{value:.5g}" if isinstance(value, float) else str(value)
    return shown


def main() -> None:
    """Write the rows of AWS anew; the others stay."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    kept = [one for cloud in ("gcp", "azure") for one in instances(cloud).values()] if FILE.exists() else []
    made = [from_moto(facts) for _, facts in sorted(INSTANCE_TYPES.items())]
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Instance)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(_row(one) for one in made + kept)


if __name__ == "__main__":
    main()
