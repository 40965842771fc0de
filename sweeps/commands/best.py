"""`starling best PATH`."""

import argparse

ABOUT = "the best trials of a sweep"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH, and how many."""
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("-n", type=int, default=1, metavar="K", help="how many (default 1)")
    parser.add_argument("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Print them with their configurations."""
    from sweeps.listing import print_best

    return print_best(arguments.path, arguments.n, as_json=arguments.json)
