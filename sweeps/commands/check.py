"""`starling check FILE`."""

import argparse
import json

from sweeps import sweep_options

ABOUT = "validate a sweep without starting anything, and print its plan"


def options(parser: argparse.ArgumentParser) -> None:
    """FILE and the sweep's fields."""
    sweep_options.add_file(parser)
    sweep_options.add_fields(parser)
    parser.add_argument("--json", action="store_true", help="the plan as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    from sweeps.checks import plan

    described = plan.describe(sweep_options.read(arguments))
    print(json.dumps(described, default=str) if arguments.json else plan.text(described))
    return 0
