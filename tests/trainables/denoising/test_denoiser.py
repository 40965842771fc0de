"""What a network predicts, solved for the image and the noise."""

import pytest
import torch
from torch import nn

from trainables.denoising import described
from trainables.denoising.denoiser import PREDICTIONS, Denoiser, target
from trainables.denoising.paths import EDM, PATHS, VP, Steps


def rng():
    return torch.Generator().manual_seed(0)


class Fixed(nn.Module):
    """Answers with what it was given to answer; keeps what it was asked."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.asked = answer, None

    def forward(self, x, noise, label=None, context=None):
        self.asked = (x, noise)
        return self.answer


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("name", [*PATHS, "steps"])
def test_the_right_prediction_gives_back_the_image_and_its_noise(prediction, name):
    path = Steps() if name == "steps" else PATHS[name]()
    x0, eps = torch.randn(2, 6, 1, 4, 4, generator=rng())
    t = path.draw(torch.linspace(0.3, 0.6, 6))
    alpha, sigma = (one.float()[:, None, None, None] for one in path.at(t))
    p, q = target(prediction, alpha, sigma, 0.7)
    denoiser = Denoiser(Fixed(p * x0 + q * eps), path, prediction, 0.7)
    found = denoiser(alpha * x0 + sigma * eps, t)
    torch.testing.assert_close(found, (x0, eps), atol=2e-3, rtol=0)
    assert denoiser.loss(x0, t, eps).item() < 1e-8  # rounding may differ with where a tensor lies


def test_edm_is_the_preconditioning_of_karras_et_al():
    """D = c_skip x + c_out F(c_in x, c_noise), with their table 1; F is -v for s = 1 on a VP path."""
    path, s = EDM(), 0.5
    x, f = torch.randn(2, 5, 1, 2, 2, generator=rng())
    t = path.draw(torch.linspace(0.1, 0.9, 5))
    sigma = path.at(t)[1].float()[:, None, None, None]
    net = Fixed(f)
    x0, _ = Denoiser(net, path, "edm", s)(x, t)
    c_skip, c_out = s**2 / (sigma**2 + s**2), sigma * s / (sigma**2 + s**2).sqrt()
    torch.testing.assert_close(x0, c_skip * x + c_out * f, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(net.asked[0], x / (sigma**2 + s**2).sqrt())
    torch.testing.assert_close(net.asked[1], sigma.flatten().log() / 4)
    alpha, sigma = VP().at(torch.linspace(0.1, 0.9, 5).double())
    edm, v = target("edm", alpha, sigma, 1.0), target("v", alpha, sigma, 1.0)
    torch.testing.assert_close(edm, (-v[0], -v[1]))


def test_weights_of_a_network_that_means_something_else_are_refused():
    a, b = (
        Denoiser(nn.Identity(), VP(), "eps", 1.0, {"task": "ddpm", "prediction": p}) for p in ("eps", "v")
    )
    assert described.read(a.state_dict()["_extra_state"]) == {"task": "ddpm", "prediction": "eps"}
    a.load_state_dict(a.state_dict())
    with pytest.raises(ValueError, match="another network: prediction is eps there and v here"):
        b.load_state_dict(a.state_dict())
