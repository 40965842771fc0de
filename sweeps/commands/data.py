"""`starling data NAME --from ARCHIVE`."""

import argparse
from pathlib import Path

ABOUT = "convert a data set's official archive to the Parquet files that recipes read"


def options(parser: argparse.ArgumentParser) -> None:
    """The data set, its archive, and where the files go."""
    add = parser.add_argument
    add("name", choices=["cifar10"])
    add("--from", dest="archive", required=True, metavar="FILE", help="cifar-10-python.tar.gz")
    add("--out", default="data/cifar10", metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
    """Convert, and print the folder."""
    from trainables.engine.cifar10 import convert_cifar10

    if not Path(arguments.archive).is_file():
        raise ValueError(
            f"--from: there is no file {arguments.archive!r}; give the official cifar-10-python.tar.gz"
        )
    print(convert_cifar10(arguments.archive, arguments.out))
    return 0
