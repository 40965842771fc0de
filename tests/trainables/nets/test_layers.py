"""Layers by name against PyTorch's own."""

import math

import pytest
import torch
from torch import nn

from trainables.nets import layers
from trainables.nets.layers import Style


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
def test_an_activation_is_pytorchs_function_of_that_name(name):
    x = torch.linspace(-3, 3, 50)
    function = getattr(nn.functional, name, None) or getattr(torch, name)
    expected = function(x, 0.1) if name == "leaky_relu" else function(x)
    torch.testing.assert_close(layers.ACTIVATIONS[name]()(x), expected)


def test_norms_have_zero_mean_and_unit_variance_over_what_their_name_says():
    x = torch.randn(16, 8, 6, 6) * 3 + torch.arange(8.0).view(1, 8, 1, 1)
    over = {"batch": (0, 2, 3), "layer": (1, 2, 3), "group": (2, 3)}  # eight groups of one channel
    for name, axes in over.items():
        y = Style(norm=name).normalise(8)(x)
        zero = torch.zeros_like(y.mean(axes))
        torch.testing.assert_close(y.mean(axes), zero, atol=1e-5, rtol=0)
        torch.testing.assert_close(y.var(axes, unbiased=False), zero + 1, atol=1e-3, rtol=0)
    assert Style(norm="none").normalise(8)(x) is x


def test_momentum_and_eps_are_those_of_the_style():
    norm = Style(norm="batch", norm_momentum=0.3, norm_eps=0.5).normalise(4)
    x = torch.randn(64, 4, 3, 3) + 2
    norm(x)
    torch.testing.assert_close(norm.running_mean, 0.3 * x.mean((0, 2, 3)))
    assert norm.eps == 0.5
    assert Style(norm="group").normalise(12).num_groups == 6


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_convolution_keeps_the_size_and_every_pooling_halves_it(kernel_size):
    x = torch.randn(2, 3, 8, 8)
    for pooling in layers.POOLINGS:
        style = Style(kernel_size=kernel_size, pooling=pooling)
        assert style.conv(3, 5)(x).shape == (2, 5, 8, 8)
        halved = style.conv(3, 5, 2)(x) if pooling == "stride" else style.halve()(x)
        assert halved.shape[2:] == (4, 4)


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("xavier", math.sqrt(2 / (400 + 600))),
        ("xavier_normal", math.sqrt(2 / (400 + 600))),
        ("he", math.sqrt(2 / 400)),
        ("he_normal", math.sqrt(2 / 400)),
        ("orthogonal", math.sqrt(1 / 600)),
        ("default", math.sqrt(1 / (3 * 400))),
    ],
)
def test_weights_begin_with_the_variance_of_their_paper(name, deviation):
    """240,000 weights: 1 % is seven standard errors and more."""
    torch.manual_seed(0)
    layer = layers.initialise(nn.Sequential(nn.Linear(400, 600)), name)[0]
    assert layer.weight.std().item() == pytest.approx(deviation, rel=0.01)
    assert (layer.bias == 0).all().item() is (name != "default")
