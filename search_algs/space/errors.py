"""What is raised for a search space that cannot be searched."""

from __future__ import annotations

from collections.abc import Sequence


class SpaceError(ValueError):
    """Every mistake of one space at once.

    Attributes:
        problems: one sentence a mistake, each beginning with the parameter's name or the constraint's text.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        head = (
            "The search space has a mistake"
            if len(problems) == 1
            else f"The search space has {len(problems)} mistakes"
        )
        super().__init__(f"{head}: " + "".join(f"\n  - {one}" for one in problems))

    def __reduce__(self) -> tuple[type[SpaceError], tuple[list[str]]]:
        return type(self), (self.problems,)
