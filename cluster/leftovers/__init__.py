"""What `ray down` leaves behind, found by the cluster's tags and names, each with a command that removes it.

One file a provider, with `find(cluster)`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from cluster.cluster_file import Cluster
from cluster.leftovers.leftover import Leftover

__all__ = ["Leftover", "audit", "text"]


def audit(cluster: Cluster) -> list[Leftover]:
    """All that is found; empty for a clean end, and for a provider that nobody searches."""
    if cluster.provider not in {module.name for module in pkgutil.iter_modules(__path__)}:
        return []
    return list(importlib.import_module(f"{__name__}.{cluster.provider}").find(cluster))


def text(found: Sequence[Leftover]) -> str:
    """For people: what costs money first."""
    if not found:
        return "nothing is left"
    lines = []
    for urgent, title in ((True, "still costs money, or holds a machine:"), (False, "left, at no cost:")):
        some = [one for one in found if one.urgent is urgent]
        if some:
            lines.append(title)
        for one in some:
            lines += [f"  {one.kind} {one.name}", f"      {one.remove}"]
    return "\n".join(lines)
