"""`starling cluster plan YAML --sweep FILE`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from sweeps import sweep_options
from sweeps.commands.cluster import add_yaml

ABOUT = "simulate a sweep on a cluster: how long, how many dollars"


def options(parser: argparse.ArgumentParser) -> None:
    """YAML, the sweep, and what is assumed."""
    add_yaml(parser)
    parser.add_argument("--sweep", dest="file", required=True, metavar="FILE", help="as for `run`")
    sweep_options.add_fields(parser)
    option = parser.add_argument
    option("--results", metavar="PATH", help="an earlier sweep: its learning curves and times")
    option(
        "--seconds-per-report",
        type=float,
        default=60.0,
        metavar="S",
        help="of one trial, without --results (default 60)",
    )
    option("--seeds", type=int, default=5, metavar="N", help="simulations (default 5)")
    option("--suggestions", type=int, default=500, metavar="N", help="asked of the search (default 500)")
    option("--refused", type=float, metavar="P", help="chance that a spot launch is refused (default 0.05)")
    option("--preemptions", type=float, metavar="N", help="of a spot node, an hour (default 0.05)")
    option("--boot", type=float, metavar="S", help="median seconds until a node works (default 150)")
    option("--plot", metavar="FILE.svg", help="draw nodes and trials over time, of the median seed")
    option("--json", action="store_true", help="the plan as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Plan, print, and draw where one wants it."""
    from cluster import cluster_file
    from cluster.planning import Assumptions
    from sweeps.planning import picture
    from sweeps.planning import plan as planning
    from sweeps.results import Results

    cluster, sweep = cluster_file.load(arguments.yaml), sweep_options.read(arguments)
    given: dict[str, Any] = {
        "refused": arguments.refused,
        "preemptions_per_h": arguments.preemptions,
        "boot_s": arguments.boot,
    }
    found = planning.plan(
        sweep,
        cluster,
        seeds=arguments.seeds,
        results=Results(arguments.results) if arguments.results else None,
        seconds_per_report=arguments.seconds_per_report,
        assumptions=Assumptions(**{key: value for key, value in given.items() if value is not None}),
        suggestions=arguments.suggestions,
        progress=lambda words: print(words, file=sys.stderr, flush=True),
    )
    print(json.dumps(planning.to_json(found)) if arguments.json else planning.text(found, sweep, cluster))
    if arguments.plot:
        title = f"{Path(arguments.file).stem} on {cluster.name}"
        Path(arguments.plot).write_text(picture.svg(found.typical.moments, title))
    return 0
