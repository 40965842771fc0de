import numpy as np
import pytest
import torch

from trainables.engine.schedule import factor


def torch_rates(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_cosine_is_pytorchs_until_t_max():
    theirs = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 50), 50)
    np.testing.assert_allclose([factor("cosine", s, 50) for s in range(50)], theirs, atol=1e-12)


def test_cosine_stays_at_zero_after_t_max_where_pytorch_climbs_back_to_the_peak():
    theirs = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10), 21)
    assert theirs[20] == pytest.approx(1.0)
    assert factor("cosine", 20, 100, t_max=10) == 0.0


def test_linear_is_pytorchs_linear_schedule_to_zero():
    theirs = torch_rates(lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.0, 40), 40)
    np.testing.assert_allclose([factor("linear", s, 40) for s in range(40)], theirs, atol=1e-12)


def test_warm_up_rises_in_equal_parts_and_the_schedule_begins_at_its_end():
    assert [factor("constant", s, 100, warmup=4) for s in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert factor("cosine", 4, 100, warmup=4) == 1.0
    assert factor("linear", 52, 100, warmup=4) == pytest.approx(0.5)


def test_wsd_is_flat_and_then_falls_to_zero_over_its_last_part():
    values = [factor("wsd", s, 100, decay=0.2) for s in (0, 50, 80, 85, 90, 100)]
    assert values == pytest.approx([1.0, 1.0, 1.0, 0.75, 0.5, 0.0])


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "wsd"])
def test_every_factor_lies_between_zero_and_one(name):
    for warmup in (0, 3, 200):
        for t_max in (None, 5, 500):
            assert all(0 <= factor(name, s, 100, warmup, t_max) <= 1 for s in np.linspace(0, 150, 301))
