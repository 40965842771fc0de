"""What models without learning reach, against what it must be."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from trainables.quality import trivial


def test_evenly_spread_independent_levels_cost_a_histogram_what_they_cost_anybody():
    """17 levels, each 100 times in each of 3 pixels: log2 17, with or without one image added."""
    levels = torch.stack([torch.arange(1700) % 17 for _ in range(3)], 1)
    for found in (trivial.histogram(levels, levels, 17), trivial.uniform(17)):
        assert found == pytest.approx(math.log2(17))


def test_a_level_never_seen_costs_the_one_image_that_was_added():
    train, new = torch.zeros(15, 1, dtype=torch.long), torch.ones(1, 1, dtype=torch.long)
    assert trivial.histogram(train, new, 17) == pytest.approx(math.log2(15 + 17))


def test_the_gaussians_bits_are_the_mean_over_dequantisation_noise_of_its_density():
    """Closed form against 400 draws of the noise for each of 300 images; tolerance five standard errors."""
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(3, 3, generator=generator)
    train, others = (torch.randn(n, 3, generator=generator) @ mixed for n in (500, 300))
    width = 0.5
    covariance = torch.cov(train.T).double() + width**2 / 12 * torch.eye(3)
    density = torch.distributions.MultivariateNormal(train.mean(0).double() + width / 2, covariance)
    noise = width * torch.rand(400, 300, 3, generator=generator)
    each = -density.log_prob(others + noise).mean(1) / (3 * math.log(2)) - math.log2(width)
    error = float(each.std()) / math.sqrt(400)
    assert trivial.gaussian(train, others, width) == pytest.approx(float(each.mean()), abs=5 * error)


def test_of_digits_the_gates_are_in_the_order_uniform_gaussian_histogram():
    """On the 250 test images: 4.087, 2.934 and 2.429."""
    found = trivial.bits_per_dim("digits")
    assert found["uniform"] == pytest.approx(4.0875, abs=1e-4)
    assert found["gaussian"] == pytest.approx(2.934, abs=0.002)
    assert found["histogram"] == pytest.approx(2.429, abs=0.002)


def test_the_mean_image_is_as_good_as_scikit_learns_pixels_say():
    """Pixels there are from 0 to 16, whose peak is 16: 20 log10(16 / rms error) of each of the 250 images."""
    pixels = load_digits().data
    order = np.random.default_rng(8).permutation(len(pixels))
    train, test = pixels[order[:1297]], pixels[order[1547:]]
    rms = np.sqrt(((test - train.mean(0)) ** 2).mean(1))
    found = trivial.mean_image_psnr("digits")
    assert found == pytest.approx(np.mean(20 * np.log10(16 / rms)), abs=1e-4)
    assert found == pytest.approx(11.41, abs=0.01)
