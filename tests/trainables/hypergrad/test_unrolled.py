"""Hypergradients against a hand-worked run, finite differences, torch's optimisers, and over two ranks."""

import math
import os
import tempfile

import pytest
import torch
import torch.multiprocessing as mp
from torch.nn.functional import cross_entropy, gelu, one_hot

from trainables.hypergrad.unrolled import Run, backward, forward, train
from trainables.hypergrad.updates import AdamW, Langevin, Sgd

HYPER = {
    "lr": [0.05, 0.08, 0.03],  # a value for each third of the run
    "momentum": 0.8,
    "beta1": 0.85,
    "beta2": 0.97,
    "weight_decay": [1e-2, 2e-2, 1e-2, 3e-2],  # a value for each parameter tensor
    "temperature": 0.5,
    "smoothing": 0.1,
    "noise": 0.2,  # of the inputs
    "dropout": 0.3,  # Gaussian, on the hidden layer
    "class_weight": [1.0, 0.7, 1.4],
}
T, N = 25, 48


def hypers(**changes):
    return {k: torch.tensor(v, dtype=torch.float64) for k, v in (HYPER | changes).items()}


def data(seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(N, 5, generator=g, dtype=torch.float64)
    return x, (x[:, :3] + 0.5 * torch.randn(N, 3, generator=g, dtype=torch.float64)).argmax(1)


def start(seed=0):
    g = torch.Generator().manual_seed(seed)
    shapes = [(8, 5), (8,), (3, 8), (3,)]
    return tuple(0.5 * torch.randn(s, generator=g, dtype=torch.float64) for s in shapes)


def logits(params, x, scale=None):
    a, b, c, d = params
    hidden = gelu(x @ a.T + b)
    return (hidden if scale is None else hidden * scale) @ c.T + d


def problem(update, steps=T, rank=0, ranks=1, average=tuple):
    (x, y), (vx, vy) = data(1), data(2)
    size = N // ranks

    def loss(params, hyper, step):
        g = torch.Generator().manual_seed(1000 + step)
        rows = torch.randperm(N, generator=g)[:24].chunk(ranks)[rank]
        noise = torch.randn(N, 5, generator=g, dtype=torch.float64)[rows]
        drop = torch.randn(N, 8, generator=g, dtype=torch.float64)[rows]
        out = logits(params, x[rows] + hyper["noise"] * noise, 1 + hyper["dropout"] * drop)
        target = one_hot(y[rows], 3) * (1 - hyper["smoothing"]) + hyper["smoothing"] / 3
        return -(target * out.log_softmax(1) * hyper["class_weight"]).sum(1).mean()

    def validation(params, hyper):
        part = slice(rank * size, (rank + 1) * size)
        return cross_entropy(logits(params, vx[part]), vy[part])

    def settings(hyper, step):
        return {**hyper, "lr": hyper["lr"][3 * step // steps]}

    return Run(
        loss=loss, update=update, settings=settings, validation=validation, steps=steps, average=average
    )


def value(run, hyper):
    return float(run.validation(train(run, start(), hyper), hyper))


@pytest.mark.parametrize("update", [Sgd(), AdamW(), Langevin(samples=N)], ids=lambda u: type(u).__name__)
def test_the_gradient_through_a_whole_run_is_that_of_finite_differences(update):
    run, hyper = problem(update), hypers()
    found = backward(run, start(), hyper)
    assert found.value == pytest.approx(value(run, hyper), abs=1e-12)
    for name, gradient in found.gradient.items():
        for place in range(gradient.numel()):
            h = 1e-5
            ends = []
            for sign in (1, -1):
                moved = {k: v.clone() for k, v in hyper.items()}
                moved[name].view(-1)[place] += sign * h
                ends.append(value(run, moved))
            assert gradient.view(-1)[place].item() == pytest.approx(
                (ends[0] - ends[1]) / (2 * h), abs=1e-7
            ), name


@pytest.mark.parametrize("update", [Sgd(), AdamW(), Langevin(samples=N)], ids=lambda u: type(u).__name__)
def test_forwards_and_backwards_agree(update):
    run, hyper = problem(update), hypers()
    back = backward(run, start(), hyper)
    g = torch.Generator().manual_seed(3)
    directions = [
        {k: torch.randn(v.shape, generator=g, dtype=v.dtype) for k, v in hyper.items()} for _ in range(3)
    ]
    result, slopes = forward(run, start(), hyper, directions)
    expected = [sum((back.gradient[k] * d[k]).sum() for k in hyper) for d in directions]
    assert result == pytest.approx(back.value, abs=1e-12)
    torch.testing.assert_close(slopes, torch.stack(expected), rtol=1e-9, atol=1e-10)


def test_one_step_of_gradient_descent_on_a_parabola_by_hand():
    """theta_1 = theta (1 - lr a), V = theta_1^2 / 2: dV/dlr = -a theta theta_1, dV/da = -lr theta theta_1."""
    run = Run(
        loss=lambda p, h, t: h["a"] * (p[0] ** 2).sum() / 2,
        update=Sgd(),
        settings=lambda h, t: {
            "lr": h["lr"],
            "momentum": torch.tensor(0.0),
            "weight_decay": torch.tensor(0.0),
        },
        validation=lambda p, h: (p[0] ** 2).sum() / 2,
        steps=1,
    )
    found = backward(run, (torch.tensor([3.0]),), {"lr": torch.tensor(0.1), "a": torch.tensor(2.0)})
    assert found.gradient["lr"].item() == pytest.approx(-2 * 3 * 2.4)
    assert found.gradient["a"].item() == pytest.approx(-0.1 * 3 * 2.4)


@pytest.mark.parametrize(
    ("update", "make"),
    [
        (Sgd(), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8, weight_decay=0.01)),
        (AdamW(), lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.85, 0.97), weight_decay=0.01)),
    ],
    ids=["sgd", "adamw"],
)
def test_the_updates_are_those_of_torch(update, make):
    hyper = hypers(lr=[0.05] * 3, weight_decay=0.01)
    run = problem(update)
    params = [p.clone().requires_grad_() for p in start()]
    optimizer = make(params)
    for step in range(T):
        optimizer.zero_grad()
        run.loss(tuple(params), hyper, step).backward()
        optimizer.step()
    for ours, theirs in zip(train(run, start(), hyper), params, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=1e-7)


