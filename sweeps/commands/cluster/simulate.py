"""`starling cluster simulate YAML --sweep FILE`."""

import argparse

from sweeps import sweep_options
from sweeps.commands.cluster import add_yaml

ABOUT = "run a sweep for real on this machine, with Ray's autoscaler and a cloud that is played"


def options(parser: argparse.ArgumentParser) -> None:
    """YAML, the sweep, and what happens to its nodes."""
    add_yaml(parser)
    parser.add_argument("--sweep", dest="file", required=True, metavar="FILE", help="as for `run`")
    sweep_options.add_fields(parser)
    option = parser.add_argument
    option("--boot", type=float, default=150.0, metavar="S", help="until a node works (default 150)")
    option(
        "--preempt",
        type=float,
        nargs="+",
        default=[],
        metavar="S",
        help="the first spot node gets its notice S seconds after it is up; the second, the second S",
    )
    option("--no-spot", action="store_true", help="there are no spot nodes")
    option(
        "--refuse",
        nargs="+",
        default=[],
        metavar="TYPE[:N]",
        help="there are only N nodes of that type, or none",
    )
    option(
        "--speed",
        type=float,
        default=10.0,
        metavar="X",
        help="of the cloud's clock (default 10): its times pass so much faster than the trials'",
    )


def run(arguments: argparse.Namespace) -> int:
    """Play it."""
    from cluster import cluster_file
    from cluster.simulate.scenario import Scenario, refusals
    from sweeps.simulation import simulate

    scenario = Scenario(
        boot_s=arguments.boot,
        preempt_s=tuple(arguments.preempt),
        refuse=refusals(cluster_file.load(arguments.yaml), arguments.refuse, arguments.no_spot),
        speed=arguments.speed,
    )
    return simulate(arguments.yaml, sweep_options.read(arguments), scenario)
