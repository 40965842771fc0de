"""Paths against the formulas of their papers."""

import math

import pytest
import torch

from trainables.denoising.paths import EDM, PATHS, VE, VP, Flow, Steps, SubVP

T = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
BETA = 0.1 + T * 19.9
INTEGRAL = 0.1 * T + 19.9 * T**2 / 2


def test_vp_is_the_sde_of_song_et_al():
    alpha, sigma = VP().at(T)
    torch.testing.assert_close(alpha, torch.exp(-INTEGRAL / 2))
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(T))
    f, g2 = VP().diffusion(T)
    torch.testing.assert_close(f, -BETA / 2)
    torch.testing.assert_close(g2, BETA)


def test_sub_vp_has_its_smaller_diffusion():
    f, g2 = SubVP().diffusion(T)
    torch.testing.assert_close(f, -BETA / 2)
    torch.testing.assert_close(g2, BETA * (1 - torch.exp(-2 * INTEGRAL)))


def test_ve_has_no_drift_and_the_diffusion_of_its_geometric_sigma():
    f, g2 = VE(0.01, 50.0).diffusion(T)
    sigma = 0.01 * 5000**T
    assert not f.any()
    torch.testing.assert_close(g2, sigma**2 * 2 * math.log(5000))


def test_the_straight_path_has_unit_speed():
    alpha, sigma = Flow().slopes(T)
    torch.testing.assert_close((alpha, sigma), (-torch.ones_like(T), torch.ones_like(T)))


def test_edm_samples_at_the_levels_of_its_paper_and_trains_at_log_normal_ones():
    path = EDM(0.002, 80.0)
    i = torch.arange(18, dtype=torch.float64)
    levels = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    torch.testing.assert_close(path.at(path.times(18))[1], levels)
    u = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    wanted = -1.2 + 1.2 * torch.special.ndtri(u)
    torch.testing.assert_close(path.at(path.draw(u))[1].log(), wanted)


def test_linear_steps_multiply_up_one_minus_beta_from_1e_4_to_002():
    path = Steps("linear", 1000)
    product = 1.0
    for i in range(1000):
        product *= 1 - (1e-4 + i * (0.02 - 1e-4) / 999)
    alpha, sigma = path.level(torch.tensor(1.0))
    assert alpha**2 == pytest.approx(product, rel=1e-9)
    assert sigma**2 == pytest.approx(1 - product, rel=1e-12)


def test_cosine_steps_follow_the_squared_cosine_until_beta_is_cut():
    path = Steps("cosine", 100)
    t = torch.tensor(0.5)
    angle = [(u + 0.008) / 1.008 * math.pi / 2 for u in (0.5, 0.0)]
    assert path.level(t)[0] ** 2 == pytest.approx(math.cos(angle[0]) ** 2 / math.cos(angle[1]) ** 2)
    assert float(path.betas.max()) == 0.999


def test_many_linear_steps_come_to_vp():
    steps, vp = Steps("linear", 20_000), VP()
    for t in (0.25, 0.5, 1.0):
        near, limit = steps.level(torch.tensor(t)), vp.level(torch.tensor(t, dtype=torch.float64))
        assert near == pytest.approx(limit, abs=2e-3)


def test_steps_are_drawn_evenly_and_few_of_them_end_at_the_last():
    path = Steps("linear", 8)
    u = (torch.arange(80, dtype=torch.float64) + 0.5) / 80
    assert torch.bincount((path.draw(u) * 8).round().long()).tolist() == [0, *[10] * 8]
    assert (path.times(4) * 8).tolist() == [8, 6, 4, 2]
    assert (path.times(8) * 8).tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    with pytest.raises(ValueError, match="`steps` is 9, and the network knows 8 noise levels"):
        path.times(9)


@pytest.mark.parametrize("name", PATHS)
def test_noise_takes_over_from_data_along_every_path(name):
    path = PATHS[name]()
    times = path.times(20)
    assert times[0] == path.end
    assert times[-1] == path.start
    alpha, sigma = path.at(times.flip(0))
    assert (torch.diff(sigma / alpha.clamp(min=1e-9)) > 0).all()
    assert alpha[-1] / sigma[-1] < 0.06
    u = torch.linspace(0.001, 0.999, 99)
    drawn = path.draw(u)
    assert (torch.diff(drawn) >= 0).all()
    assert drawn.min() >= path.start
    assert drawn.max() <= path.end
