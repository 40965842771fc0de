"""Likelihoods against those of a Gaussian, and of images that are known."""

import math

import pytest
import torch

from trainables.denoising.likelihood import bits_per_dim, log_likelihood
from trainables.denoising.paths import PATHS


@pytest.mark.parametrize("name", ["vp", "subvp", "cosine", "ve", "flow"])
@pytest.mark.parametrize("probes", [None, 1])
def test_the_ode_gives_the_log_density_of_a_gaussian(name, probes, exact, moments):
    """Of the density at the path's start, within 0.005 nats and what the prior leaves out: the data's mean at
    the end of the path, alpha m, changes a normal density by less than 3 alpha |m| / sigma within 3 sigma.

    One probe is exact too, as the Jacobian is diagonal and signs square to 1.
    """
    mean, deviation = moments
    path = PATHS[name](*((0.01, 200.0) if name == "ve" else ()))
    generator = torch.Generator().manual_seed(0)
    x = mean + 1.5 * deviation * torch.randn(20, 3, generator=generator).double()
    found = log_likelihood(exact(path), path, x, 300, probes, generator)
    alpha, sigma = path.level(torch.tensor(path.start).double())
    density = torch.distributions.Normal(alpha * mean, (alpha**2 * deviation**2 + sigma**2).sqrt())
    left, noise = path.level(torch.tensor(path.end).double())
    bar = 0.005 + 3 * left / noise * mean.abs().sum()
    assert (found - density.log_prob(x).sum(1)).abs().max() < bar
    assert bar < 0.04


def test_random_signs_estimate_the_divergence_of_correlated_data_without_bias():
    """Mean over 4,000 images that are the same within 5 standard errors: false alarm below 1e-6."""
    path = PATHS["flow"]()
    mix = torch.tensor([[1.0, 0.8], [0.3, 0.5]]).double()

    def denoise(x, t):
        return x @ mix, x @ (mix.T * 0.5)

    x = torch.ones(4000, 2).double()
    (exactly,) = log_likelihood(denoise, path, x[:1], 4)
    each = log_likelihood(denoise, path, x, 4, 1, torch.Generator().manual_seed(1))
    assert each.std() > 0.01
    assert (each.mean() - exactly).abs() < 5 * each.std() / len(each) ** 0.5


def test_uniform_pixels_cost_the_logarithm_of_their_number_of_levels():
    """17 grey values as [-1, 1.125): density (8/17)^64 over 64 pixels is log2 17 bits each."""
    log_density = torch.tensor(64 * math.log(8 / 17))
    assert float(bits_per_dim(log_density, 64, 1 / 8)) == pytest.approx(math.log2(17))
