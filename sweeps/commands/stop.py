"""`starling stop PATH [TRIAL ...]`."""

import argparse

ABOUT = "stop a running sweep, or single trials of it, from another terminal"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH and trials."""
    parser.add_argument("path", metavar="PATH", help="the sweep's folder")
    parser.add_argument("trials", metavar="TRIAL", nargs="*", help="ids; none: the whole sweep, resumable")
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="seconds to wait for its driver (default 60)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Stop, and say what was."""
    from sweeps.live.stop import stop

    for line in stop(arguments.path, arguments.trials, timeout_s=arguments.timeout):
        print(line)
    return 0
