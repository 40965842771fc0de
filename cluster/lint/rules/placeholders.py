"""Values that only the user knows, still to be filled in: they have REPLACE in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.lint.finding import Finding, Subject

KINDS = ("launcher", "kuberay", "slurm")


def check(subject: Subject) -> Iterator[Finding]:
    """One finding a line; comments are not looked at."""
    for number, line in enumerate(subject.text.splitlines(), 1):
        code = re.sub(r"(^|\s)#(?!SBATCH).*", "", line)
        if found := re.search(r"[\w./:@-]*REPLACE[\w./:@-]*", code):
            yield subject.found_in_line(
                "edit",
                number,
                f"{found[0]} is a placeholder",
                "it stands for something of your account",
                "fill it in; the comments beside it say how to find it",
            )
