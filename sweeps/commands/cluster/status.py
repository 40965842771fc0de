"""`starling cluster status YAML`."""

import argparse

from sweeps.commands.cluster import add_yaml, launched

ABOUT = "nodes by type, failed launches, and the sweeps that run"


def options(parser: argparse.ArgumentParser) -> None:
    """YAML."""
    add_yaml(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from cluster import lifecycle

    return launched(lambda: lifecycle.status(arguments.yaml))
