"""`starling cluster down YAML`."""

import argparse

from sweeps.commands.cluster import add_yaml, launched

ABOUT = "stop a cluster, and look for what is left of it"


def options(parser: argparse.ArgumentParser) -> None:
    """YAML."""
    add_yaml(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Stop it, after a question."""
    from cluster import lifecycle

    return launched(lambda: lifecycle.down(arguments.yaml, yes=arguments.yes))
