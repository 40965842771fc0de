"""What `starling certify` found of the best configurations on fresh seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sweeps.report.markup import Html, pairs, table
from sweeps.report.material import Material
from sweeps.report.sections import Section


def section(material: Material) -> Section | None:
    """The sweep's certificate.json; None where it has none."""
    content = material.results.folder.read("certificate.json")
    return None if content is None else shown(json.loads(content))


def shown(certificate: Mapping[str, Any]) -> Section:
    """The section for a certificate: its plain facts as pairs, lists of dicts as tables."""
    facts: list[tuple[Any, Any]] = []
    tables: list[Html] = []
    for name, value in certificate.items():
        title = name.replace("_", " ")
        if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            columns = list(dict.fromkeys(key for one in value for key in one))
            rows = [[_text(one.get(key)) for key in columns] for one in value]
            tables.append(table([key.replace("_", " ") for key in columns], rows))
        else:
            facts.append((title, _text(value)))
    says = "The best configurations, run again on fresh seeds."
    return Section(title="Certificate", says=says, body=Html(pairs(facts) + "".join(tables)))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)
