"""Regions of the clouds, their zones, and the families of GPU machines that AWS has there: `regions.csv`.

AWS's rows come from botocore's list of regions and moto's of offerings (in 2026), GCP's and Azure's were
written down by hand. A region without zones or families is one of which they are not known.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("regions.csv")


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """One row."""

    name: str
    zones: frozenset[str]
    """Their last letters."""
    gpu_families: frozenset[str]
    """As in g6 of g6.2xlarge."""


@cache
def regions(cloud: str) -> dict[str, Region]:
    """All of a cloud, by name; empty for a cloud that has none here."""
    with FILE.open(newline="") as file:
        return {
            row["region"]: Region(
                name=row["region"],
                zones=frozenset(row["zones"].split()),
                gpu_families=frozenset(row["gpu_families"].split()),
            )
            for row in csv.DictReader(file)
            if row["cloud"] == cloud
        }
