import math

import pytest
import torch

from trainables.engine import optimizers
from trainables.engine.optimizers import Langevin
from trainables.engine.settings import Training


def parameter(*values):
    p = torch.nn.Parameter(torch.tensor(values))
    p.grad = torch.ones_like(p)
    return p


def model(*parameters):
    """A layer for each parameter."""
    layers = torch.nn.ModuleList(torch.nn.Module() for _ in parameters)
    for layer, one in zip(layers, parameters, strict=True):
        layer.weight = one
    return layers


def test_langevin_without_temperature_is_sgd():
    ours, theirs = parameter(1.0, -2.0), parameter(1.0, -2.0)
    Langevin([ours], lr=0.1, samples=10, temperature=0.0, weight_decay=0.3).step()
    torch.optim.SGD([theirs], lr=0.1, weight_decay=0.3).step()
    torch.testing.assert_close(ours, theirs)


def test_langevin_noise_has_variance_two_lr_t_over_n_and_depends_on_the_seed_alone():
    def noise(seed):
        p = torch.nn.Parameter(torch.zeros(200_000))
        p.grad = torch.zeros_like(p)
        optimizer = Langevin([p], lr=0.02, samples=50, temperature=3.0)
        optimizer.noise_seed = seed
        optimizer.step()
        return p.detach()

    a = noise(7)
    assert torch.equal(a, noise(7))
    assert not torch.equal(a, noise(8))
    # The standard error of a variance of 200,000 draws is 0.32 %; 5 of them.
    assert float(a.var()) == pytest.approx(2 * 0.02 * 3.0 / 50, rel=0.016)


def test_langevin_noise_differs_between_parameters_and_steps():
    a, b = parameter(0.0, 0.0), parameter(0.0, 0.0)
    optimizer = Langevin([a, b], lr=0.02, samples=1, temperature=1.0)
    optimizer.step()
    assert not torch.equal(a, b)
    first = a.detach().clone()
    optimizer.noise_seed = 1
    optimizer.step()
    assert not torch.allclose(a.detach() - first, first)


def test_langevin_samples_the_conjugate_posterior_step_bias_included():
    """Gaussian mean with known variance: loss = (theta - m)^2 / 2 over N samples, prior precision wd * N.

    The chain theta' = theta - lr (theta - m + wd theta) + N(0, 2 lr T / N) has, with k = 1 + wd, mean m / k
    and variance (2 lr T / N) / (1 - (1 - lr k)^2), which tends to the posterior's T / (N k) as lr -> 0.
    20,000 independent chains of 200 steps at lr 0.1: mean and variance within 5 standard errors, a false
    alarm in 10^6.
    """
    chains, n, wd, lr, temperature, m = 20_000, 40, 0.25, 0.1, 1.5, 2.0
    theta = torch.nn.Parameter(torch.zeros(chains))
    optimizer = Langevin([theta], lr=lr, samples=n, temperature=temperature, weight_decay=wd)
    for step in range(200):
        optimizer.noise_seed = step
        theta.grad = theta.detach() - m
        optimizer.step()
    k = 1 + wd
    variance = (2 * lr * temperature / n) / (1 - (1 - lr * k) ** 2)
    posterior, step_bias = temperature / (n * k), 1 / (1 - lr * k / 2)
    assert variance == pytest.approx(posterior * step_bias)
    assert float(theta.detach().mean()) == pytest.approx(m / k, abs=5 * math.sqrt(variance / chains))
    assert float(theta.detach().var()) == pytest.approx(variance, rel=5 * math.sqrt(2 / chains))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"optimizer": "sgd"}, 0.0),
        ({"optimizer": "momentum"}, 0.9),
        ({"optimizer": "sgd", "momentum": 0.5}, 0.5),
        ({"optimizer": "momentum", "momentum": 0.0}, 0.0),
    ],
)
def test_momentum_is_what_the_config_says_or_the_rules_own_default(config, expected):
    optimizer = optimizers.make(Training(**config), model(parameter(1.0)), 10)
    assert optimizer.param_groups[0]["momentum"] == expected


