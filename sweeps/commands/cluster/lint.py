"""`starling cluster lint YAML`."""

import argparse
import json

from sweeps.commands.cluster import add_yaml

ABOUT = "find the mistakes in a cluster's file before they cost money"


def options(parser: argparse.ArgumentParser) -> None:
    """YAML."""
    add_yaml(parser)
    parser.add_argument("--json", action="store_true", help="the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 2 where there is an error."""
    from cluster import lint

    found = lint.lint(arguments.yaml)
    print(json.dumps(lint.to_json(found)) if arguments.json else lint.text(found, arguments.yaml))
    return 2 if any(one.level == "error" for one in found) else 0
