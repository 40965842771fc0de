"""`starling lr-range FILE`."""

import argparse

from sweeps import sweep_options

ABOUT = "try learning rates on one trial, the rest in the middle of its ranges, and propose a range"


def options(parser: argparse.ArgumentParser) -> None:
    """FILE, values, and the rates that are tried."""
    sweep_options.add_file(parser)
    sweep_options.add_values(parser)
    add = parser.add_argument
    add("--from", dest="low", type=float, default=1e-6, metavar="LR", help="smallest (default 1e-6)")
    add("--to", dest="high", type=float, default=10.0, metavar="LR", help="largest (default 10)")
    add("--steps", type=int, default=100, metavar="N", help="optimiser steps (default 100)")
    add("--gpus-per-rank", type=float, metavar="G", help="1: on a GPU")
    add("--quiet", action="store_true", default=None, help="no progress")
    add("--plot", metavar="FILE", help="the curve with its regions, FILE.html or FILE.svg")
    add("--json", action="store_true", help="the curve as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; 1 where no rate made the loss fall."""
    from sweeps import lr_range
    from sweeps.diagnosis import lr_picture

    sweep = sweep_options.read(arguments)
    if arguments.plot is not None:
        lr_picture.checked(arguments.plot)  # before the measuring
    found = lr_range.measure(sweep, low=arguments.low, high=arguments.high, steps=arguments.steps)
    if arguments.plot is not None:
        lr_picture.write(found, arguments.plot, f"Learning rates of {sweep.trainable}")
    print(lr_range.to_json(found) if arguments.json else lr_range.text(found))
    return 0 if found.proposed else 1
