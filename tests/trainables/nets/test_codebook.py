"""A codebook's gradients, choices and update, each against what they must be."""

import threading
import warnings

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from trainables.nets.codebook import Codebook, perplexity


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def book(count=8, size=3, **settings):
    torch.manual_seed(1)
    made = Codebook(count, size, **settings)
    made.codes.data.copy_(draws(count, size, seed=2))
    return made


def test_every_vector_becomes_the_code_that_is_nearest_by_plain_distances():
    codebook, z = book(50, 5), draws(7, 4, 4, 5)
    found = codebook.nearest(z)
    distances = (z[..., None, :] - codebook.codes).square().sum(-1)
    assert torch.equal(found, distances.argmin(-1))
    quantised, numbers, *_ = codebook.eval()(z)
    assert torch.equal(numbers, found)
    torch.testing.assert_close(quantised, codebook.codes[found], atol=1e-6, rtol=0)


def test_distances_are_measured_in_float32_under_autocast():
    """Two codes 1e-3 apart at 100 are one number in bfloat16, whose steps there are 0.5."""
    codebook = book(2, 1)
    codebook.codes.copy_(torch.tensor([[100.0], [100.001]]))
    with torch.autocast("cpu", torch.bfloat16):
        assert codebook.nearest(torch.tensor([[100.0], [100.001]])).tolist() == [0, 1]


def test_the_gradient_goes_straight_through_and_the_two_distances_pull_each_their_own_side():
    """d/dz of w.q is w; of the commitment 2 (z - e) / n; of the pull nothing for z, 2 (e - z) / n for e."""
    codebook = book(4, 2, rule="loss", restart=0).eval()
    z, w = draws(5, 2).requires_grad_(), draws(5, 2, seed=3)
    quantised, numbers, commitment, pull = codebook(z)
    e = codebook.codes[numbers]
    (straight,) = torch.autograd.grad((quantised * w).sum(), z, retain_graph=True)
    torch.testing.assert_close(straight, w, atol=0, rtol=0)
    dz, de = torch.autograd.grad(commitment, (z, codebook.codes), allow_unused=True, retain_graph=True)
    torch.testing.assert_close(dz, 2 * (z - e) / 10)
    assert de is None
    dz, de = torch.autograd.grad(pull, (z, codebook.codes), allow_unused=True)
    assert dz is None
    torch.testing.assert_close(de, torch.zeros(4, 2).index_add(0, numbers, 2 * (e - z) / 10))


def test_a_step_without_memory_is_one_of_k_means():
    """The centres that scikit-learn has after one iteration from the same ones."""
    codebook, z = book(6, 3, decay=0.0, restart=0), draws(400, 3, seed=4)
    own = KMeans(6, init=codebook.codes.double().numpy(), n_init=1, max_iter=1, algorithm="lloyd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        expected = own.fit(z.double().numpy()).cluster_centers_
    codebook(z)
    np.testing.assert_allclose(codebook.codes.numpy(), expected, atol=1e-6)


def test_averages_follow_their_law_over_two_steps():
    """One code and z = 1, then z = 4, 6: N = 1, then .9 + .1 x 2 = 1.1; m = 1, then .9 + .1 x 10 = 1.9."""
    codebook = book(1, 1, decay=0.9, restart=0)
    codebook(torch.tensor([[1.0]]))
    assert codebook.codes.item() == 1
    codebook(torch.tensor([[4.0], [6.0]]))
    assert codebook.used.item() == pytest.approx(1.1)
    assert codebook.codes.item() == pytest.approx(1.9 / 1.1)


@pytest.mark.parametrize("rule", ["ema", "loss"])
def test_two_ranks_and_two_passes_keep_the_codebook_of_one(rule):
    """Ranks are threads that meet where sums are taken. Five steps with restarts; equal up to rounding."""
    barrier, boxes = threading.Barrier(2), [None, None]

    def over_ranks(rank):
        def total(tensor):
            boxes[rank] = tensor
            barrier.wait()
            found = boxes[0] + boxes[1]
            barrier.wait()
            return found

        return total

    alone = book(64, 4, rule=rule)
    twins = [book(64, 4, rule=rule, passes=2, over_ranks=over_ranks(rank)) for rank in range(2)]
    batches = [draws(5, 32, 4, seed=5 + i) * 0.3 for i in range(5)]

    def work(rank):
        for batch in batches:
            for z in batch.reshape(-1, 4).chunk(4)[rank::2]:
                twins[rank](z)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    [thread.start() for thread in threads]
    for batch in batches:
        alone(batch)
    [thread.join() for thread in threads]
    assert torch.equal(twins[0].codes, twins[1].codes)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(twins[0].state_dict()[name], value, atol=2e-6, rtol=0, msg=name)
    assert torch.equal(twins[0].used, alone.used)


def test_codes_that_nobody_uses_come_to_where_there_is_use():
    """Eight clusters, and of 64 codes all but one so far away that they would never be chosen."""
    torch.manual_seed(0)
    centres = draws(8, 2, seed=6) * 5
    for restart, least, most in ((0.0, 1, 1.01), (0.1, 40, 64)):
        codebook = book(64, 2, restart=restart, decay=0.9)
        codebook.codes[1:] += 1e3
        for i in range(60):
            z = centres[torch.arange(512) % 8] + 0.2 * draws(512, 2, seed=10 + i)
            codebook(z)
        counts = torch.bincount(codebook.nearest(z), minlength=64)
        assert least <= float(perplexity(counts)) <= most


def test_in_evaluation_nothing_moves():
    codebook = book().eval()
    before = {name: value.clone() for name, value in codebook.state_dict().items()}
    codebook(draws(9, 3))
    assert all(torch.equal(value, before[name]) for name, value in codebook.state_dict().items())


def test_perplexity_is_the_number_of_codes_used_alike():
    assert float(perplexity(torch.tensor([3, 3, 0, 3]))) == pytest.approx(3)
    assert float(perplexity(torch.tensor([0, 7]))) == pytest.approx(1)
