"""The report's sections, a file each: `figure(material)`, where it has one, and `section(material)`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sweeps.report.markup import Html

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One section of the page."""

    title: str
    says: Html | str = ""
    """A sentence or two above: what is seen, and the rule by which it was chosen."""

    figure: go.Figure | None = field(default=None, repr=False)
    body: Html | str = ""
    """What stands below the figure."""
