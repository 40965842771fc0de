"""Shapes of YAML mappings, checked by pydantic and explained in our words: the key, what it is and may be."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sweeps.spelling import allowed, nearest

S = TypeVar("S", bound="Shape")

_WORDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


class Shape(BaseModel):
    """A mapping with known keys only, whose values are taken as they are: no text becomes a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def read(shape: type[S], value: Any, where: str, problems: list[str]) -> S | None:
    """`value` in that shape, or None with the reasons appended to `problems`.

    Args:
        where: The key that `value` stands under, for the messages; "" for the top of a file.
    """
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        found: dict[str, str] = {}
        for one in error.errors(include_url=False):
            # Pydantic names the branch of a union beside the keys; only unions of plain types occur here.
            location = [str(part) for part in one["loc"] if part not in ("int", "float", "str", "bool")]
            key = ".".join([where, *location] if where else location) or "the file"
            # Of several branches the last stays, which is the widest.
            found[key] = _sentence(key, location, dict(one), shape)
        problems += found.values()
        return None


def _sentence(key: str, location: list[str], error: dict[str, Any], shape: type[Shape]) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys(shape, location[:-1])
        return f"{key}: there is no such key; {allowed(location[-1], known)}"
    if kind == "missing":
        return f"{key}: is missing."
    if kind == "literal_error":
        known = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        near = nearest(given, known) if isinstance(given, str) else None
        hint = f" Did you mean {near!r}?" if near else ""
        return f"{key}: is {given!r}; it must be {context['expected']}.{hint}"
    if kind == "value_error":
        return f"{key}: {context['error']}"
    wanted = _WORDS.get(kind) or _bound(kind, context) or error["msg"].lower()
    return f"{key}: is {given!r}; it must be {wanted}."


def _bound(kind: str, context: Mapping[str, Any]) -> str | None:
    if kind == "greater_than":
        return f"above {context['gt']:g}"
    if kind == "greater_than_equal":
        return f"{context['ge']:g} or more"
    if kind == "too_short":
        return f"a list of at least {context['min_length']}"
    return None


def _keys(shape: type[Shape], path: list[str]) -> list[str]:
    """The known keys of the shape that `path` leads to."""
    for part in path:
        if part.isdigit():  # a place in a list of shapes
            continue
        shape = _shape_in(shape.model_fields[part].annotation) or shape
    return list(shape.model_fields)


def _shape_in(annotation: Any) -> type[Shape] | None:
    """The shape in an annotation such as `list[Shape] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Shape):
        return annotation
    return next(filter(None, map(_shape_in, getattr(annotation, "__args__", ()))), None)
