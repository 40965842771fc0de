"""What a sweep will do, before it does: the plan that `starling check` prints."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweeps.checks.preflight import preflight

if TYPE_CHECKING:
    from sweeps.spec import Sweep


def describe(sweep: Sweep) -> dict[str, Any]:
    """The whole plan as plain values, for people (`text`) and for `--json`.

    `parameters` lists every searched parameter with its domain; `obstacles` what keeps the sweep from running
    on this machine, `warnings` what its file says without effect.
    """
    program, space = sweep.program(), sweep.search_space()
    search, given_search = sweep.search_choice
    scheduler, given_scheduler = sweep.scheduler_choice
    return {
        "name": sweep.name,
        "trainable": program.name if program is not None else None,
        "metric": sweep.metric,
        "mode": sweep.mode,
        "target": sweep.target,
        "parameters": space.describe(),
        "configurations": space.size,
        "constants": {name: value for name, value in space.constants.items()},
        "constraints": list(sweep.constraints),
        "search": {
            "name": search,
            "parameters": _search_parameters(sweep, search) | given_search,
            **_search_docs(sweep, search),
        },
        "scheduler": {
            "name": scheduler,
            "parameters": _scheduler_parameters(sweep, scheduler) | given_scheduler,
        },
        "trials": sweep.trials,
        "max_iterations": sweep.max_iterations,
        "time_budget_s": sweep.time_budget_s,
        "max_failures": sweep.max_failures,
        "retries": sweep.retries,
        "resources": {
            "ranks": sweep.ranks,
            "cpus_per_rank": sweep.cpus_per_rank,
            "gpus_per_rank": sweep.gpus_per_rank,
            "cpus_per_trial": sweep.ranks * sweep.cpus_per_rank,
            "gpus_per_trial": sweep.ranks * sweep.gpus_per_rank,
            "max_concurrent": sweep.max_concurrent,
            "address": sweep.address,
        },
        "storage": sweep.storage,
        "seed": sweep.seed,
        "wandb": sweep.wandb,
        "warnings": list(sweep.warnings),
        "obstacles": preflight(sweep),
    }


def _search_parameters(sweep: Sweep, name: str) -> dict[str, Any]:
    import search_algs

    if not isinstance(sweep.search, str | Mapping):
        return {}
    return {key: parameter.default for key, parameter in search_algs.parameters(name).items()}


def _search_docs(sweep: Sweep, name: str) -> dict[str, Any]:
    """What the algorithm is, with its source, and what each of its parameters means."""
    import search_algs

    if not isinstance(sweep.search, str | Mapping):
        return {}
    module = sys.modules[search_algs.load(name).__module__]
    about = " ".join((module.__doc__ or "").strip().split("\n\n")[0].split())
    return {"about": about, "docs": {k: p.doc for k, p in search_algs.parameters(name).items()}}


def _scheduler_parameters(sweep: Sweep, name: str) -> dict[str, Any]:
    from sweeps import schedulers

    found = {key: default for key, (default, _) in schedulers.parameters(name).items()}
    if "max_t" in found and found["max_t"] is None:
        found["max_t"] = sweep.max_iterations
    return found


def text(plan: Mapping[str, Any]) -> str:
    """A plan for people, one thing a line."""
    resources = plan["resources"]
    each = f"{resources['cpus_per_rank']:g} CPU" + (
        f" and {resources['gpus_per_rank']:g} GPU" if resources["gpus_per_rank"] else ""
    )
    concurrent = resources["max_concurrent"]
    rows = [
        ("sweep", plan["name"] or "named after its trainable and the time"),
        ("trainable", plan["trainable"] or "not named yet"),
        ("improves", _objective(plan)),
        ("search", plan["search"]["name"]),
        ("scheduler", _call(plan["scheduler"])),
        ("trials", _trials(plan)),
        ("each trial", f"{resources['ranks']} rank{'s' * (resources['ranks'] > 1)} of {each}"),
        ("at a time", f"at most {concurrent}" if concurrent else "as many as fit"),
        ("where", resources["address"] or "this machine"),
        ("storage", plan["storage"]),
        ("seed", plan["seed"]),
        ("wandb", plan["wandb"]),
    ]
    lines = [f"{key:<10} {value}" for key, value in rows if value is not None]
    parameters = [
        (p["name"], p["domain"] + "".join(f"   when {c}" for c in p["when"])) for p in plan["parameters"]
    ]
    parameters += [(name, f"{value!r}, fixed") for name, value in plan["constants"].items()]
    width = max((len(name) for name, _ in parameters), default=0)
    lines += ["", "parameters"] + [f"  {name:<{width}}  {domain}" for name, domain in parameters]
    lines += _explained(plan["search"])
    if plan["constraints"]:
        lines += ["", "constraints"] + [f"  {one}" for one in plan["constraints"]]
    for key, title in (("warnings", "note"), ("obstacles", "cannot run here")):
        if plan[key]:
            lines += ["", title] + [f"  {one}" for one in plan[key]]
    return "\n".join(lines)


def _objective(plan: Mapping[str, Any]) -> str:
    metric, mode = plan["metric"], plan["mode"]
    if metric is None:
        return "nothing yet: name a metric"
    pairs = [(metric, mode)] if isinstance(metric, str) else list(zip(metric, mode, strict=True))
    words = ", ".join(f"{name} ({way})" for name, way in pairs)
    return words + (f", until {plan['target']:g}" if plan["target"] is not None else "")


def _explained(search: Mapping[str, Any]) -> list[str]:
    """The search algorithm, its source, and every parameter with its value and meaning."""
    if "about" not in search:
        return []
    width = max((len(f"{key}={value}") for key, value in search["parameters"].items()), default=0)
    about = textwrap.wrap(search["about"], 108, initial_indent="  ", subsequent_indent="  ")
    lines = ["", f"search {search['name']}", *about]
    for key, value in search["parameters"].items():
        doc = textwrap.wrap(search["docs"].get(key, ""), max(40, 104 - width)) or [""]
        lines.append(f"  {f'{key}={value}':<{width}}  {doc[0]}".rstrip())
        lines += [" " * (width + 4) + more for more in doc[1:]]
    return lines


def _call(part: Mapping[str, Any]) -> str:
    return part["name"] + "".join(f"  {key}={value}" for key, value in part["parameters"].items())


def _trials(plan: Mapping[str, Any]) -> str:
    words = f"{plan['trials']}"
    if plan["configurations"] is not None:
        words += f" of {plan['configurations']} configurations"
    if plan["max_iterations"] is not None:
        words += f", up to {plan['max_iterations']} reports each"
    if plan["time_budget_s"] is not None:
        words += f", within {plan['time_budget_s']:g} s"
    return words
