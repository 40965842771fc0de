"""The classifier's own: the focal loss, its data, and that every kind of network learns."""

import pytest
import torch
from torch.nn import functional as F

from trainables.classify import Classification, Classify


def task(**config):
    one = Classify(Classification(**config))
    one.setup()
    return one


def batch():
    torch.manual_seed(1)
    return torch.randn(50, 10), torch.randint(10, (50,))


def test_the_focal_loss_is_its_formula():
    """Lin et al. (2017), eq. 5, with alpha a class's inverse frequency to a power."""
    scores, labels = batch()
    one = task(focal_gamma=2.0, focal_alpha=0.5)
    p = scores.softmax(1).gather(1, labels[:, None])[:, 0]
    alpha = one._rarity[labels] ** 0.5
    expected = (alpha * (1 - p) ** 2 * -p.log()).mean().float()
    torch.testing.assert_close(one.loss(lambda x: x, (scores, labels)).float(), expected)


def test_a_focal_loss_without_focus_is_cross_entropy():
    scores, labels = batch()
    near = task(focal_gamma=1e-9, label_smoothing=0.1).loss(lambda x: x, (scores, labels))
    torch.testing.assert_close(near, F.cross_entropy(scores, labels, label_smoothing=0.1))


def test_rarity_is_the_mean_count_over_the_class_count():
    one = task()
    images, labels = one.train.batch(torch.arange(len(one.train)).numpy(), None, torch.device("cpu"))
    assert (images.min().item(), images.max().item()) == (-1.0, 1.0)
    counts = torch.bincount(labels, minlength=10)
    torch.testing.assert_close(one._rarity.float(), 129.7 / counts)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"model": "vit", "patch": 3}, "`patch` is 3, which does not divide an image of 8 pixels"),
        ({"model": "vit", "embedding": 30}, "`embedding` is 30; it must be a multiple of the 4 heads"),
        ({"flip": True}, "`flip` mirrors images"),
        ({"crop": 8}, "`crop` is 8; it must be from 0 to 7"),
        ({"model": "simple_cnn"}, "simple_cnn needs 32x32 images"),
    ],
)
def test_what_cannot_be_trained_is_refused(config, word):
    with pytest.raises(ValueError, match=word):
        Classification(**config)


@pytest.mark.parametrize(
    ("config", "floor"),
    [
        ({"model": "conv", "kernel_size": 5, "activation": "leaky_relu", "init": "he", "rotate": 10.0}, 0.9),
        ({"model": "resnet", "connection": "residual", "norm": "group", "activation": "gelu"}, 0.9),
        ({"model": "resnet", "connection": "plain", "norm": "batch", "pooling": "max"}, 0.9),
        ({"model": "resnet", "connection": "dense", "norm": "batch", "pooling": "average"}, 0.9),
        ({"model": "mlp", "width": 64, "depth": 2, "activation": "tanh", "init": "xavier"}, 0.9),
        ({"model": "vit", "optimizer": "adamw", "lr": 3e-3, "dropout": 0.0}, 0.65),
    ],
    ids=["conv", "residual", "plain", "dense", "mlp", "vit"],
)
def test_every_kind_of_network_learns_digits_in_four_epochs(config, floor, one_rank):
    engine = one_rank(Classify, **{"lr": 0.05, "epochs": 4, "batch_size": 32, "dropout": 0.1} | config)
    report = {}
    while not report.get("done"):
        report = engine.advance() | engine.evaluate()
    assert report["val_accuracy"] > floor
    assert report["test_accuracy"] > floor - 0.05
