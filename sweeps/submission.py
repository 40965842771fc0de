"""`starling cluster submit`: a recipe and the options of `starling run`, as what `cluster.submit` sends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster import working_tree
from cluster.cluster_file import Cluster
from cluster.submit import Job, submit
from sweeps.results import Results
from sweeps.spec import Sweep


def send(
    yaml: str,
    recipe: str,
    words: Sequence[str],
    sweep: Sweep,
    *,
    estimate: bool = True,
    results: str | None = None,
    seconds_per_report: float = 60.0,
    yes: bool = False,
    progress: Callable[[str], None] = lambda words: None,
) -> None:
    """Plan the sweep on the cluster, show that, ask, and send it.

    Args:
        yaml: the cluster's file.
        recipe: a file that `starling run` takes.
        words: the options of `starling run` as they were typed.
        sweep: what recipe and words define.
        estimate: plan it first.
        results, seconds_per_report: of the plan, as for `starling cluster plan`.
        yes: do not ask.
        progress: told how far the plan is.

    Raises:
        ValueError, FileNotFoundError: sweep, tree or YAML do not do, or the user says no.
        LauncherError: the cluster did not start, or did not take the job.
    """

    def cost(cluster: Cluster) -> str:
        from sweeps.planning import plan as planning

        if not estimate:
            return "not planned, as --no-estimate says"
        if cluster.provider == "local":
            return f"{cluster.name} are machines of your own: no rent"
        found = planning.plan(
            sweep,
            cluster,
            seeds=3,
            results=Results(results) if results else None,
            seconds_per_report=seconds_per_report,
            progress=progress,
        )
        return planning.text(found, sweep, cluster)

    submit(yaml, job(recipe, words, sweep), cost=cost, yes=yes)


def job(recipe: str, words: Sequence[str], sweep: Sweep) -> Job:
    """The sweep as it runs on the head: from the same place of the same tree, with the same words.

    Raises:
        FileNotFoundError: there is no such recipe.
        ValueError: it names a cluster of its own, its tree cannot be sent, or we are not in it.
    """
    if sweep.address is not None:
        raise ValueError(f"address: is {sweep.address!r}; a submitted sweep runs where it is sent to")
    tree = working_tree.around(recipe)
    here = Path.cwd()
    if not here.is_relative_to(tree.root):
        raise ValueError(f"paths start where a sweep is typed: go into {tree.root}, which is sent, first")
    name = sweep.name or f"{Path(recipe).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    file = os.path.relpath(Path(recipe).absolute(), here)
    return Job(
        name=name,
        tree=tree,
        folder=os.fspath(here.relative_to(tree.root)),
        run=["run", file, *words, "--name", name, "--address", "auto"],
        storage=sweep.storage,
    )
