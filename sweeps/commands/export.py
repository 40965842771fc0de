"""`starling export PATH --to FORM`."""

import argparse

ABOUT = "the trials as one table, or as runs on W&B"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH, form and destination."""
    parser.add_argument("path", metavar="PATH", help="the sweep's folder")
    parser.add_argument("--to", required=True, choices=["csv", "parquet", "optuna", "wandb"])
    parser.add_argument("--out", metavar="FILE", help="where to (default: here, under the sweep's name)")
    parser.add_argument("--project", metavar="[ENTITY/]PROJECT", help="of W&B (default: the sweep's own)")


def run(arguments: argparse.Namespace) -> int:
    """Write the file and print its path; for W&B, send the runs."""
    if arguments.to == "wandb":
        return _to_wandb(arguments)
    if arguments.project is not None:
        raise ValueError("--project is of `--to wandb`; a table goes to --out FILE")
    from sweeps.export import export

    print(export(arguments.path, to=arguments.to, out=arguments.out))
    return 0


def _to_wandb(arguments: argparse.Namespace) -> int:
    """Every trial as a run, on a sweep page of W&B's; as logs on this machine where nobody is logged in."""
    if arguments.out is not None:
        raise ValueError("--out is of tables; W&B's logs come into the sweep's own folder. Leave it out")
    from sweeps.tracking import sync
    from sweeps.tracking.sync_words import Progress, words

    with Progress(quiet=False) as progress:
        sent = sync.send(arguments.path, arguments.project, mode=None, progress=progress.show)
    print(words(sent, arguments.path))
    return 0 if sent.missing == 0 else 1
