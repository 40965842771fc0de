"""`starling certify PATH`."""

import argparse
import json
import shlex

ABOUT = "race a sweep's best configurations on fresh seeds, and state how sure the best is and what it gains"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH, the race, and where it runs."""
    add = parser.add_argument
    add("path", metavar="PATH", help="the sweep's folder")
    add("--top", type=int, default=5, metavar="K", help="configurations that take part (default 5)")
    add(
        "--budget", type=int, default=15, metavar="N",
        help="trials in all, those of earlier calls included (default 15)",
    )  # fmt: skip
    add(
        "--default", action="append", default=[], metavar="KEY=VALUE",
        help="a value of the default configuration, where it is not the trainable's own; may be repeated",
    )  # fmt: skip
    add("--seed-key", metavar="KEY", help="the name of the seed, where the trainable does not say")
    add("--ranks", type=int, metavar="N", help="processes that train one trial together (as in the sweep)")
    add("--cpus-per-rank", "--cpus", type=float, metavar="C", help="CPUs of a rank (as in the sweep)")
    add("--gpus-per-rank", "--gpus", type=float, metavar="G", help="GPUs of a rank (as in the sweep)")
    add("--max-concurrent", type=int, metavar="N", help="trials at a time")
    add("--address", help="a running Ray cluster, for example auto")
    add("--cluster", metavar="YAML", help="that cluster's file")
    add("--quiet", action="store_true", help="print the certificate alone")
    add("--json", action="store_true", help="the certificate as JSON")


PLACE = ("ranks", "cpus_per_rank", "gpus_per_rank", "max_concurrent", "address", "cluster")


def run(arguments: argparse.Namespace) -> int:
    """Race, and print the certificate; 1 where nothing could be certified."""
    from sweeps.certify import running
    from sweeps.files.options import assignments

    silent = arguments.quiet or arguments.json
    outcome = running.run(
        arguments.path,
        top=arguments.top,
        budget=arguments.budget,
        default=assignments(arguments.default),
        seed_key=arguments.seed_key,
        say=(lambda line: None) if silent else (lambda line: print(line, flush=True)),
        **{name: getattr(arguments, name) for name in PLACE},
    )
    if arguments.json:
        print(json.dumps(outcome.certificate.to_dict(), default=str))
        return outcome.exit_code
    print(("" if silent else "\n") + outcome.certificate.text())
    if outcome.exit_code == 130:
        again = f"starling certify {shlex.quote(arguments.path)} --budget {arguments.budget}"
        print(f"interrupted; go on: {again}")
    return outcome.exit_code
