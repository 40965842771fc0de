"""The template of everything that can be trained: data, a model, a loss, and how to judge it.

    class Digits(Task):
        def setup(self):
            x, y = load_digits(return_X_y=True)
            x, y = x.astype("float32") / 16, y
            self.train, self.val = (x[:1500], y[:1500]), (x[1500:], y[1500:])

        def build(self):
            return torch.nn.Linear(64, 10)

        def loss(self, model, batch):
            x, y = batch
            return torch.nn.functional.cross_entropy(model(x), y)

A task reads as if it ran on one device; the engine spreads batches over ranks and averages gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from trainables.engine.settings import Training

if TYPE_CHECKING:
    import torch

    from trainables.engine.ddp import Ranks


class Engine(Protocol):
    """The five verbs. Every rank of a trial obeys each of them, in the same order."""

    def advance(self) -> dict[str, float]:
        """Train up to the next report; metrics of that stretch, equal on all ranks."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Metrics on held-out data, equal on all ranks, and `done` when the trial is complete."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit: tensors, numbers, strings, lists and dicts."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that the same or another number of ranks has saved."""
        ...

    def mutate(self, config: Mapping[str, Any]) -> None:
        """Take over changed values of mutable hyperparameters; weights and counters stay."""
        ...


class Task:
    """What one trial trains. Subclasses give `setup`, `build` and `loss`; `evaluate` where loss is not
    enough.

    `self.config` is an instance of `Config`: the loop's hyperparameters (`Training`) and those a subclass
    adds.
    """

    Config: ClassVar[type[Any]] = Training
    """Frozen dataclass of the hyperparameters, declared with `hyper`. It extends `Training`, unless the task
    brings an `engine` of its own."""
    metric: ClassVar[tuple[str, str]] = ("val_loss", "min")
    """What early stopping, and by default a sweep, looks at: name and "min" or "max"."""
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss")
    """What every report contains; one without them is an error. Declare it along with `evaluate`."""
    beside: ClassVar[tuple[str, ...]] = ("lr", "grad_norm", "images_per_s", "seconds", "epoch", "steps")
    """What the engine adds to every report."""
    differentiable: ClassVar[tuple[str, ...]] = ()
    """Hyperparameters by which `loss` can be differentiated, beside the optimiser's
    (`trainables.hypergrad`). Read as `self.config.NAME` they are numbers or parts, and on the way back
    tensors, of shape () or (parts,)."""
    find_unused_parameters: ClassVar[bool] = False
    """True where some parameters take no part in some losses (costs a walk through the graph each step)."""

    config: Any
    train: Any
    """Training split: a tuple of arrays whose first axis counts samples, or an object with `__len__` and
    `batch(indices, rng, device)`, or any `torch.utils.data.Dataset` with a length."""
    val: Any
    """Held-out split, like `train`."""

    asides: Mapping[str, Any]
    """What the search says beside the hyperparameters, names with a leading _; most tasks have no use for it.
    `_hypergrad_of` asks for the derivatives of that metric, and `_hypergrad_if_below` for them only where it
    is below that (`trainables.hypergrad.engine`); `_seed` takes the place of `seed`."""

    def __init__(self, config: Any) -> None:
        self.config, self.asides = config, {}

    def setup(self) -> None:
        """Set `self.train` and `self.val`. Runs on every rank."""
        raise NotImplementedError(
            f"{type(self).__name__} needs `setup(self)`, which sets self.train and self.val"
        )

    def build(self) -> torch.nn.Module:
        """A new model. The random seed is set; every rank gets the same weights."""
        raise NotImplementedError(
            f"{type(self).__name__} needs `build(self)`, which returns a torch.nn.Module"
        )

    def loss(
        self, model: torch.nn.Module, batch: Any
    ) -> torch.Tensor | tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Mean loss over `batch`, a scalar tensor; with a dict of further scalars to report, if wanted."""
        raise NotImplementedError(f"{type(self).__name__} needs `loss(self, model, batch)`, a scalar tensor")

    def evaluate(self, model: torch.nn.Module, ranks: Ranks) -> dict[str, float]:
        """Metrics on held-out data; `ranks.mean` spreads the work and weighs the batches."""

        return ranks.mean(self.val, lambda batch: {"val_loss": self.held_out(model, batch)})

    def held_out(self, model: torch.nn.Module, batch: Any) -> torch.Tensor:
        """Mean loss over a batch of held-out data, a scalar tensor: `val_loss`. By default `loss`."""
        result = self.loss(model, batch)
        return result[0] if isinstance(result, tuple) else result

    def test(self, model: torch.nn.Module, ranks: Ranks) -> dict[str, float]:
        """Metrics on data kept for the very end; only the report that completes a trial has them."""
        return {}

    def pictures(self, model: torch.nn.Module, ranks: Ranks) -> Mapping[str, torch.Tensor]:
        """Images to look at, by name: shape (n, 1 or 3, height, width), from 0 to 1.

        Each checkpoint keeps them as NAME.png. Called on every rank; rank 0's are kept.
        """
        return {}

    def mutate(self, model: torch.nn.Module) -> None:
        """Carry changed hyperparameters into the model. By default: `dropout` into every dropout layer."""
        from torch.nn.modules.dropout import _DropoutNd

        rate = getattr(self.config, "dropout", None)
        if rate is not None:
            for module in model.modules():
                if isinstance(module, _DropoutNd):
                    module.p = rate

    def engine(self, ranks: Ranks) -> Engine:
        """What trains this task: the gradient-descent loop, unless a subclass brings its own."""
        from trainables.engine.loop import Loop

        asked = self.asides.get("_hypergrad_of") == "val_loss"
        if not asked and not self.config.hypergrad:
            return Loop(self, ranks)
        from trainables.hypergrad.engine import Differentiated, obstacle

        loop = Differentiated(self, ranks)
        reason = obstacle(self.config, loop.model)
        if reason is None:
            return loop
        if self.config.hypergrad:
            raise ValueError(f"hypergrad is set, and there is {reason}")
        return Loop(self, ranks)  # a search asked for what this training cannot give

    @classmethod
    def reported(cls) -> tuple[str, ...]:
        """Metrics that every report has; () where a class has its own `evaluate` and declares none."""
        for base in cls.__mro__:
            if "metrics" in vars(base):
                return vars(base)["metrics"]
            if "evaluate" in vars(base):
                return ()
        return ()

    @classmethod
    def reports(cls, config: Any) -> int | None:
        """How many a full training makes: one for each epoch begun; None if they come every so many steps."""
        return None if config.report_every else math.ceil(config.epochs)

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """Obstacles beyond single values, such as a missing data directory; one sentence each."""
        return []
