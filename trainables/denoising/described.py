"""Networks that their checkpoints describe, so that they can be built anew from them alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.engine import checkpoint, hparams
from trainables.engine.task import Task


class Described(nn.Module):
    """A module whose saved state says what it is, and which refuses another's."""

    def __init__(self, description: Mapping[str, Any] | None) -> None:
        super().__init__()
        self.description = dict(description or {})

    def get_extra_state(self) -> Tensor:
        """The description as bytes of JSON: what PyTorch loads without trusting it."""
        return torch.frombuffer(bytearray(json.dumps(self.description).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Refuse weights that mean something else here.

        Raises:
            ValueError: naming what differs.
        """
        given = read(state)
        if given != self.description:
            both = {**given, **self.description}
            differ = [n for n in both if given.get(n) != self.description.get(n)]
            words = (f"{n} is {given.get(n)} there and {self.description.get(n)} here" for n in differ)
            raise ValueError(f"the checkpoint holds another network: {', '.join(words)}.")


def describe(trainable: str, config: Any) -> dict[str, Any]:
    """The name and the fixed hyperparameters of the groups `model` and `data`, but for paths."""
    values = dataclasses.asdict(config)
    fixed = {
        name: values[name]
        for name, known in hparams.declared(type(config)).items()
        if known.group in ("model", "data") and not known.mutable and not known.path
    }
    return {"trainable": trainable, **fixed}


def read(state: Tensor) -> dict[str, Any]:
    """The description that `get_extra_state` wrote."""
    found: dict[str, Any] = json.loads(bytes(state.tolist()))
    return found


def load(folder: str, tasks: Mapping[str, type[Task]]) -> tuple[Task, nn.Module]:
    """Task and network of a trial's checkpoint; the averaged weights where they are kept.

    Args:
        tasks: those that will do, by the name in a description.

    Raises:
        ValueError: if the folder holds no checkpoint, or one of another task.
    """
    state = checkpoint.unpack(checkpoint.read(folder))
    said = state["model"].get("_extra_state") if isinstance(state.get("model"), dict) else None
    description = {} if said is None else read(said)
    name = description.pop("trainable", None)
    if name not in tasks:
        what = f"of {name}" if name else "that does not say of what"
        raise ValueError(f"{folder} holds a checkpoint {what}; needed is one of {' or '.join(tasks)}.")
    return restored(tasks[name], description, state)


def restored(
    cls: type[Task], settings: Mapping[str, Any], state: Mapping[str, Any]
) -> tuple[Task, nn.Module]:
    """The task with these settings, and its network with the weights of a checkpoint, ready to be used."""
    task = cls(hparams.make(cls.Config, settings))
    model = task.build()
    model.load_state_dict(state["model"])
    if state["average"] is not None:
        with torch.no_grad():
            for p, mean in zip(model.parameters(), state["average"]["mean"], strict=True):
                p.copy_(mean)
    return task, model.eval()
