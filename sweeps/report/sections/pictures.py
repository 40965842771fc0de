"""What the best trials of a generative trainable draw: the PNGs in their checkpoints."""

from __future__ import annotations

import base64
import math

from sweeps.report.markup import Html, image, join, tag
from sweeps.report.material import Material
from sweeps.report.sections import Section
from sweeps.store.storage import open_folder

TRIALS = 4
BYTES = 4 << 20
"""Of all pictures together, at most."""


def section(material: Material) -> Section | None:
    """Pictures of the best trials whose checkpoints are still there; None where there are none."""
    shown: list[Html] = []
    room, trials = BYTES, 0
    for trial in material.results.top(3 * TRIALS):
        if trials == TRIALS or trial.checkpoint is None:
            continue
        folder = open_folder(trial.checkpoint)
        found: list[Html] = []
        for name in (name for name in folder.names() if name.endswith(".png")):
            content = folder.read(name)
            if content is None or len(content) > room:
                continue
            room -= len(content)
            value = trial.value if trial.value is not None else math.nan
            words = f"{name.removesuffix('.png')} of {trial.id}, {material.metric} {value:.4g}"
            source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
            found.append(tag("figure", image(source, words), tag("figcaption", words)))
        trials += bool(found)
        shown += found
    if not shown:
        return None
    says = f"From the newest checkpoints of the best trials that have pictures: {trials}."
    return Section(title="Pictures", says=says, body=tag("div", join(shown), class_="pictures"))
