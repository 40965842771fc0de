"""`starling wandb-scheduler ENTITY/PROJECT/SWEEP --search NAME`."""

import argparse
import sys

ABOUT = "suggest the runs of a W&B sweep that wandb's agents run (experimental, as it is in W&B)"


def options(parser: argparse.ArgumentParser) -> None:
    """The sweep, and who searches."""
    add = parser.add_argument
    add("path", metavar="ENTITY/PROJECT/SWEEP", help="a sweep whose configuration has a `scheduler`")
    add("--search", required=True, metavar="NAME[:KEY=VALUE,...]", help="our search algorithm")
    add("--trials", type=int, metavar="N", help="finish the sweep after N ended runs")
    add("--at-once", type=int, default=10, metavar="N", help="runs at a time (default 10)")
    add("--poll", type=float, default=10.0, metavar="SECONDS", help="between looks at them (default 10)")
    add("--seed", type=int, default=0)


def run(arguments: argparse.Namespace) -> int:
    """Until the sweep is finished or Ctrl-C; 1 where W&B's scheduler failed."""
    from sweeps.tracking import scheduler

    try:
        scheduler.drive(
            arguments.path, arguments.search, seed=arguments.seed, trials=arguments.trials,
            at_once=arguments.at_once, poll_s=arguments.poll,
        )  # fmt: skip
    except RuntimeError as error:
        print(f"starling: {error}", file=sys.stderr)
        return 1
    return 0
