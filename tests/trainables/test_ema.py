import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trainables.engine.ema import Average


def walk(model, generator):
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator))


def test_without_warm_up_in_the_way_it_is_pytorchs_average():
    """From the update where (1 + n) / (10 + n) exceeds the decay, both follow the same recursion."""
    model = torch.nn.Linear(3, 2)
    ours, generator = Average(model, 0.5), torch.Generator().manual_seed(0)
    for _ in range(8):  # (1 + 8) / (10 + 8) = 0.5
        walk(model, generator)
        ours.update()
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    theirs.update_parameters(model)  # the first call copies
    with torch.no_grad():
        for p, mean in zip(theirs.module.parameters(), ours.mean, strict=True):
            p.copy_(mean)
    for _ in range(10):
        walk(model, generator)
        ours.update()
        theirs.update_parameters(model)
    for a, b in zip(ours.mean, theirs.module.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_first_updates_follow_the_warm_up_by_hand():
    """Weights 1 on a mean of 0: d is 1/10, then 2/11, so the mean is 9/10, then 1 - 1/10 * 2/11."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = Average(model, 0.995)
    torch.nn.init.ones_(model.weight)
    average.update()
    assert float(average.mean[0]) == pytest.approx(0.9)
    average.update()
    assert float(average.mean[0]) == pytest.approx(1 - 0.1 * 2 / 11)


def test_the_mean_stands_in_for_the_weights_and_gives_them_back_even_after_an_error():
    model = torch.nn.Linear(2, 2)
    average = Average(model, 0.9)
    own = [p.detach().clone() for p in model.parameters()]
    walk(model, torch.Generator().manual_seed(1))
    walked = [p.detach().clone() for p in model.parameters()]

    def fail_within():
        with average.in_place():
            assert all(torch.equal(a, b) for a, b in zip(model.parameters(), own, strict=True))
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail_within()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), walked, strict=True))
