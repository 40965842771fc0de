"""Guidance against a mixture of two Gaussians, whose classes are known exactly."""

import pytest
import torch

from trainables.denoising import guidance
from trainables.denoising.paths import VP, Flow

MEANS, DEVIATION = torch.tensor([-1.0, 2.0], dtype=torch.float64), 0.5
X = torch.linspace(-3, 3, 41, dtype=torch.float64)[:, None]
T = torch.tensor(0.3, dtype=torch.float64)


def log_joint(path, x, t):
    """log p(x_t, class), shape (n, 2), classes equally likely."""
    alpha, sigma = path.level(t)
    spread = (alpha**2 * DEVIATION**2 + sigma**2) ** 0.5
    return torch.distributions.Normal(alpha * MEANS, spread).log_prob(x) + torch.log(torch.tensor(0.5))


def mixture(path):
    """The exact guess for both classes together, from the score."""

    def denoise(x, t):
        alpha, sigma = path.level(t)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            density = torch.logsumexp(log_joint(path, x, t), 1).sum()
            (score,) = torch.autograd.grad(density, x)
        x = x.detach()
        return (x + sigma**2 * score) / alpha, -sigma * score

    return denoise


@pytest.mark.parametrize("path", [VP(), Flow()], ids=["vp", "flow"])
def test_the_guided_score_of_a_mixture_is_that_of_the_class(path, exact):
    def second(x, t):
        return torch.log_softmax(log_joint(path, x, t), 1)[:, 1]

    found = guidance.by_classifier(mixture(path), second, path, 1.0)(X, T)
    wanted = exact(path, MEANS[1], torch.tensor(DEVIATION).double())(X, T)
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)


def test_no_guidance_is_the_unguided_guess():
    denoise = mixture(VP())
    assert guidance.by_classifier(denoise, lambda x, t: x, VP(), 0.0) is denoise


def test_w_0_is_conditional_and_w_minus_1_unconditional_bit_for_bit(exact):
    path = VP()
    conditional, unconditional = exact(path), exact(path, MEANS[0], torch.tensor(DEVIATION).double())
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    for w, one in ((0.0, conditional), (-1.0, unconditional)):
        for found, wanted in zip(
            guidance.classifier_free(conditional, unconditional, w)(x, T), one(x, T), strict=True
        ):
            assert torch.equal(found, wanted)


def test_w_moves_the_guess_away_from_the_unconditional_one_in_proportion(exact):
    path = VP()
    conditional, unconditional = exact(path), exact(path, MEANS[0], torch.tensor(DEVIATION).double())
    x = torch.ones(1, 3).double()
    (c, _), (u, _) = conditional(x, T), unconditional(x, T)
    for w in (0.5, 3.0):
        found, _ = guidance.classifier_free(conditional, unconditional, w)(x, T)
        torch.testing.assert_close(found, (1 + w) * c - w * u)


def test_a_guess_of_x0_and_eps_stays_one_of_the_image(exact):
    """alpha x_0 + sigma eps = x survives guidance."""
    path = VP()
    alpha, sigma = path.level(T)
    guided = guidance.by_classifier(mixture(path), lambda x, t: (x**3)[:, 0], path, 2.0)
    x0, eps = guided(X, T)
    torch.testing.assert_close(alpha * x0 + sigma * eps, X)
