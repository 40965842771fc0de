"""`starling report PATH`."""

import argparse

ABOUT = "one HTML file that shows a sweep: best configuration, figures, failures, manifest"


def options(parser: argparse.ArgumentParser) -> None:
    """PATH, and where to."""
    parser.add_argument("path", metavar="PATH", help="the sweep's folder")
    parser.add_argument("--out", metavar="FILE", help="the file (default: report.html in the sweep's folder)")
    parser.add_argument("--png", action="store_true", help="also as a picture; needs Chromium or Chrome")


def run(arguments: argparse.Namespace) -> int:
    """Write it and say where it is."""
    from sweeps import report

    for file in report.write(arguments.path, arguments.out, png=arguments.png):
        print(file)
    return 0
