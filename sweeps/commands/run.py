"""`starling run FILE`."""

import argparse
import json

from sweeps import sweep_options

ABOUT = "run a sweep: a recipe or script (.py), a sweep file (.yaml), or a W&B sweep file"


def options(parser: argparse.ArgumentParser) -> None:
    """FILE, the sweep's fields, and how much is printed."""
    sweep_options.add_file(parser)
    sweep_options.add_fields(parser)
    parser.add_argument("--quiet", action="store_true", default=None, help="print nothing but errors")
    parser.add_argument("--json", action="store_true", help="print only the outcome, as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run it to its end."""
    more = {"quiet": True} if arguments.json else {}
    sweep = sweep_options.read(arguments, **more)
    from sweeps.run import start

    outcome = start(sweep)
    if arguments.json:
        print(json.dumps(outcome.to_dict(), default=str))
    return outcome.exit_code
