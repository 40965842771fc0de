"""The U-Net: what it computes at first, what its inputs reach, and its sizes."""

import pytest
import torch

from trainables.nets.unet import NoisyClassifier, UNet


def rng():
    return torch.Generator().manual_seed(0)


def woken(net):
    """With the layers that begin at 0 at something."""
    torch.manual_seed(0)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return net.eval()


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("channels", "side", "width", "multipliers", "blocks"),
    [(1, 8, 16, (1, 2), 1), (3, 32, 32, (1, 2, 2, 2), 2), (4, 4, 32, (1,), 1)],
)
def test_it_answers_with_an_image_of_the_same_shape_and_predicts_0_at_first(
    channels, side, width, multipliers, blocks
):
    net = UNet(channels, side, width, multipliers, blocks)
    x = torch.randn(2, channels, side, side, generator=rng())
    answer = net(x, torch.tensor([0.1, 0.9]))
    assert answer.shape == x.shape
    assert not answer.any()


def test_images_of_a_batch_do_not_meet():
    net = woken(UNet(1, 8, 16, (1, 2), classes=10))
    x, noise, label = torch.randn(6, 1, 8, 8, generator=rng()), torch.linspace(-1, 1, 6), torch.arange(6)
    each = torch.cat([net(x[i : i + 1], noise[i : i + 1], label[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(net(x, noise, label), each, atol=1e-4, rtol=1e-4)


def test_every_pixel_sees_all_others():
    net = woken(UNet(1, 8, 16, (1, 2)))
    x = torch.randn(1, 1, 8, 8, generator=rng()).requires_grad_()
    net(x, torch.zeros(1))[0, 0, 0, 0].backward()
    assert (x.grad != 0).all()


def test_noise_class_and_context_change_the_answer_and_any_class_is_a_class_of_its_own():
    net = woken(UNet(1, 8, 16, (1, 2), classes=10, context=12))
    x = torch.randn(1, 1, 8, 8, generator=rng()).expand(2, -1, -1, -1)
    words = torch.randn(2, 5, 12, generator=rng())
    same = torch.zeros(2)
    plain = net(x, same)
    torch.testing.assert_close(plain, net(x, same, torch.tensor([10, 10])))
    for answer in (
        net(x, torch.tensor([-1.0, 1.0])),
        net(x, same, torch.tensor([3, 4])),
        net(x, same, None, words),
    ):
        assert (answer[0] - answer[1]).abs().max() > 1e-3


def test_the_order_of_a_contexts_words_does_not_matter():
    """Cross-attention is over a set; what has an order must say so in its vectors."""
    net = woken(UNet(1, 8, 16, (1, 2), context=12))
    x, words = torch.randn(1, 1, 8, 8, generator=rng()), torch.randn(1, 5, 12, generator=rng())
    one, other = (net(x, torch.zeros(1), None, each) for each in (words, words.flip(1)))
    torch.testing.assert_close(one, other)


def test_attention_is_where_it_is_asked_for():
    none, low, high = (count(UNet(1, 8, 16, (1, 2), attention=side)) for side in (0, 4, 8))
    assert none < low < high


def test_the_noisy_classifier_gives_scores_that_depend_on_the_noise_level():
    net = woken(NoisyClassifier(1, 8, 16, (1, 2)))
    x = torch.randn(1, 1, 8, 8, generator=rng()).expand(2, -1, -1, -1)
    scores = net(x, torch.tensor([-1.0, 1.0]))
    assert scores.shape == (2, 10)
    assert (scores[0] - scores[1]).abs().max() > 1e-3
