"""A training run as a function of its hyperparameters, and its derivative: exact, through every step.

    g_t       = mean over ranks of d/d theta L_r(theta_t, lambda, t)
    theta_t+1 = U(theta_t, g_t, s_t, lambda)           s: the optimiser's state

Backwards (Maclaurin et al. 2015, but with recomputation instead of exact reversal): the adjoint of
(theta, s) is carried from the last step to the first. At each step it goes through U, which yields an
adjoint for g_t, and that through g_t by a second differentiation of the loss. States are kept at every
sqrt(T)-th step, and in between recomputed with their graphs (Chen et al. 2016), so that memory is about
sqrt(T) states and the activations of sqrt(T) batches. Cost: 4 to 5 training runs for any number of
hyperparameters.

Forwards (Franceschi et al. 2017): the tangent of (theta, s) along a direction of lambda is carried along.
Memory does not grow with T.

Over ranks gradients and adjoints (tangents) are averaged at every step. Differentiating on each rank by
itself and averaging at the end differentiates another function (cosine 0.88 in a small test).

The loss must be a function of (theta, lambda, t) alone: its batch and its noise come from t. ReLU makes
the map from lambda to theta_T discontinuous; smooth activations (GELU, Tanh) give derivatives that hold
over longer steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.hypergrad.updates import Settings, Tensors, Update

Hyper = Mapping[str, Tensor]
"""Hyperparameters by name, of any shape; all floating point."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A training run of `steps` steps."""

    loss: Callable[[Tensors, Hyper, int], Tensor]
    """Training loss of this rank's part of the batch of a step, a scalar: the mean over its samples."""
    update: Update
    settings: Callable[[Hyper, int], Settings]
    """What the update reads at a step, as a differentiable function of the hyperparameters."""
    validation: Callable[[Tensors, Hyper], Tensor]
    """Validation loss of this rank's part of the held-out data, a scalar."""
    steps: int
    average: Callable[[Sequence[Tensor]], Tensors] = tuple
    """Mean over the ranks, tensor by tensor; one rank: the tensors themselves."""


@dataclass(frozen=True, slots=True)
class Hypergradient:
    """What came out."""

    value: float
    """Validation loss after the run."""
    gradient: dict[str, Tensor]
    """Its derivative with respect to each hyperparameter, of that one's shape."""
    growth: float
    """log10 of how far the largest adjoint on the way exceeds the one at the run's end. A run beyond the edge
    of chaos multiplies small changes at every step; its derivative holds only over steps too small to use."""


def train(run: Run, params: Tensors, hyper: Hyper) -> Tensors:
    """Parameters after the run, without derivatives."""
    params, state = _detached(params), run.update.start(params)
    for step in range(run.steps):
        params, state = _forward(run, params, state, hyper, step)
    return params


@dataclass(frozen=True, slots=True)
class Tape:
    """A run's states along the way, as many as the way back needs."""

    states: Mapping[int, tuple[Tensors, Tensors]]
    """(parameters, optimiser's state) before some steps, step 0 among them; all between is recomputed."""
    end: tuple[Tensors, Tensors]


def record(run: Run, params: Tensors, hyper: Hyper) -> Tape:
    """The run from `params`, with every sqrt(T)-th state kept."""
    every = max(1, round(math.sqrt(run.steps)))
    kept: dict[int, tuple[Tensors, Tensors]] = {}
    params, state = _detached(params), run.update.start(params)
    for step in range(run.steps):
        if step % every == 0:
            kept[step] = (params, state)
        params, state = _forward(run, params, state, hyper, step)
    return Tape(kept, (params, state))


def backward(run: Run, params: Tensors, hyper: Hyper) -> Hypergradient:
    """Validation loss and its derivative with respect to all of `hyper`, from the run's end to its start.

    Args:
        params: where the run starts.
        hyper: where the derivative is taken.
    """
    return rewind(run, record(run, params, hyper), hyper)


