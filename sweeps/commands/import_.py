"""`starling import WANDB_YAML`: `run`, for a W&B sweep file."""

import argparse
from pathlib import Path

from sweeps.commands import run as run_command

ABOUT = "run a W&B sweep file unchanged, as `run` does; with --out, write it as a sweep file of ours instead"


def options(parser: argparse.ArgumentParser) -> None:
    """Those of `run`, and the file to write."""
    run_command.options(parser)
    parser.add_argument("--out", metavar="FILE", help="write our sweep file there, and start nothing")


def run(arguments: argparse.Namespace) -> int:
    """Run it, or write it down; a file that is not W&B's is refused."""
    _refuse_others(Path(arguments.file))
    if arguments.out is None:
        return run_command.run(arguments)
    return _convert(arguments)


def _refuse_others(path: Path) -> None:
    from sweeps.files import options, wandb_yaml

    if not path.is_file():
        raise ValueError(f"{path} does not exist; give a W&B sweep file (.yaml)")
    config = options.read_yaml(path.read_text()) if path.suffix != ".py" else None
    if not isinstance(config, dict) or not wandb_yaml.is_wandb(config):
        raise ValueError(f"{path} is no W&B sweep file; `starling run {path}` runs sweep files of ours")


def _convert(arguments: argparse.Namespace) -> int:
    import sys

    from sweeps import sweep_options
    from sweeps.files import sweep_file

    out = Path(arguments.out)
    if out.exists() and out.samefile(arguments.file):
        raise ValueError(f"--out {out} is the file to be read; give another")
    sweep = sweep_options.read(arguments)
    out.write_text(sweep_file.dump(sweep))
    for warning in sweep.warnings:
        print(f"note  {warning}", file=sys.stderr)
    print(f"{out}; run it: starling run {out}")
    return 0
