"""Who is shown the events of a run: the tables and the study, W&B, the console."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.console import Console
from sweeps.journal import Journal
from sweeps.loop.conductor import Output
from sweeps.loop.history import spread
from sweeps.spec import SpecError, Sweep
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import Folder
from sweeps.store.study import distribution
from sweeps.store.tables import Tables
from sweeps.tracking import sweep_config
from sweeps.tracking.tracker import Tracker


def opened(
    sweep: Sweep, folder: Folder, journal: Journal, console: Console, stack: contextlib.ExitStack
) -> Sequence[Output]:
    """Every output of a sweep, brought up to the journal's end; `stack` closes them."""

    def past() -> Iterator[Mapping[str, Any]]:
        return (one for event in journal.events() for one in (event, *spread(event)))

    space = sweep.search_space()
    shown = {d.name: kind for d in space.dimensions if (kind := distribution(d.domain)) is not None}
    manifest = write_manifest(folder, _manifest(sweep, folder))
    tables = Tables(folder, manifest, past(), flatten=space.flatten, distributions=shown)
    console.recall(past())
    outputs: list[Output] = [stack.enter_context(tables), console]
    if sweep.wandb is not None:
        config = sweep_config.of_folder(folder, folder.name, manifest.objectives)
        tracker = _tracker(sweep.wandb, folder, config, console)
        stack.callback(lambda: console.hint(tracker.next_command))
        stack.callback(tracker.close)
        outputs.append(tracker)
    return outputs


def _manifest(sweep: Sweep, folder: Folder) -> Manifest:
    several = len(sweep.metrics) > 1
    resources = {
        "ranks": sweep.ranks,
        "cpus_per_rank": sweep.cpus_per_rank,
        "gpus_per_rank": sweep.gpus_per_rank,
    }
    return Manifest(
        name=folder.name,
        metric=list(sweep.metrics) if several else sweep.metrics[0],
        mode=list(sweep.modes) if several else sweep.modes[0],
        parameters={d.name: d.domain.arrow_type for d in sweep.search_space().dimensions},
        trials=sweep.trials,
        seed=sweep.seed,
        rest={"resources": resources},
    )


def _tracker(project: str, folder: Folder, config: Mapping[str, Any], console: Console) -> Tracker:
    try:
        return Tracker(folder, project, config, warn=console.warn, tell=console.page)
    except ValueError as error:
        raise SpecError([f"wandb: {error}"]) from error