def rewind(run: Run, tape: Tape, hyper: Hyper) -> Hypergradient:
    """What `backward` gives, for a run that was recorded."""
    names = list(hyper)
    values = tuple(hyper[name].detach() for name in names)
    params, state = tape.end
    value, adjoint, total = _validate(run, params, values, names)
    adjoint_state = tuple(torch.zeros_like(s) for s in state)
    end = largest = _norm(adjoint)
    last = run.steps
    for first in sorted(tape.states, reverse=True):
        params, state = tape.states[first]
        segment: list[_Step] = []
        for step in range(first, last):
            taken = _recorded(run, params, state, values, names, step)
            segment.append(taken)
            with torch.no_grad():
                params, state = run.update(params, taken.grads, state, run.settings(hyper, step), step)
        for step in reversed(range(first, last)):
            taken = segment.pop()
            direct, through, adjoint_state, own = _through_update(
                run, taken, values, names, step, (*adjoint, *adjoint_state)
            )
            curved, crossed = _through_gradient(run, taken, through)
            adjoint = _added(direct, curved)
            total = _added(total, _added(own, crossed))
            largest = max(largest, _norm(adjoint))
        last = first
    growth = math.log10(largest / end) if end > 0 and math.isfinite(largest) else math.inf
    return Hypergradient(value, dict(zip(names, total, strict=True)), growth)


def forward(run: Run, params: Tensors, hyper: Hyper, directions: Sequence[Hyper]) -> tuple[float, Tensor]:
    """Validation loss and its derivative along each direction of `hyper`, shape (K,), with the run's time.

    Args:
        params: where the run starts.
        hyper: where the derivative is taken.
        directions: K tangents, each with the names and shapes of `hyper`.
    """
    names = list(hyper)
    values = tuple(hyper[name].detach() for name in names)
    tangents = [tuple(direction[name] for name in names) for direction in directions]
    params, state = _detached(params), run.update.start(params)
    moved = [(_zeros(params), _zeros(state)) for _ in tangents]
    for step in range(run.steps):
        leaves, hypers = _leaves(params), _leaves(values)
        loss = run.loss(leaves, dict(zip(names, hypers, strict=True)), step)
        first = torch.autograd.grad(loss, (*leaves, *hypers), create_graph=True, materialize_grads=True)
        found = list(_detached(first[: len(leaves)]))
        for (dp, _), dh in zip(moved, tangents, strict=True):
            # d g along (dp, dh) = d/d theta (<dL/d theta, dp> + <dL/d lambda, dh>): mixed derivatives commute
            along = _dot(first, (*dp, *dh))
            found += torch.autograd.grad(along, leaves, retain_graph=True, materialize_grads=True)
        averaged = run.average(found)
        grads, *turned = (averaged[i : i + len(leaves)] for i in range(0, len(averaged), len(leaves)))
        before = [(dp, dg, ds, dh) for (dp, ds), dg, dh in zip(moved, turned, tangents, strict=True)]
        params, state, moved = _pushed(run, params, grads, state, values, names, step, before)
    value, adjoint, own = _validate(run, params, values, names)
    slopes = [_dot((*adjoint, *own), (*dp, *dh)) for (dp, _), dh in zip(moved, tangents, strict=True)]
    return value, torch.stack(slopes)


def _forward(run: Run, params: Tensors, state: Tensors, hyper: Hyper, step: int) -> tuple[Tensors, Tensors]:
    """One step without derivatives."""
    leaves = _leaves(params)
    loss = run.loss(leaves, hyper, step)
    grads = run.average(torch.autograd.grad(loss, leaves, materialize_grads=True))
    with torch.no_grad():
        return run.update(params, grads, state, run.settings(hyper, step), step)


