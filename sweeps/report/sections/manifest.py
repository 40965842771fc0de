"""What is needed to repeat the sweep: its file, versions, commit, hosts, command and seed."""

from __future__ import annotations

import re
from typing import Any

from sweeps.report.markup import Html, folded, join, pairs, tag
from sweeps.report.material import Material
from sweeps.report.sections import Section

DIFF_LETTERS = 60_000
_SECRET = re.compile(r"(?im)^(\s*[\w.-]*(?:api_?key|token|secret|passw|cred)[\w.-]*\s*:\s*)\S.*$")


def section(material: Material) -> Section:
    """The manifest and the sweep's own file."""
    manifest = material.results.manifest
    rest = manifest.rest
    git: dict[str, Any] = rest.get("git") or {}
    facts = [
        ("folder", tag("code", material.results.path)),
        ("created", rest.get("created")),
        ("seed", manifest.seed),
        ("command", tag("code", " ".join(map(str, rest.get("command", ()))))),
        ("hosts", ", ".join(map(str, rest.get("hosts", ())))),
        ("each trial", _listed(rest.get("resources"))),
        ("git", f"{git.get('commit', '')[:12]} on {git.get('branch')}" if git else "not in a repository"),
        ("platform", rest.get("platform")),
        ("Python", rest.get("python")),
        ("versions", _listed(rest.get("versions"))),
    ]
    parts: list[Html] = [pairs((name, value) for name, value in facts if value not in (None, ""))]
    if spec := material.results.folder.read("spec.yaml"):
        text = _SECRET.sub(r"\1***", spec.decode(errors="replace"))
        parts.append(folded("The sweep's file, spec.yaml", tag("pre", text)))
    if diff := git.get("diff"):
        cut = len(diff) > DIFF_LETTERS or git.get("diff_cut")
        title = "What was not committed, the beginning" if cut else "What was not committed"
        parts.append(folded(title, tag("pre", str(diff)[:DIFF_LETTERS])))
    if variables := rest.get("environment"):
        rows = ((name, tag("code", value)) for name, value in variables.items())
        parts.append(folded("Environment", pairs(rows)))
    return Section(title="Manifest", says="What is needed to repeat the sweep.", body=join(parts))


def _listed(facts: dict[str, Any] | None) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in (facts or {}).items())
