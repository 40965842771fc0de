"""`starling sync PATH`."""

import argparse
import json

ABOUT = "send to Weights & Biases what it has not got of a sweep"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH."""
    parser.add_argument("path", metavar="PATH", help="the sweep's folder")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Send it; 1 where not everything has arrived."""
    import dataclasses

    from sweeps.tracking import sync
    from sweeps.tracking.sync_words import Progress, words

    with Progress(quiet=arguments.quiet or arguments.json) as progress:
        sent = sync.send(arguments.path, progress=progress.show)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(sent)))
    else:
        print(words(sent, arguments.path))
    return 0 if sent.missing == 0 else 1
