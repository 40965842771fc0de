"""Samplers against distributions that are known, with exact guesses in the place of a network."""

import itertools

import pytest
import torch

from trainables.denoising import samplers
from trainables.denoising.paths import PATHS, VP, Flow, Steps

N = 20_000


def rng():
    return torch.Generator().manual_seed(0)


def prior(path, n=N):
    return samplers.noise(path, (n, 3), rng()).double()


def assert_moments(x, mean, deviation, slack=0.0):
    """Mean and deviation of n draws within 5 standard errors and `slack`: false alarm below 1e-5 for six."""
    n = len(x)
    assert (x.mean(0) - mean).abs().max() < (5 * deviation / n**0.5).max() + slack
    assert (x.std(0) / deviation - 1).abs().max() < 5 / (2 * n) ** 0.5 + slack


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_ddim_with_eta_1_and_all_steps_is_the_ddpm_posterior(schedule):
    """Ho et al., eq. 7, at every step, within 1e-12 of the mean's and deviation's size."""
    path = Steps(schedule, 1000)
    bar = torch.cumprod(1 - path.betas, 0)
    x0, eps = torch.tensor([0.3, -0.7]).double(), torch.tensor([1.1, 0.4]).double()
    times = path.times(1000)
    for t, s in itertools.pairwise(times):
        i = round(float(t) * 1000) - 1
        beta, before, now = path.betas[i], bar[i - 1], bar[i]
        x = now.sqrt() * x0 + (1 - now).sqrt() * eps
        mean = before.sqrt() * beta / (1 - now) * x0 + (1 - beta).sqrt() * (1 - before) / (1 - now) * x
        variance = (1 - before) / (1 - now) * beta
        ours, deviation = samplers.transition(path, x0, eps, t, s, eta=1.0)
        torch.testing.assert_close(ours, mean, atol=1e-12, rtol=1e-10)
        assert deviation**2 == pytest.approx(float(variance), rel=1e-9)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_step_of_ddim_keeps_the_noise_that_belongs_to_its_time(name, eta):
    """Whatever eta: x_s given the true x_0 has mean alpha_s x_0 and deviation sigma_s."""
    path = PATHS[name]()
    times = path.times(10)
    for t, s in itertools.pairwise(times):
        one, none = torch.ones(()).double(), torch.zeros(()).double()
        of_x0, _ = samplers.transition(path, one, none, t, s, eta)
        of_eps, deviation = samplers.transition(path, none, one, t, s, eta)
        alpha, sigma = path.level(s)
        assert float(of_x0) == pytest.approx(alpha)
        assert float(of_eps) ** 2 + deviation**2 == pytest.approx(sigma**2)


def test_euler_on_the_straight_path_is_ddim(exact):
    path = Flow()
    denoise, x = exact(path), prior(path, 50)
    times = path.times(12)
    euler = x
    for t, s in itertools.pairwise(times):
        x0, eps = denoise(euler, t)
        euler = euler + (s - t) * (eps - x0)  # the speed that flow matching learns
    ours = samplers.ddim(denoise, path, x, times)
    torch.testing.assert_close(ours, denoise(euler, times[-1])[0], atol=1e-12, rtol=0)


def test_ddpm_recovers_a_gaussian(exact, moments):
    path = Steps("linear", 1000)
    x = samplers.ddim(exact(path), path, prior(path), path.times(1000), 1.0, rng())
    assert_moments(x, *moments, slack=0.01)


@pytest.mark.parametrize("name", PATHS)
def test_heun_recovers_a_gaussian_along_every_path(name, exact, moments):
    path = PATHS[name]()
    x = samplers.heun(exact(path), path, prior(path), path.times(100))
    # the smallest deviation, 0.2, is shrunk by the last guess of x_0; paths end with a little data left
    assert_moments(x, *moments, slack=0.06 if name == "ve" else 0.025)


@pytest.mark.parametrize("name", ["vp", "cosine", "edm"])
def test_heuns_error_falls_with_the_square_of_the_number_of_steps(name, exact, moments):
    """Along the ODE a Gaussian's draws are scaled: x - alpha m goes with sqrt(alpha^2 d^2 + sigma^2)."""
    mean, deviation = moments
    path = PATHS[name]()
    x = prior(path, 200)

    def spread(t):
        alpha, sigma = path.level(t)
        return alpha * mean, (alpha**2 * deviation**2 + sigma**2).sqrt()

    def error(steps):
        times = path.times(steps)
        (m, d), (m_end, d_end) = spread(times[0]), spread(times[-1])
        wanted = exact(path)(m_end + (x - m) / d * d_end, times[-1])[0]
        return float((samplers.heun(exact(path), path, x, times) - wanted).abs().mean())

    order = torch.log2(torch.tensor(error(80) / error(160)))
    assert 1.7 < order < 2.4


@pytest.mark.parametrize("name", ["vp", "subvp", "ve"])
def test_the_reverse_sde_has_the_moments_of_the_data(name, exact, moments):
    path = PATHS[name]()
    x = samplers.reverse_sde(exact(path), path, prior(path), path.times(500), rng())
    assert_moments(x, *moments, slack=0.03)


def test_the_reverse_sde_is_refused_where_a_path_ends_without_data(exact):
    path = Flow()
    with pytest.raises(ValueError, match="where no data is left; take the sampler heun or ddim"):
        samplers.reverse_sde(exact(path), path, prior(path, 5), path.times(10), rng())


def test_clipped_guesses_lie_within_the_range_and_agree_with_the_image(exact):
    path = VP()
    held = samplers.clipped(exact(path), path)
    t, x = torch.tensor(0.4).double(), 5 * torch.randn(100, 3, generator=rng()).double()
    x0, eps = held(x, t)
    alpha, sigma = path.level(t)
    assert x0.abs().max() <= 1
    torch.testing.assert_close(alpha * x0 + sigma * eps, x)


def test_the_same_generator_gives_the_same_images(exact):
    path = Steps("linear", 100)
    a, b = (samplers.sample("ddim", exact(path), path, prior(path, 5), 10, 1.0, rng()) for _ in range(2))
    assert torch.equal(a, b)
