"""A quiet Ray on this machine for one measurement."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import ray


@contextlib.contextmanager
def own_ray(cpus: int) -> Iterator[None]:
    """Started with so many CPUs in its books, and ended."""
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        yield
    finally:
        ray.shutdown()