def _pushed(
    run: Run,
    params: Tensors,
    grads: Tensors,
    state: Tensors,
    values: Tensors,
    names: Sequence[str],
    step: int,
    tangents: Sequence[tuple[Tensors, ...]],
) -> tuple[Tensors, Tensors, list[tuple[Tensors, Tensors]]]:
    """An update, and where it takes tangents of (params, grads, state, hyper).

    The derivative of an adjoint with respect to its weights is a tangent: two sweeps backwards, and no
    forward mode, for which PyTorch lacks some operations.
    """
    inputs = tuple(map(_leaves, (params, grads, state, values)))
    settings = run.settings(dict(zip(names, inputs[3], strict=True)), step)
    after, after_state = run.update(inputs[0], inputs[1], inputs[2], settings, step)
    flat = [one for part in inputs for one in part]
    weights = _leaves(_zeros((*after, *after_state)))
    adjoint = torch.autograd.grad(
        (*after, *after_state), flat, weights, create_graph=True, materialize_grads=True
    )
    moved = []
    for tangent in tangents:
        along = _dot(adjoint, [one for part in tangent for one in part])
        found = torch.autograd.grad(along, weights, retain_graph=True, materialize_grads=True)
        moved.append((found[: len(after)], found[len(after) :]))
    return _detached(after), _detached(after_state), moved


def _validate(
    run: Run, params: Tensors, values: Tensors, names: Sequence[str]
) -> tuple[float, Tensors, Tensors]:
    """Validation loss, and its derivatives with respect to parameters and hyperparameters."""
    leaves, hypers = _leaves(params), _leaves(values)
    loss = run.validation(leaves, dict(zip(names, hypers, strict=True)))
    found = torch.autograd.grad(loss, (*leaves, *hypers), materialize_grads=True)
    averaged = run.average((loss.detach(), *found))
    return float(averaged[0]), averaged[1 : 1 + len(leaves)], averaged[1 + len(leaves) :]


@dataclass(frozen=True, slots=True)
class _Step:
    """A step on the way, with the graph of this rank's gradient."""

    leaves: Tensors
    hypers: Tensors
    own: Tensors
    """This rank's gradient, differentiable with respect to leaves and hypers."""
    grads: Tensors
    """The mean over ranks."""
    state: Tensors


def _recorded(
    run: Run, params: Tensors, state: Tensors, values: Tensors, names: Sequence[str], step: int
) -> _Step:
    leaves, hypers = _leaves(params), _leaves(values)
    loss = run.loss(leaves, dict(zip(names, hypers, strict=True)), step)
    own = torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
    return _Step(leaves, hypers, own, run.average(_detached(own)), state)


def _through_update(
    run: Run, taken: _Step, values: Tensors, names: Sequence[str], step: int, adjoint: Tensors
) -> tuple[Tensors, Tensors, Tensors, Tensors]:
    """The adjoint of (params, grads, state, hyper) before an update; the same on every rank."""
    inputs = tuple(map(_leaves, (taken.leaves, taken.grads, taken.state, values)))
    settings = run.settings(dict(zip(names, inputs[3], strict=True)), step)
    after, after_state = run.update(inputs[0], inputs[1], inputs[2], settings, step)
    flat = [one for part in inputs for one in part]
    found = iter(torch.autograd.grad((*after, *after_state), flat, adjoint, materialize_grads=True))
    direct, through, before, own = (tuple(next(found) for _ in part) for part in inputs)
    return direct, through, before, own


def _through_gradient(run: Run, taken: _Step, through: Tensors) -> tuple[Tensors, Tensors]:
    """The adjoint of (params, hyper) that the adjoint `through` of the averaged gradient brings."""
    inputs = (*taken.leaves, *taken.hypers)
    along = _dot(taken.own, through)
    if along.requires_grad:
        found = torch.autograd.grad(along, inputs, materialize_grads=True)
    else:  # a loss that is linear in the parameters
        found = _zeros(inputs)
    averaged = run.average(found)
    return averaged[: len(through)], averaged[len(through) :]


def _leaves(tensors: Sequence[Tensor]) -> Tensors:
    return tuple(one.detach().requires_grad_() for one in tensors)


def _detached(tensors: Sequence[Tensor]) -> Tensors:
    return tuple(one.detach() for one in tensors)


def _zeros(tensors: Sequence[Tensor]) -> Tensors:
    return tuple(torch.zeros_like(one) for one in tensors)


def _added(a: Tensors, b: Tensors) -> Tensors:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    return torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()


def _norm(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(one.double().square().sum()) for one in tensors))