@pytest.mark.parametrize(
    ("name", "cls", "extra"),
    [
        ("adam", torch.optim.Adam, {}),
        ("adamw", torch.optim.AdamW, {}),
        ("momentum", torch.optim.SGD, {"momentum": 0.9}),
        ("nesterov", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        ("rmsprop", torch.optim.RMSprop, {"alpha": 0.999}),
    ],
)
def test_a_name_is_pytorchs_optimiser_step_for_step(name, cls, extra):
    ours, theirs = parameter(1.0, 2.0), parameter(1.0, 2.0)
    config = Training(optimizer=name, lr=0.05, weight_decay=0.1)
    a = optimizers.make(config, model(ours), 10)
    b = cls([theirs], lr=0.05, weight_decay=0.1, **extra)
    for step in range(3):
        optimizers.steer(config, a, step / 3, 1.0)
        a.step(), b.step()
    torch.testing.assert_close(ours, theirs)


def test_weight_decay_by_parts_belongs_to_runs_of_layers():
    """Three layers, two parts: the first two have the first."""
    layers = model(parameter(1.0), parameter(2.0), parameter(3.0))
    optimizer = optimizers.make(Training(weight_decay={"0": 0.1, "1": 0.3}), layers, 10)
    assert [group["weight_decay"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.1, 0.3])
    optimizers.apply(Training(weight_decay={"0": 0.2, "1": 0.4}), optimizer)
    assert [group["weight_decay"] for group in optimizer.param_groups] == pytest.approx([0.2, 0.2, 0.4])
    with pytest.raises(ValueError, match="4 parts are given for 3 things; give at most one for each"):
        optimizers.make(Training(weight_decay=dict.fromkeys("0123", 0.1)), layers, 10)


def test_what_changes_along_the_run_is_the_part_that_the_step_lies_in():
    config = Training(optimizer="adam", lr={"0": 1.0, "1": 0.5, "2": 0.25}, beta1={"0": 0.8, "1": 0.6})
    optimizer = optimizers.make(config, model(parameter(1.0)), 10)
    seen = []
    for done in (0.0, 0.32, 0.34, 0.5, 0.99, 1.0):
        optimizers.steer(config, optimizer, done, factor=0.5)
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"][0]))
    assert seen == [(0.5, 0.8), (0.5, 0.8), (0.25, 0.8), (0.25, 0.6), (0.125, 0.6), (0.125, 0.6)]


def test_preconditioned_langevin_without_temperature_is_rmsprop():
    config = Training(optimizer="psgld", lr=0.05, temperature=0.0, beta2=0.9)
    ours, theirs = parameter(1.0, -2.0), parameter(1.0, -2.0)
    a = optimizers.make(config, model(ours), 10)
    b = torch.optim.RMSprop([theirs], lr=0.05, alpha=0.9, eps=optimizers.Psgld.EPS)
    for step in range(3):
        ours.grad = theirs.grad = torch.tensor([0.5 + step, -1.0])
        optimizers.steer(config, a, 0.0, 1.0)
        a.step(), b.step()
    torch.testing.assert_close(ours, theirs)


def test_preconditioned_langevin_has_noise_of_the_scale_of_its_step():
    """Where the mean square is g^2 the deviation is sqrt(2 lr T / (N |g|)); 10^5 draws, 4 standard errors."""
    config = Training(optimizer="psgld", lr=0.02, temperature=3.0, beta2=0.0)
    p = parameter(*[0.0] * 100_000)
    p.grad = torch.full_like(p, 4.0)
    optimizer = optimizers.make(config, model(p), 50)
    optimizers.steer(config, optimizer, 0.0, 1.0)
    optimizer.step()
    assert float(p.detach().std()) == pytest.approx((2 * 0.02 * 3.0 / 50 / 4) ** 0.5, rel=0.01)


@pytest.mark.parametrize("name", ["schedule_free", "prodigy"])
def test_rules_of_the_extra_descend_and_the_averaged_weights_are_those_judged(name):
    pytest.importorskip("pytorch_optimizer", reason="the extra `optimizers` is not installed")
    config = Training(optimizer=name, lr=0.1 if name == "schedule_free" else 1.0)
    p = parameter(3.0)
    optimizer = optimizers.make(config, model(p), 10)
    for _ in range(200):
        optimizers.evaluating(optimizer, False)
        p.grad = p.detach().clone()  # of p^2 / 2
        optimizers.steer(config, optimizer, 0.0, 1.0)
        optimizer.step()
    trained = p.item()
    optimizers.evaluating(optimizer, True)
    assert abs(p.item()) < 0.3
    assert (p.item() == trained) is (name == "prodigy")
