"""`starling ls STORAGE`."""

import argparse

ABOUT = "the sweeps in a storage"


def options(parser: argparse.ArgumentParser) -> None:
    """STORAGE."""
    parser.add_argument("storage", metavar="STORAGE", nargs="?", default="results")
    parser.add_argument("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Print them, the newest first."""
    from sweeps.listing import print_sweeps

    return print_sweeps(arguments.storage, as_json=arguments.json)
