"""Parameters that exist only while another one has certain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ray.tune.search import sample as ray_sample


class Conditional(ray_sample.Domain):
    """What `when` gives: a domain, constant or nested dict and the condition under which it is there.

    It is a Ray `Domain` only so that Ray recognises it as something to be searched; Ray's own searcher
    cannot.

    Attributes:
        parent: dotted name of the parameter it depends on.
        values: the values of the parent at which it is there.
        domain: what is there then.
    """

    def __init__(self, parent: str, values: Sequence[Any], domain: Any) -> None:
        self.parent, self.values, self.domain = parent, tuple(values), domain

    def sample(self, config: Any = None, size: int = 1, random_state: Any = None) -> NoReturn:
        """ValueError: Ray's own random search knows no conditions."""
        raise ValueError(
            f"when({self.parent!r}, ...) needs a search algorithm that knows conditions; "
            "pass search_alg=search_algs.load('random')() to tune.TuneConfig"
        )

    @property
    def domain_str(self) -> str:
        """One line for people."""
        return f"{getattr(self.domain, 'domain_str', self.domain)} when {self.parent} in {list(self.values)}"

    def __repr__(self) -> str:
        return f"when({self.parent!r}, {list(self.values)!r}, {self.domain!r})"


def when(parent: str, values: Any, domain: Any) -> Conditional:
    """A parameter that is in the configuration only while another has one of the given values.

    Args:
        parent: the other's dotted name (`"optimizer.name"`); it may be conditional itself.
        values: one value, or a list, tuple, set or range of them. For a value that is a list itself: a list
            of lists.
        domain: a domain, a constant, a nested dict of these, or another `when`.
    """
    several = isinstance(values, list | tuple | set | frozenset | range)
    return Conditional(parent, tuple(values) if several else (values,), domain)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a dimension: `parent` (a dimension's name) must be active and have one of `values`."""

    parent: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        texts = [repr(one) for one in self.values]
        return f"{self.parent} = {texts[0]}" if len(texts) == 1 else f"{self.parent} in [{', '.join(texts)}]"


def remove_conditionals(config: dict[str, Any]) -> None:
    """Take every `when` out of Ray's own copy of the param_space, in place.

    Ray merges a suggestion into that copy, so that an inactive parameter would reach the trainable as a
    `Conditional` object.
    """
    for name, value in list(config.items()):
        if isinstance(value, Conditional):
            del config[name]
        elif isinstance(value, dict):
            remove_conditionals(value)
