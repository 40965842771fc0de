"""Our space as the configuration of a W&B sweep: what its page draws by.

W&B's page needs each parameter's name and range; the search is ours (`method: custom`). So conditions and
unions are flattened: a conditional parameter is listed like any other, and a run in which it is inactive has
no value for it. Read from the sweep's own file, so that neither the trainable nor Ray is needed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.files import options
from sweeps.store.storage import Folder


def sweep_config(
    name: str, space: Mapping[str, Any], metrics: Mapping[str, str], description: str
) -> dict[str, Any]:
    """The configuration for `wandb.sweep`.

    Args:
        name: shown on the page.
        space: in the notation of `sweeps.files.space_yaml`.
        metrics: metric -> "min" or "max".
        description: a line on the page.
    """
    goals = {"min": "minimize", "max": "maximize"}
    named = [{"name": metric, "goal": goals[mode]} for metric, mode in metrics.items()]
    objective = {"metric": named[0]} if len(named) == 1 else {"metrics": named}
    parameters = _parameters(space) or {"seed": {"value": 0}}  # W&B takes no sweep without one
    return {
        "method": "custom",
        "name": name,
        "description": description,
        **(objective if named else {}),
        "parameters": parameters,
    }


def of_folder(folder: Folder, name: str, metrics: Mapping[str, str]) -> dict[str, Any]:
    """The same for the sweep in a folder, from its `spec.yaml`.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    text = folder.read("spec.yaml")
    if text is None:
        raise ValueError(f"{folder.uri!r} holds no sweep: it has no spec.yaml.")
    spec = options.read_yaml(text.decode())
    space = spec.get("space")
    search, scheduler = (
        options.named(spec[key])[0] if isinstance(spec.get(key), str | Mapping) else default
        for key, default in (("search", "random"), ("scheduler", "fifo"))
    )
    about = f"Starling: {search} search, {scheduler} scheduler"
    # A space with an object that no file can hold is written as a text.
    return sweep_config(name, space if isinstance(space, Mapping) else {}, metrics, about)


def _parameters(space: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): _parameter(given) for name, given in space.items()}


def _parameter(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        return {"value": given}
    given = {key: value for key, value in given.items() if key != "when"}
    if set(given) == {"grid_search"}:
        return {"values": list(given["grid_search"])}
    if set(given) == {"options"}:
        return _union([_parameter(option) for option in given["options"]])
    if "parameters" in given and "distribution" not in given:
        return {"parameters": _parameters(given["parameters"])}
    return _distribution(given)


def _distribution(given: dict[str, Any]) -> dict[str, Any]:
    """A parameter of one's own, its distribution named: W&B's client guesses wrong at mixed bounds."""
    kind = given.get("distribution")
    if "value" in given or "values" in given:
        if "probabilities" in given:
            return {"distribution": "categorical_w_probabilities"} | given
        return given
    if kind in ("integers", "multiples"):
        q, log = given.get("q", 1), given.get("log", False)
        bounds = {"min": given["min"], "max": given["max"]}
        if log:
            return {"distribution": "q_log_uniform_values", **bounds, "q": q}
        if q == 1 and kind == "integers":
            return {"distribution": "int_uniform", **bounds}
        return {"distribution": "q_uniform", **bounds, "q": q}
    if kind is None:
        whole = all(isinstance(given.get(end), int) for end in ("min", "max"))
        return {"distribution": "int_uniform" if whole else "uniform"} | given
    return given


def _union(options: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Alternatives as one parameter: groups with all their members, values as one list."""
    groups = [option["parameters"] for option in options if "parameters" in option]
    if not groups:
        values = [value for option in options for value in _values(option)]
        return {"values": values or [None]}
    merged: dict[str, Any] = {}
    for group in groups:
        for name, parameter in group.items():
            merged[name] = _union([merged[name], parameter]) if name in merged else parameter
    return {"parameters": merged}


def _values(parameter: Mapping[str, Any]) -> list[Any]:
    """The values of an alternative; of a range its ends."""
    if "value" in parameter:
        return [parameter["value"]]
    if "values" in parameter:
        return list(parameter["values"])
    return [parameter[end] for end in ("min", "max") if end in parameter]
