"""The command `starling`: finds what is in `sweeps/commands`, and runs one of it.

    starling run FILE          starling status PATH      starling report PATH
    starling check FILE        starling best PATH        starling cluster plan YAML --sweep FILE
    starling resume PATH       starling ls STORAGE       starling --help, for all

Exit codes: 0 finished; 1 finished but no trial succeeded, or stopped by failures; 2 bad input, nothing was
started; 130 Ctrl-C. Errors go to the standard error, a sentence each.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from sweeps import commands

if TYPE_CHECKING:
    from sweeps.spec import Sweep

FIRST = ("run", "check", "resume", "status", "best", "ls")
"""The commands that help shows first."""


def main(argv: Sequence[str] | None = None, *, sweep: "Sweep | None" = None) -> int:
    """Run one command; returns its exit code.

    Args:
        argv: the words after `starling`; None: the process's own.
        sweep: the sweep that FILE of `run` defines, when that file itself is running.
    """
    arguments = parser().parse_args(argv)
    arguments.sweep = sweep
    try:
        code = arguments.command(arguments)
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


class Parser(argparse.ArgumentParser):
    """Answers a mistake in one line, with the nearest option, and not with the whole usage."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; what nobody knows is named with what comes next to it."""
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            from sweeps.spelling import nearest

            word = unknown[0].partition("=")[0]
            parser: Parser = arguments.parser
            near = nearest(word, parser._option_string_actions) if word.startswith("-") else None
            parser.error(f"{word} is unknown" + (f"; did you mean {near}?" if near else ""))
        return arguments

    def error(self, message: str) -> NoReturn:
        """Print it and exit."""
        self.exit(2, f"{self.prog}: {message}\nsee `{self.prog} --help`\n")


def parser() -> Parser:
    """Of the words after `starling`; what it reads has the command's function as `command`."""
    whole = Parser(
        prog="starling",
        description="Large-scale hyperparameter sweeps of distributed PyTorch training.",
        allow_abbrev=False,
    )
    commands.add(whole, commands, FIRST)
    return whole
