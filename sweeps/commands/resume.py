"""`starling resume PATH`."""

import argparse
import json

ABOUT = "continue a sweep after any crash, or add trials to a finished one"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH, and what is different from now on."""
    add = parser.add_argument
    add("path", metavar="PATH", help="the sweep's folder")
    add("--extend", type=int, default=0, metavar="N", help="add N trials")
    add("--time-budget", metavar="TIME", help="of the whole sweep, what it has used already included")
    add("--address", help="a running Ray cluster")
    add("--cluster", metavar="YAML", help="that cluster's file")
    add("--prices", metavar="FILE", help="prices of your own")
    add("--max-cost", type=float, metavar="DOLLARS", help="of the whole sweep, what it has used included")
    add("--quiet", action="store_true", default=None)
    add("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Continue it to its end."""
    if arguments.extend < 0:
        raise ValueError(f"--extend is {arguments.extend}; it adds trials, so give a whole number >= 0")
    from sweeps.run import restart

    outcome = restart(
        arguments.path,
        extend=arguments.extend,
        time_budget=arguments.time_budget,
        address=arguments.address,
        cluster=arguments.cluster,
        prices=arguments.prices,
        max_cost=arguments.max_cost,
        quiet=True if arguments.json else arguments.quiet,
    )
    if arguments.json:
        print(json.dumps(outcome.to_dict(), default=str))
    return outcome.exit_code