def test_a_run_beyond_the_edge_of_chaos_shows_in_the_growth():
    calm = backward(problem(Sgd(), steps=60), start(), hypers())
    wild = backward(problem(Sgd(), steps=60), start(), hypers(lr=[6.0, 6.0, 6.0]))
    assert calm.growth < 2 < wild.growth


def _two_ranks(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)

    def average(tensors):
        flat = torch.cat([t.reshape(-1) for t in tensors])
        torch.distributed.all_reduce(flat)
        sizes = [t.numel() for t in tensors]
        return tuple((part / 2).view(t.shape) for part, t in zip(flat.split(sizes), tensors, strict=True))

    hyper = hypers()
    run = problem(AdamW(), rank=rank, ranks=2, average=average)
    found = backward(run, start(), hyper)
    directions = [{k: torch.ones_like(v) for k, v in hyper.items()}]
    torch.save((found.gradient, forward(run, start(), hyper, directions)[1]), f"{folder}/{rank}")
    torch.distributed.destroy_process_group()


def test_two_ranks_give_the_gradient_of_one():
    one = backward(problem(AdamW()), start(), hypers())
    along = forward(
        problem(AdamW()), start(), hypers(), [{k: torch.ones_like(v) for k, v in hypers().items()}]
    )[1]
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_two_ranks, args=(folder,), nprocs=2)
        for rank in range(2):
            gradient, slope = torch.load(os.path.join(folder, str(rank)))
            torch.testing.assert_close(slope, along, rtol=1e-9, atol=1e-11)
            for name, expected in one.gradient.items():
                torch.testing.assert_close(gradient[name], expected, rtol=1e-9, atol=1e-11)


def test_the_growth_of_a_run_without_steps_is_zero():
    found = backward(problem(Sgd(), steps=0), start(), hypers())
    assert found.growth == 0.0
    assert math.isfinite(found.value)
