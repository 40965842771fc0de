"""`starling cluster ...`: the commands for clusters, one a file."""

import argparse
import sys
from collections.abc import Callable

from sweeps import commands

ABOUT = "clusters of GPU nodes: check, plan and play them, start them, send sweeps, give them back"
FIRST = ("lint", "plan", "simulate", "submit", "up", "status", "down")


def options(parser: argparse.ArgumentParser) -> None:
    """The commands for clusters."""
    commands.add(parser, sys.modules[__name__], FIRST)


def add_yaml(parser: argparse.ArgumentParser) -> None:
    """The file that each of them takes."""
    parser.add_argument("yaml", metavar="YAML", help="the cluster's file")


def launched(verb: Callable[[], int | None]) -> int:
    """1 where Ray's launcher failed, or `down` found what costs money."""
    from cluster.launcher import LauncherError

    try:
        return 1 if verb() else 0
    except LauncherError as error:
        print(f"starling: {error}", file=sys.stderr)
        return 1
