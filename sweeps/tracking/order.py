"""What a sink is told, and the words that both sides know; W&B's client is not imported here."""

from dataclasses import dataclass
from typing import Any

TRY_OFFLINE = 75
"""Exit code of a sink: W&B fails, and its client there is stuck; a new process is to go on offline."""

FINISHED = ("finished", "target")
"""Ends of a sweep after which it is not to go on."""

CLOSING_S = 60.0
"""How long a sink may take at the end of a sweep that has finished, while W&B gets on."""

LOG = "wandb/sink.log"
"""Where the sink and W&B's client say what went wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a sink is to do."""

    name: str
    """Of the sweep: its runs' group."""

    project: str
    """`project` or `entity/project`."""

    config: dict[str, Any]
    """What W&B is to know of the sweep (`sweeps.tracking.sweep_config`)."""

    local: str
    """The sweep's folder on this machine: W&B's files come into its `wandb/`."""

    journal: str
    """The directory of the journal's segments on this machine."""

    pictures: str | None
    """The sweep's folder as a path or URI, where pictures lie in checkpoints; None: none are sent."""

    mode: str | None = None
    """online, offline or disabled; None: as W&B is set up here."""

    once: bool = False
    """Send what there is, for as long as it takes, and end; nothing is to be followed."""

    parent: int
    """The process that has started it."""
