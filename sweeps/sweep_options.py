"""Options that say what a sweep is: of `run`, `check`, and every command that takes a sweep's FILE."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.spec import Sweep

FIELDS = (
    "trainable", "trials", "search", "scheduler", "ranks", "cpus_per_rank", "gpus_per_rank", "max_concurrent",
    "max_iterations", "time_budget", "max_failures", "retries", "storage", "name", "seed", "wandb", "address",
    "cluster", "prices", "max_cost", "warm_start", "quiet", "stop_on",
)  # fmt: skip
"""Options that are fields of `Sweep`."""


def add_file(parser: argparse.ArgumentParser) -> None:
    """FILE."""
    parser.add_argument("file", metavar="FILE", help="a recipe or script (.py), or a sweep file (.yaml)")


def add_fields(parser: argparse.ArgumentParser) -> None:
    """The fields of a sweep, and its values."""
    add = parser.add_argument
    add("--trainable", help="what a trial trains: a name, my_file:MyTask, my_file.py:MyTask")
    add("--trials", type=int, metavar="N", help="how many trials")
    add("--search", metavar="NAME[:KEY=VALUE,...]", help="random, grid, sobol, tpe, gp, cmaes, nsga2, ...")
    add("--scheduler", metavar="NAME[:KEY=VALUE,...]", help="fifo, asha, hyperband, bohb, median, pbt, pb2")
    add("--stop-on", metavar="LABEL,...", help="end trials whose curves tell this: diverged, overfit")
    add("--ranks", type=int, metavar="N", help="processes that train one trial together")
    add("--cpus-per-rank", type=float, metavar="C")
    add("--gpus-per-rank", type=float, metavar="G")
    add("--max-concurrent", type=int, metavar="N", help="trials at a time")
    add("--max-iterations", type=int, metavar="N", help="reports of a fully trained trial")
    add("--time-budget", metavar="TIME", help="90s, 20m, 2h: no trial goes on after it, resumes included")
    add("--max-cost", type=float, metavar="DOLLARS", help="no trial goes on after it, resumes included")
    add("--max-failures", type=int, metavar="N", help="stop when more trials than this failed")
    add("--retries", type=int, metavar="N", help="how often a crashed trial starts again")
    add("--storage", metavar="URI", help="where sweeps are kept")
    add("--name", help="the sweep's folder in the storage")
    add("--seed", type=int)
    add("--warm-start", nargs="+", metavar="PATH", help="earlier sweeps that the search learns from")
    add("--wandb", metavar="[ENTITY/]PROJECT", help="log every trial to Weights & Biases")
    add_values(parser)
    add("--address", help="a running Ray cluster, for example auto")
    add("--cluster", metavar="YAML", help="that cluster's file, where it is not on this machine")
    add("--prices", metavar="FILE", help="prices that go before the package's own (cluster/prices.csv)")


def add_values(parser: argparse.ArgumentParser) -> None:
    """Values that are fixed."""
    add = parser.add_argument
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a value; may be repeated")
    add("--data", metavar="DIR", help="short for --set data=DIR")


def read(arguments: argparse.Namespace, **more: Any) -> "Sweep":
    """The sweep that FILE and the options describe.

    Args:
        more: fields of `Sweep` that go before the options.
    """
    from sweeps.files import options, sweep_file

    fields = {key: getattr(arguments, key, None) for key in FIELDS} | more
    fixed = options.assignments(arguments.set)
    if arguments.data is not None:
        fixed["data"] = arguments.data
    if arguments.sweep is None:
        return sweep_file.load(arguments.file, overrides=fields, pins=fixed or None)
    sweep: Sweep = arguments.sweep
    return sweep.override(set=fixed or None, **fields)
