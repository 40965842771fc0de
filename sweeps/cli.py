"""The command `starling`.

    starling run FILE ...      starling ls STORAGE       starling export PATH --to csv
    starling check FILE        starling status PATH      starling data cifar10 --from ARCHIVE
    starling resume PATH       starling best PATH        starling lr-range FILE
    starling cluster lint|plan|simulate|up|submit|status|down YAML ...

Exit codes: 0 finished; 1 finished but no trial succeeded, or stopped by failures; 2 bad input, nothing was
started; 130 Ctrl-C. Errors go to the standard error, a sentence each.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from sweeps.run import Outcome
    from sweeps.spec import Sweep

FIELDS = (
    "trainable", "trials", "search", "scheduler", "ranks", "cpus_per_rank", "gpus_per_rank", "max_concurrent",
    "max_iterations", "time_budget", "max_failures", "retries", "storage", "name", "seed", "wandb", "address",
    "cluster", "prices", "max_cost", "warm_start", "quiet",
)  # fmt: skip
"""Options of `run` that are fields of `Sweep`."""


def main(argv: Sequence[str] | None = None, *, sweep: "Sweep | None" = None) -> int:
    """Run one command; returns its exit code.

    Args:
        argv: the words after `starling`; None: the process's own.
        sweep: the sweep that FILE of `run` defines, when that file itself is running.
    """
    arguments = _parser().parse_args(argv)
    try:
        code = arguments.command(arguments, **({"sweep": sweep} if sweep is not None else {}))
    except KeyboardInterrupt:  # before the first trial, or a second time while the sweep was closing
        print("starling: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `starling ls | head`
        sys.stderr.close()
        return 0
    except (ValueError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        # A caller's mistake: found before a sweep starts, and what it says is what to do.
        print(f"starling: {error}", file=sys.stderr)
        return 2
    return int(code or 0)


class _Parser(argparse.ArgumentParser):
    """Answers a mistake in one line, with the nearest option, and not with the whole usage."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; what nobody knows is named with what comes next to it."""
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            from sweeps.spelling import nearest

            word = unknown[0].partition("=")[0]
            parser: _Parser = arguments.parser
            near = nearest(word, parser._option_string_actions) if word.startswith("-") else None
            parser.error(f"{word} is unknown" + (f"; did you mean {near}?" if near else ""))
        return arguments

    def error(self, message: str) -> NoReturn:
        """Print it and exit."""
        self.exit(2, f"{self.prog}: {message}\nsee `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="starling",
        description="Large-scale hyperparameter sweeps of distributed PyTorch training.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.set_defaults(command=function, parser=made)
        return made

    about = "run a sweep: a recipe or script (.py), a sweep file (.yaml), or a W&B sweep file"
    run = command("run", _run, about)
    _sweep_options(run)
    run.add_argument("--quiet", action="store_true", default=None, help="print nothing but errors")
    run.add_argument("--json", action="store_true", help="print only the outcome, as one JSON object")

    check = command("check", _check, "validate a sweep without starting anything, and print its plan")
    _sweep_options(check)
    check.add_argument("--json", action="store_true", help="the plan as JSON")

    about = "try learning rates on one trial, the rest in the middle of its ranges, and propose a range"
    lr_range = command("lr-range", _lr_range, about)
    lr_range.add_argument("file", metavar="FILE")
    add = lr_range.add_argument
    _value_options(lr_range)
    add("--from", dest="low", type=float, default=1e-6, metavar="LR", help="smallest (default 1e-6)")
    add("--to", dest="high", type=float, default=10.0, metavar="LR", help="largest (default 10)")
    add("--steps", type=int, default=100, metavar="N", help="optimiser steps (default 100)")
    add("--gpus-per-rank", type=float, metavar="G", help="1: on a GPU")
    add("--quiet", action="store_true", default=None, help="no progress")
    add("--json", action="store_true", help="the curve as JSON")

    resume = command("resume", _resume, "continue a sweep after any crash, or add trials to a finished one")
    resume.add_argument("path", metavar="PATH", help="the sweep's folder")
    resume.add_argument("--extend", type=int, default=0, metavar="N", help="add N trials")
    resume.add_argument(
        "--time-budget", metavar="TIME", help="of the whole sweep, what it has used already included"
    )
    resume.add_argument("--address", help="a running Ray cluster")
    resume.add_argument("--cluster", metavar="YAML", help="that cluster's file")
    resume.add_argument("--prices", metavar="FILE", help="prices of your own")
    resume.add_argument(
        "--max-cost", type=float, metavar="DOLLARS", help="of the whole sweep, what it has used included"
    )
    resume.add_argument("--quiet", action="store_true", default=None)
    resume.add_argument("--json", action="store_true")

    ls = command("ls", _ls, "the sweeps in a storage")
    ls.add_argument("storage", metavar="STORAGE", nargs="?", default="results")
    ls.add_argument("--json", action="store_true")

    status = command("status", _status, "where a sweep stands")
    status.add_argument("path", metavar="PATH")
    status.add_argument("--json", action="store_true")

    best = command("best", _best, "the best trials of a sweep")
    best.add_argument("path", metavar="PATH")
    best.add_argument("-n", type=int, default=1, metavar="K", help="how many (default 1)")
    best.add_argument("--json", action="store_true")

    export = command("export", _export, "the trials as one table")
    export.add_argument("path", metavar="PATH")
    export.add_argument("--to", required=True, choices=["csv", "parquet", "optuna"])
    export.add_argument("--out", metavar="FILE", help="where to (default: here, under the sweep's name)")

    from sweeps import cluster_cli

    cluster_cli.add(
        command("cluster", None, "clusters of GPU nodes: what a sweep on one takes and costs"),
        _sweep_fields,
        lambda arguments: _overridden(arguments, None),
    )

    about = "convert a data set's official archive to the Parquet files that recipes read"
    data = command("data", _data, about)
    data.add_argument("name", choices=["cifar10"])
    data.add_argument("--from", dest="archive", required=True, metavar="FILE", help="cifar-10-python.tar.gz")
    data.add_argument("--out", default="data/cifar10", metavar="DIR")
    return parser


def _sweep_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE")
    _sweep_fields(parser)


def _sweep_fields(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--trainable", help="what a trial trains: a name, my_file:MyTask, my_file.py:MyTask")
    add("--trials", type=int, metavar="N", help="how many trials")
    add("--search", metavar="NAME[:KEY=VALUE,...]", help="random, grid, sobol, tpe, gp, cmaes, nsga2, ...")
    add("--scheduler", metavar="NAME[:KEY=VALUE,...]", help="fifo, asha, hyperband, bohb, median, pbt, pb2")
    add("--ranks", type=int, metavar="N", help="processes that train one trial together")
    add("--cpus-per-rank", type=float, metavar="C")
    add("--gpus-per-rank", type=float, metavar="G")
    add("--max-concurrent", type=int, metavar="N", help="trials at a time")
    add("--max-iterations", type=int, metavar="N", help="reports of a fully trained trial")
    add("--time-budget", metavar="TIME", help="90s, 20m, 2h: no trial goes on after it, resumes included")
    add("--max-cost", type=float, metavar="DOLLARS", help="no trial goes on after it, resumes included")
    add("--max-failures", type=int, metavar="N", help="stop when more trials than this failed")
    add("--retries", type=int, metavar="N", help="how often a crashed trial starts again")
    add("--storage", metavar="URI", help="where sweeps are kept")
    add("--name", help="the sweep's folder in the storage")
    add("--seed", type=int)
    add("--warm-start", nargs="+", metavar="PATH", help="earlier sweeps that the search learns from")
    add("--wandb", metavar="[ENTITY/]PROJECT", help="log every trial to Weights & Biases")
    _value_options(parser)
    add("--address", help="a running Ray cluster, for example auto")
    add("--cluster", metavar="YAML", help="that cluster's file, where it is not on this machine")
    add("--prices", metavar="FILE", help="prices that go before the package's own (cluster/prices.csv)")


def _value_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a value; may be repeated")
    add("--data", metavar="DIR", help="short for --set data=DIR")


def _overridden(arguments: argparse.Namespace, sweep: "Sweep | None", **more: Any) -> "Sweep":
    from sweeps.files import options, sweep_file

    fields = {key: getattr(arguments, key, None) for key in FIELDS}
    fixed = options.assignments(arguments.set)
    if arguments.data is not None:
        fixed["data"] = arguments.data
    if sweep is None:
        return sweep_file.load(arguments.file, overrides=fields | more, pins=fixed or None)
    return sweep.override(set=fixed or None, **(fields | more))


def _run(arguments: argparse.Namespace, sweep: "Sweep | None" = None) -> int:
    more = {"quiet": True} if arguments.json else {}
    sweep = _overridden(arguments, sweep, **more)
    from sweeps.run import start

    return _print_outcome(start(sweep), arguments.json)


def _lr_range(arguments: argparse.Namespace) -> int:
    from sweeps import lr_range

    sweep = _overridden(arguments, None)
    found = lr_range.measure(sweep, low=arguments.low, high=arguments.high, steps=arguments.steps)
    print(lr_range.to_json(found) if arguments.json else lr_range.text(found))
    return 0 if found.proposed else 1


def _resume(arguments: argparse.Namespace) -> int:
    if arguments.extend < 0:
        raise ValueError(f"--extend is {arguments.extend}; it adds trials, so give a whole number >= 0")
    from sweeps.run import restart

    quiet = True if arguments.json else arguments.quiet
    outcome = restart(
        arguments.path,
        extend=arguments.extend,
        time_budget=arguments.time_budget,
        address=arguments.address,
        cluster=arguments.cluster,
        prices=arguments.prices,
        max_cost=arguments.max_cost,
        quiet=quiet,
    )
    return _print_outcome(outcome, arguments.json)


def _print_outcome(outcome: "Outcome", as_json: bool) -> int:
    if as_json:
        results = outcome.results
        best = results.best
        summary = {
            "path": results.path,
            "why": outcome.why,
            "status": results.status(),
            "best": best.to_dict() if best else None,
        }
        print(json.dumps(summary, default=str))
    return outcome.exit_code


def _check(arguments: argparse.Namespace) -> int:
    from sweeps.checks import plan

    described = plan.describe(_overridden(arguments, None))
    print(json.dumps(described, default=str) if arguments.json else plan.text(described))
    return 0


def _ls(arguments: argparse.Namespace) -> int:
    from sweeps.listing import print_sweeps

    return print_sweeps(arguments.storage, as_json=arguments.json)


def _status(arguments: argparse.Namespace) -> int:
    from sweeps.listing import print_status

    return print_status(arguments.path, as_json=arguments.json)


def _best(arguments: argparse.Namespace) -> int:
    from sweeps.listing import print_best

    return print_best(arguments.path, arguments.n, as_json=arguments.json)


def _export(arguments: argparse.Namespace) -> int:
    from sweeps.export import export

    print(export(arguments.path, to=arguments.to, out=arguments.out))
    return 0


def _data(arguments: argparse.Namespace) -> int:
    from trainables.engine.cifar10 import convert_cifar10

    if not Path(arguments.archive).is_file():
        raise ValueError(
            f"--from: there is no file {arguments.archive!r}; give the official cifar-10-python.tar.gz"
        )
    print(convert_cifar10(arguments.archive, arguments.out))
    return 0
