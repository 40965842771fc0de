"""Every flow: its log-determinant is the Jacobian's, its inverse undoes it, its density integrates to one."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from trainables.flows.couplings import NETS, Chain, Coupling, Scale, masks
from trainables.flows.density import PRIORS, Density
from trainables.flows.spline import Splines

SHAPE = (1, 4, 4)
FLOWS = ["additive", "affine", "affine, convolutional", "spline", "spline, coupling"]


def flow(name, shape=SHAPE, layers=4):
    """In double precision, with every weight drawn at random: nothing is the identity."""
    torch.manual_seed(0)
    if name.startswith("spline"):
        bijection = Splines(shape, layers, 8, 16, 2, name.endswith("coupling"))
    else:
        net, affine = NETS["convolutional" if "conv" in name else "perceptron"], name != "additive"
        couplings = [
            Coupling(mask, net(shape, 16, 2, 0.0, shape[0] * (1 + affine)), affine)
            for mask in masks(shape, layers)
        ]
        bijection = Chain([*couplings, Scale(shape)])
    for parameter in bijection.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 10
        torch.nn.init.normal_(parameter, std=0.7 * fan_in**-0.5)
    return bijection.double().eval().requires_grad_(False)


def images(n, shape=SHAPE, seed=1):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


every = pytest.mark.parametrize("name", FLOWS)


@every
def test_the_log_determinant_is_that_of_the_jacobian_that_autograd_finds(name):
    bijection, x = flow(name), images(3)
    _, gained = bijection(x)
    for i in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda one: bijection(one)[0], x[i : i + 1])
        _, log_abs = torch.linalg.slogdet(jacobian.reshape(16, 16))
        assert float(gained[i]) == pytest.approx(float(log_abs), abs=1e-9)
    assert float(gained.std()) > 1e-3 or name == "additive"


@every
def test_the_inverse_undoes_it(name):
    bijection, x = flow(name), images(5)
    z, _ = bijection(x)
    assert float((z - x).abs().max()) > 0.1
    torch.testing.assert_close(bijection.inverse(z), x, atol=1e-9, rtol=0)
    torch.testing.assert_close(bijection(bijection.inverse(x))[0], x, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if "convolutional" in name else []) for name in FLOWS],
)
@pytest.mark.parametrize("prior", PRIORS)
def test_a_density_over_two_pixels_integrates_to_one(name, prior):
    """By a grid as wide as the prior reaches and as fine as the splines' kinks ask for."""
    if name.startswith("spline") and prior == "logistic":
        pytest.skip("splines are given normal noise")
    shape = (1, 1, 2)
    density = Density(torch.zeros(shape), torch.ones(shape), flow(name, shape, 3), prior).double()
    reach = 12 if prior == "normal" else 30
    half = 200 if name.startswith("spline") else 120
    side = torch.linspace(-reach, reach, 2 * half + 1, dtype=torch.float64)
    x = torch.cartesian_prod(side, side).view(-1, *shape)
    with torch.no_grad():
        total = float(density(x).exp().sum()) * (reach / half) ** 2
    assert total == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("prior", PRIORS)
def test_without_layers_images_are_independent_draws_of_the_prior_with_their_moments(prior):
    """Against SciPy's densities; and 4,000 draws have the moments within 4.5 standard errors."""
    mean, deviation = torch.tensor([1.0, -2.0]).view(1, 1, 2), torch.tensor([0.5, 3.0]).view(1, 1, 2)
    density = Density(mean, deviation, Chain([]), prior)
    scale = deviation.flatten().numpy() / (1 if prior == "normal" else math.pi / math.sqrt(3))
    law = (stats.norm if prior == "normal" else stats.logistic)(mean.flatten().numpy(), scale)
    x = images(6, (1, 1, 2)).float() * 3
    np.testing.assert_allclose(density(x), law.logpdf(x.flatten(1).numpy()).sum(1), rtol=1e-5)
    u = torch.rand(4000, 1, 1, 2, generator=torch.Generator().manual_seed(0))
    drawn = density.sample(u).flatten(1)
    error = deviation.flatten() / math.sqrt(4000)
    assert ((drawn.mean(0) - mean.flatten()).abs() < 4.5 * error).all()
    torch.testing.assert_close(drawn.std(0), deviation.flatten(), rtol=0.06, atol=0)


def test_masks_leave_half_of_the_pixels_alone_and_every_other_layer_the_other_half():
    found = masks((3, 4, 4), 6)
    assert all(float(mask.mean()) == 0.5 for mask in found)
    for one, other in zip(found[::2], found[1::2], strict=True):
        assert torch.equal(one + other, torch.ones(3, 4, 4))
    assert len({tuple(mask.flatten().tolist()) for mask in found}) == 6


def test_an_additive_layer_keeps_volumes_and_a_layer_begins_as_the_identity():
    x = images(4).float()
    for affine in (False, True):
        layer = Coupling(masks(SHAPE, 1)[0], NETS["perceptron"](SHAPE, 8, 1, 0.0, 1 + affine), affine)
        z, gained = layer(x)
        assert torch.equal(z, x)
        assert not gained.any()
    assert float(Chain(list(flow("additive").layers)[:-1])(x.double())[1].abs().max()) == 0
