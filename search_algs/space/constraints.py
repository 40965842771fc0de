"""Constraints between parameters, written as text: `"batch_size * accumulate <= 1024"`.

The text is parsed with `ast` and turned into closures, node by node, from a whitelist; nothing is ever
evaluated by Python itself. Allowed are parameters' dotted names, numbers, strings, True, False, None, lists,
+ - * / // % **, comparisons (chained, `in`, `not in`), and, or, not, and the functions below.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from search_algs.space.nearest import nearest

Values = Mapping[str, Any]
Term = Callable[[Values], Any]

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "sqrt": math.sqrt,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip


def _power(a: Any, b: Any) -> Any:
    # In floats, so that 9 ** 9 ** 9 overflows at once instead of filling the memory.
    return math.pow(a, b)


_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: _power,
}  # fmt: skip


class Constraint:
    """One constraint.

    Attributes:
        text: as written.
        names: the dotted names in it.
    """

    def __init__(self, text: str) -> None:
        """Parse it; ValueError says what is not understood."""
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is no text; write a constraint as a string such as 'a * b <= 1024'")
        self.text = text.strip()
        self.names: set[str] = set()
        try:
            tree = ast.parse(self.text, mode="eval")
            self._term = self._read(tree.body)
        except SyntaxError as error:
            raise ValueError(f"{self.text!r} cannot be read at column {error.offset}: {error.msg}") from error
        except (RecursionError, MemoryError) as error:
            raise ValueError(f"{self.text[:40]!r}... is too deeply nested") from error
        if not isinstance(tree.body, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Name | ast.Attribute):
            raise ValueError(
                f"{self.text!r} is neither true nor false; "
                f"compare it with something, e.g. '{self.text} <= 1024'"
            )
        if not self.names:
            raise ValueError(f"{self.text!r} names no parameter, so that it would always or never hold")

    def holds(self, values: Values) -> bool:
        """Whether it holds at `{name: value}`; true where one of its names is absent (inactive).

        Arithmetic that has no result (a division by zero, the logarithm of a negative number) counts as
        broken. ValueError where values of different kinds are compared.
        """
        for name in self.names:
            if name not in values:
                return True
        try:
            return bool(self._term(values))
        except (ArithmeticError, ValueError):
            return False
        except TypeError as error:
            given = {name: values[name] for name in sorted(self.names)}
            raise ValueError(
                f"the constraint {self.text!r} cannot be computed at {given}: {error}"
            ) from error

    def __repr__(self) -> str:
        return f"Constraint({self.text!r})"

    def __reduce__(self) -> tuple[type[Constraint], tuple[str]]:
        return type(self), (self.text,)

    def _read(self, node: ast.expr) -> Term:
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float | str | bool | None):
                return lambda values: value
            case ast.Name() | ast.Attribute():
                name = _dotted(node)
                self.names.add(name)
                return lambda values: values[name]
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                terms = [self._read(one) for one in elements]
                return lambda values: [term(values) for term in terms]
            case ast.BoolOp(op=kind, values=parts):
                terms = [self._read(one) for one in parts]
                together = all if isinstance(kind, ast.And) else any
                return lambda values: together(term(values) for term in terms)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self._read(operand)
                return lambda values: not inner(values)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                inner = self._read(operand)
                return (lambda values: -inner(values)) if isinstance(sign, ast.USub) else inner
            case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in _ARITHMETIC:
                return _arithmetic(_ARITHMETIC[type(symbol)], self._read(left), self._read(right))
            case ast.Compare(left=first, ops=symbols, comparators=rest) if all(
                type(s) in _COMPARE for s in symbols
            ):
                return _chain(
                    [self._read(one) for one in (first, *rest)], [_COMPARE[type(s)] for s in symbols]
                )
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                if name not in FUNCTIONS:
                    raise ValueError(
                        f"{self.text!r} calls the unknown function {name!r}{nearest(name, FUNCTIONS)}"
                    )
                function, terms = FUNCTIONS[name], [self._read(one) for one in arguments]
                return lambda values: function(*(term(values) for term in terms))
        raise ValueError(
            f"{self.text!r} contains {ast.unparse(node)!r} ({type(node).__name__}), "
            "which is not allowed; allowed are names, "
            f"numbers, strings, lists, + - * / // % **, comparisons, in, and, or, not, {', '.join(FUNCTIONS)}"
        )


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value)}.{name}"
    raise ValueError(f"{ast.unparse(node)!r} is no parameter's name")


def _arithmetic(operation: Callable[[Any, Any], Any], left: Term, right: Term) -> Term:
    def result(values: Values) -> Any:
        a, b = left(values), right(values)
        if not (isinstance(a, int | float) and isinstance(b, int | float)):
            raise TypeError(f"{a!r} and {b!r} are not both numbers")
        return operation(a, b)

    return result


def _chain(terms: list[Term], compare: list[Callable[[Any, Any], bool]]) -> Term:
    def result(values: Values) -> bool:
        left = terms[0](values)
        for test, term in zip(compare, terms[1:], strict=True):
            right = term(values)
            if not test(left, right):
                return False
            left = right
        return True

    return result
