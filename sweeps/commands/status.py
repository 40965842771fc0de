"""`starling status PATH`."""

import argparse

ABOUT = "where a sweep stands, with --watch until it ends"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH, once or again and again."""
    parser.add_argument("path", metavar="PATH", help="the sweep's folder")
    parser.add_argument("--watch", action="store_true", help="until it ends; Ctrl-C leaves")
    parser.add_argument(
        "--interval", type=float, metavar="S", help="with --watch: seconds between two looks (default 2)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON; with --watch a line each time")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    if not arguments.watch:
        if arguments.interval is not None:
            raise ValueError("--interval is of --watch; give both, or neither")
        from sweeps.listing import print_status

        return print_status(arguments.path, as_json=arguments.json)
    from sweeps.live.watch import INTERVAL_S, watch

    interval_s = INTERVAL_S if arguments.interval is None else arguments.interval
    return watch(arguments.path, interval_s=interval_s, as_json=arguments.json)
