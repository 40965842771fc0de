"""`starling logs PATH TRIAL`."""

import argparse

ABOUT = "what the processes of a trial printed, while it runs and afterwards"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH, the trial, and how much of it."""
    add = parser.add_argument
    add("path", metavar="PATH", help="the sweep's folder")
    add("trial", metavar="TRIAL", help="its id; 7 is short for 00007")
    add("--rank", type=int, metavar="R", help="only this rank's (default: all)")
    add("-n", dest="lines", type=int, metavar="LINES", help="the last lines of each rank (default: all)")
    add("--follow", action="store_true", help="go on until the trial has ended; Ctrl-C leaves")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from sweeps.live.logs import show

    return show(
        arguments.path, arguments.trial, rank=arguments.rank, lines=arguments.lines, follow=arguments.follow
    )
