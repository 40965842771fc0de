"""`starling cluster submit YAML RECIPE ...`."""

import argparse
import sys

from sweeps import sweep_options
from sweeps.commands.cluster import add_yaml, launched

ABOUT = "send a sweep to a cluster, where it goes on by itself"


def options(parser: argparse.ArgumentParser) -> None:
    """YAML, RECIPE, and all words behind it, which are read once RECIPE is known."""
    add_yaml(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("file", metavar="RECIPE", help="as for `run`")
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="...", help="options of `run`; --help lists them here"
    )


def run(arguments: argparse.Namespace) -> int:
    """Read RECIPE's words as `run` does, and send it."""
    from sweeps import submission

    both = type(arguments.parser)(prog=f"{arguments.parser.prog} YAML RECIPE", allow_abbrev=False)
    both.set_defaults(parser=both, file=arguments.file)
    _own_options(both)
    sweep_options.add_fields(both)
    given = both.parse_args(arguments.words)
    given.sweep = None
    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _own_options(ours)
    _, words = ours.parse_known_args(arguments.words)
    return launched(
        lambda: submission.send(
            arguments.yaml,
            arguments.file,
            words,
            sweep_options.read(given),
            estimate=not given.no_estimate,
            results=given.results,
            seconds_per_report=given.seconds_per_report,
            yes=arguments.yes or given.yes,
            progress=lambda text: print(text, file=sys.stderr, flush=True),
        )
    )


def _own_options(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--yes", action="store_true", help="do not ask")
    option("--no-estimate", action="store_true", help="do not plan it on the cluster first")
    option("--results", metavar="PATH", help="an earlier sweep: its learning curves and times, for the plan")
    option("--seconds-per-report", type=float, default=60.0, metavar="S", help="for the plan (default 60)")
