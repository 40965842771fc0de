"""Distances against closed forms and statistics; what they say of real digits."""

import numpy as np
import pytest
import torch
from scipy import linalg

from trainables.quality import distances, features


def normal(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(n, mean, covariance, seed):
    """Draws whose sample mean and covariance are exactly these."""
    x = normal(n, len(mean), seed)
    x = x - x.mean(0)
    x = x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T
    return x @ torch.linalg.cholesky(covariance).T + mean


def test_the_frechet_distance_of_gaussians_that_commute_is_that_of_means_and_deviations():
    """|1, -2|^2 + (3 - 1)^2 + (0.5 - 2)^2 = 5 + 4 + 2.25, turned by a rotation that changes nothing."""
    turn = torch.linalg.qr(normal(2, 2, 0))[0]
    mean, first, second = torch.tensor([[1.0, -2.0], [9.0, 0.25], [1.0, 4.0]], dtype=torch.float64)
    a = with_moments(50, turn @ mean, turn @ torch.diag(first) @ turn.T, 1)
    b = with_moments(80, 0 * mean, turn @ torch.diag(second) @ turn.T, 2)
    assert distances.frechet(a, b) == pytest.approx(11.25, abs=1e-9)
    assert distances.frechet(b, a) == pytest.approx(11.25, abs=1e-9)
    assert distances.frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_is_what_scipys_matrix_root_gives():
    a, b = normal(200, 6, 3) @ normal(6, 6, 4), normal(150, 6, 5) @ normal(6, 6, 6) + 0.5
    (mean_a, cov_a), (mean_b, cov_b) = ((x.mean(0).numpy(), np.cov(x.numpy().T)) for x in (a, b))
    root = linalg.sqrtm(cov_a @ cov_b).real
    expected = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root)
    assert distances.frechet(a, b) == pytest.approx(expected, rel=1e-9)


def test_the_kernel_distance_of_four_points_is_the_one_worked_by_hand():
    """Features of one number: k(0, 2) = 1, k(1, 3) = 64; k(0, .) = 1, k(2, 1) = 27, k(2, 3) = 343."""
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]])
    assert distances.kernel(a, b) == pytest.approx(1 + 64 - 2 * (1 + 1 + 27 + 343) / 4)


def test_the_kernel_distance_is_unbiased_where_both_sides_are_one_distribution():
    """Mean of 400 pairs within 3.3 standard errors of 0: fails by chance for one seed in 1,000.

    With the pairs of a point with itself counted in it would be some 30 errors above.
    """
    values = [distances.kernel(normal(40, 8, 2 * i), normal(30, 8, 2 * i + 1)) for i in range(400)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3.3 * error
    assert min(values) < 0


def test_distances_tell_real_digits_from_noisy_and_from_gaussian_ones():
    train, held_out = features.real("digits")
    assert (len(train), len(held_out)) == (1297, 500)
    chosen, generator = train[:500], torch.Generator().manual_seed(0)
    near = distances.quality(chosen, None, "digits")
    assert near["fcd"] == pytest.approx(near["fcd_floor"], rel=0.5)  # other 500 of the same kind
    noisy = chosen + 0.3 * torch.randn(chosen.shape, generator=generator)
    flat = train.flatten(1)
    factor = torch.linalg.cholesky(torch.cov(flat.T) + 1e-4 * torch.eye(64))
    gaussian = torch.randn(500, 64, generator=generator) @ factor.T + flat.mean(0)
    for images in (noisy, gaussian):
        found = distances.quality(images.view(-1, 1, 8, 8).clamp(-1, 1), None, "digits")
        assert found["fcd"] > 3 * near["fcd_floor"]
        assert found["kcd"] > 0.3 > 3 * abs(near["kcd"])


def test_the_floor_falls_as_more_images_are_compared():
    assert distances.floor("digits", 100) > distances.floor("digits", 250) > distances.floor("digits", 1000)
    assert distances.floor() == distances.floor("digits", 500)


def test_consistency_is_the_share_that_shows_the_class_asked_for():
    _, held_out = features.real("digits")
    seen = features.labels("digits", held_out)
    asked = torch.where(torch.arange(500) < 100, (seen + 1) % 10, seen)
    assert distances.quality(held_out, asked, "digits")["consistency"] == pytest.approx(0.8)
    assert "consistency" not in distances.quality(held_out, None, "digits")


def test_one_image_has_no_covariance():
    with pytest.raises(ValueError, match=r"\(1, 64\) and \(9, 64\); give .* at least 2"):
        distances.frechet(torch.zeros(1, 64), torch.zeros(9, 64))


def test_images_of_a_network_that_has_diverged_have_no_quality():
    images = torch.zeros(3, 1, 8, 8)
    images[1, 0, 2, 2] = float("nan")
    found = distances.quality(images, torch.arange(3), "digits")
    assert found.keys() == {"fcd", "fcd_floor", "kcd", "consistency"}
    assert all(np.isnan(value) for value in found.values())
