"""`starling cluster up YAML`."""

import argparse

from sweeps.commands.cluster import add_yaml, launched

ABOUT = "start a cluster, or bring one that is up to its file's state"


def options(parser: argparse.ArgumentParser) -> None:
    """YAML."""
    add_yaml(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Start it, after a question."""
    from cluster import lifecycle

    return launched(lambda: lifecycle.up(arguments.yaml, yes=arguments.yes))
