"""`starling cluster ...`: the commands for clusters.

starling cluster lint cluster/aws.yaml
starling cluster plan cluster/aws.yaml --sweep sweeps/recipes/quickstart.py --trials 1000
starling cluster simulate cluster/aws.yaml --sweep sweeps/recipes/quickstart.py --trials 8 --preempt 300
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeps import sweep_options

ABOUT = "clusters of GPU nodes: what a sweep on one takes and costs"


def options(parser: argparse.ArgumentParser) -> None:
    """The commands for clusters."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, function: Callable[..., int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.set_defaults(verb=function, parser=made)
        made.add_argument("yaml", metavar="YAML", help="the cluster's file")
        return made

    lint = command("lint", _lint, "find the mistakes in a cluster's file before they cost money")
    lint.add_argument("--json", action="store_true", help="the findings as JSON")
    _plan_options(command("plan", _plan, "simulate a sweep on a cluster: how long, how many dollars"))
    about = "run a sweep for real on this machine, with Ray's autoscaler and a cloud that is played"
    _simulate_options(command("simulate", _simulate, about))
    submit = command("submit", _submit, "send a sweep to a cluster, where it goes on by itself")
    submit.add_argument("--yes", action="store_true", help="do not ask")
    submit.add_argument("file", metavar="RECIPE", help="as for `run`")
    submit.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="...", help="options of `run`; --help lists them here"
    )
    up = command("up", _up, "start a cluster, or bring one that is up to its file's state")
    down = command("down", _down, "stop a cluster, and look for what is left of it")
    for one in (up, down):
        one.add_argument("--yes", action="store_true", help="do not ask")
    command("status", _status, "nodes by type, failed launches, and the sweeps that run")


def run(arguments: argparse.Namespace) -> int:
    """Run one of them."""
    return int(arguments.verb(arguments))


def _plan_options(parser: argparse.ArgumentParser) -> None:
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


def _plan(arguments: argparse.Namespace) -> int:
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


def _simulate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sweep", dest="file", required=True, metavar="FILE", help="as for `run`")
    sweep_options.add_fields(parser)
    option = parser.add_argument
    option("--boot", type=float, default=150.0, metavar="S", help="until a node works (default 150)")
    option(
        "--preempt",
        type=float,
        nargs="+",
        default=[],
        metavar="S",
        help="the first spot node gets its notice S seconds after it is up; the second, the second S",
    )
    option("--no-spot", action="store_true", help="there are no spot nodes")
    option(
        "--refuse",
        nargs="+",
        default=[],
        metavar="TYPE[:N]",
        help="there are only N nodes of that type, or none",
    )
    option(
        "--speed",
        type=float,
        default=10.0,
        metavar="X",
        help="of the cloud's clock (default 10): its times pass so much faster than the trials'",
    )


def _simulate(arguments: argparse.Namespace) -> int:
    from cluster import cluster_file
    from cluster.simulate.scenario import Scenario, refusals
    from sweeps.simulation import simulate

    scenario = Scenario(
        boot_s=arguments.boot,
        preempt_s=tuple(arguments.preempt),
        refuse=refusals(cluster_file.load(arguments.yaml), arguments.refuse, arguments.no_spot),
        speed=arguments.speed,
    )
    return simulate(arguments.yaml, sweep_options.read(arguments), scenario)


def _lint(arguments: argparse.Namespace) -> int:
    from cluster import lint

    found = lint.lint(arguments.yaml)
    print(json.dumps(lint.to_json(found)) if arguments.json else lint.text(found, arguments.yaml))
    return 2 if any(one.level == "error" for one in found) else 0


def _submit_options(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--yes", action="store_true", help="do not ask")
    option("--no-estimate", action="store_true", help="do not plan it on the cluster first")
    option("--results", metavar="PATH", help="an earlier sweep: its learning curves and times, for the plan")
    option("--seconds-per-report", type=float, default=60.0, metavar="S", help="for the plan (default 60)")


def _submit(arguments: argparse.Namespace) -> int:
    from sweeps import submission

    both = type(arguments.parser)(prog=f"{arguments.parser.prog} YAML RECIPE", allow_abbrev=False)
    both.set_defaults(parser=both, file=arguments.file)
    _submit_options(both)
    sweep_options.add_fields(both)
    given = both.parse_args(arguments.words)
    given.sweep = None
    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _submit_options(ours)
    _, words = ours.parse_known_args(arguments.words)
    return _launched(
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


def _up(arguments: argparse.Namespace) -> int:
    from cluster import lifecycle

    return _launched(lambda: lifecycle.up(arguments.yaml, yes=arguments.yes))


def _down(arguments: argparse.Namespace) -> int:
    from cluster import lifecycle

    return _launched(lambda: lifecycle.down(arguments.yaml, yes=arguments.yes))


def _status(arguments: argparse.Namespace) -> int:
    from cluster import lifecycle

    return _launched(lambda: lifecycle.status(arguments.yaml))


def _launched(verb: Callable[[], int | None]) -> int:
    """1 where Ray's launcher failed, or `down` found what costs money."""
    from cluster.launcher import LauncherError

    try:
        return 1 if verb() else 0
    except LauncherError as error:
        print(f"starling: {error}", file=sys.stderr)
        return 1
