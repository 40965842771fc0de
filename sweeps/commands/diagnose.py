"""`starling diagnose PATH [TRIAL]`."""

import argparse
import json

ABOUT = "what the learning curves of a sweep tell: what is wrong, how sure that is, what to try next"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH, and one trial of it."""
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("trial", metavar="TRIAL", nargs="?", help="only this trial; default: all")
    parser.add_argument("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings, those of the sweep first, the others by label."""
    from sweeps.diagnosis import diagnose
    from sweeps.diagnosis.telling import text
    from sweeps.results import Results

    results = Results(arguments.path)
    findings = diagnose(results, arguments.trial)
    if arguments.json:
        print(json.dumps([one.to_dict() for one in findings], default=float))
    else:
        print(text(findings, len(results), arguments.path))
    return 0
