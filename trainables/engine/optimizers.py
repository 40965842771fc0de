"""Update rules by name, and how changed hyperparameters reach them while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

import torch

from trainables.engine import parts
from trainables.engine.parts import Parts
from trainables.engine.settings import Training


class Langevin(torch.optim.Optimizer):
    """Stochastic gradient Langevin dynamics.

    theta <- theta - lr * grad + N(0, 2 * lr * T / N): Welling & Teh (2011), eq. 4 with epsilon/2 = lr / N,
    written for a loss that is a mean over N samples. At T = 1 and small lr it samples exp(-N * loss), the
    posterior; weight decay adds the Gaussian prior exp(-N * weight_decay * |theta|^2 / 2).

    The noise of a step depends on (`seed`, `position`) alone, which the loop sets before each step: equal on
    every rank, and the same again after a resume.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        samples: int,
        temperature: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        given = {"lr": lr, "temperature": temperature, "weight_decay": weight_decay, "beta2": 0.99}
        super().__init__(params, given)
        self.samples = samples
        self.noise_seed = 0
        self._generators: dict[torch.device, torch.Generator] = {}

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("Langevin takes no closure; call backward() and then step().")
        for generator in self._generators.values():
            generator.manual_seed(self.noise_seed)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            grads: list[torch.Tensor] = [p.grad for p in params]
            self._move(group, params, grads)
        return None

    def _move(self, group: dict[str, Any], params: list[torch.Tensor], grads: list[torch.Tensor]) -> None:
        lr, decay = group["lr"], group["weight_decay"]
        if decay:
            torch._foreach_mul_(params, 1.0 - lr * decay)
        torch._foreach_add_(params, grads, alpha=-lr)
        std = (2.0 * lr * group["temperature"] / self.samples) ** 0.5
        if std:
            torch._foreach_add_(params, [self._noise(p) for p in params], alpha=std)

    def _noise(self, like: torch.Tensor) -> torch.Tensor:
        if like.device not in self._generators:
            generator = torch.Generator(like.device)
            generator.manual_seed(self.noise_seed)
            self._generators[like.device] = generator
        # Drawn in the order of the shape, so that memory layout has no say.
        return torch.randn(
            like.shape, generator=self._generators[like.device], device=like.device, dtype=like.dtype
        )


class Psgld(Langevin):
    """Preconditioned SGLD: RMSprop's scale for step and noise (Li et al. 2016, arXiv:1512.07666, alg. 1).

    V <- beta2 V + (1 - beta2) g^2,  G = 1 / (eps + sqrt V),
    theta <- theta - lr G (g + wd theta) + N(0, 2 lr T G / N), without the term Gamma, as the authors do.
    """

    EPS = 1e-5  # lambda in the paper

    def _move(self, group: dict[str, Any], params: list[torch.Tensor], grads: list[torch.Tensor]) -> None:
        lr, beta2 = group["lr"], group["beta2"]
        variance = 2.0 * lr * group["temperature"] / self.samples
        for p, g in zip(params, grads, strict=True):
            state = self.state[p]
            if "square" not in state:
                state["square"] = torch.zeros_like(p)
            state["square"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
            scale = 1 / (self.EPS + state["square"].sqrt())
            p.sub_(lr * scale * (g + group["weight_decay"] * p))
            if variance:
                p.add_((variance * scale).sqrt() * self._noise(p))


def make(config: Training, model: torch.nn.Module, samples: int) -> torch.optim.Optimizer:
    """The optimiser that `config` names, for a loss that is a mean over `samples` training samples.

    Raises:
        ValueError: more parts of `weight_decay` than layers.
    """
    layers = trained(model)
    params = [p for layer in layers for p in layer]
    if isinstance(config.weight_decay, Mapping) and len(config.weight_decay) > 1:
        decays = parts.spread(config.weight_decay, len(layers)).tolist()
        groups: Any = [{"params": layer, "weight_decay": w} for layer, w in zip(layers, decays, strict=True)]
    else:
        groups = [{"params": params, "weight_decay": parts.values(config.weight_decay)[0]}]
    lr = parts.at(config.lr, 0.0)
    fast: dict[str, Any] = {"fused": True} if params and params[0].is_cuda else {"foreach": True}
    match config.optimizer:
        case "sgd" | "momentum" | "nesterov":
            kept = parts.at(momentum(config), 0.0)
            nesterov = config.optimizer == "nesterov"
            return torch.optim.SGD(groups, lr=lr, momentum=kept, nesterov=nesterov, **fast)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=lr, foreach=True)
        case "adam":
            return torch.optim.Adam(groups, lr=lr, **fast)
        case "adamw":
            return torch.optim.AdamW(groups, lr=lr, **fast)
        case "langevin":
            return Langevin(groups, lr, samples)
        case "psgld":
            return Psgld(groups, lr, samples)
        case "schedule_free" | "prodigy":
            from pytorch_optimizer.optimizer import prodigy, schedulefree

            kinds = {"schedule_free": schedulefree.ScheduleFreeAdamW, "prodigy": prodigy.Prodigy}
            return kinds[config.optimizer](groups, lr=lr)
    raise AssertionError(config.optimizer)


def trained(model: torch.nn.Module) -> list[list[torch.nn.Parameter]]:
    """Parameters that are trained, a list for each layer (module that has some of its own), in its order."""
    seen: set[int] = set()
    layers = []
    for module in model.modules():
        own = [p for p in module.parameters(recurse=False) if p.requires_grad and id(p) not in seen]
        seen |= {id(p) for p in own}
        layers += [own] if own else []
    return layers


def apply(config: Training, optimizer: torch.optim.Optimizer) -> None:
    """Set what the declarations call mutable and what is not steered at every step."""
    groups = optimizer.param_groups
    for group, decay in zip(groups, parts.spread(config.weight_decay, len(groups)).tolist(), strict=True):
        group["weight_decay"] = decay


def steer(config: Training, optimizer: torch.optim.Optimizer, done: float, factor: float) -> None:
    """Set what may change along the run.

    Args:
        done: share of the run that is over, from 0 to 1.
        factor: of the schedule, on the learning rate.
    """
    now: dict[str, Any] = {"lr": factor * parts.at(config.lr, done)}
    beta1, beta2 = parts.at(config.beta1, done), parts.at(config.beta2, done)
    match optimizer:
        case torch.optim.SGD():
            now["momentum"] = parts.at(momentum(config), done)
        case torch.optim.RMSprop():
            now |= {"momentum": parts.at(momentum(config), done), "alpha": beta2}
        case Langevin():
            now |= {"temperature": parts.at(config.temperature, done), "beta2": beta2}
        case _:
            now["betas"] = beta1, beta2
    for group in optimizer.param_groups:
        group.update(now)


def momentum(config: Training) -> Parts:
    """The momentum in force: 0.9 for momentum and nesterov and 0 for others unless the config sets it."""
    if config.momentum is not None:
        return config.momentum
    return 0.9 if config.optimizer in ("momentum", "nesterov") else 0.0


def evaluating(optimizer: torch.optim.Optimizer, yes: bool) -> None:
    """Put the weights that are judged into the model, or those that are trained; most rules have one set."""
    switch = getattr(optimizer, "eval" if yes else "train", None)
    if switch is not None:
        switch()
