"""The classifier behind the distances: good, the same each time, and kept."""

import pytest
import torch

from trainables.quality import features

SHORT = features.Recipe(width=8, stages=2, epochs=1)


def digits():
    train, val = (features.pixels(split) for split in features.splits("digits", None)[:2])
    return train, val


def test_the_classifier_of_digits_gets_held_out_images_right():
    """Measured: 99.6 % of 500."""
    net = features.extractor("digits")
    assert net.accuracy > 0.985
    _, images = features.real("digits")
    classes = torch.cat([features.pixels(split)[1] for split in features.splits("digits", None)[1:]])
    right = (features.labels("digits", images) == classes).float().mean()
    assert float(right) == pytest.approx(float(net.accuracy))


def test_training_it_again_gives_the_same_bits_and_leaves_the_callers_generator_and_threads_alone():
    train, val = digits()
    torch.manual_seed(3)
    threads, before = torch.get_num_threads(), torch.get_rng_state()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):  # as within an evaluation
        first = features.fit(SHORT, train, val, 1, 8)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    torch.manual_seed(4)
    second = features.fit(SHORT, train, val, 1, 8)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert first.accuracy > 0.5  # after one epoch


def test_it_is_trained_once_for_a_recipe_and_then_read(tmp_path, monkeypatch):
    monkeypatch.setenv("STARLING_CACHE", str(tmp_path))
    monkeypatch.setitem(features.RECIPES, "digits", SHORT)
    first = features.extractor("digits")
    (file,) = (tmp_path / "features").glob("digits-*.pt")
    features._extractor.cache_clear()
    monkeypatch.setattr(features, "fit", lambda *_: pytest.fail("trained a second time"))
    again = features.extractor("digits")
    images = features.real("digits")[1]
    assert again is not first
    assert torch.equal(again(images), first(images))
    assert file.is_file()


def test_features_are_float32_in_any_precision_and_do_not_depend_on_how_images_are_grouped():
    _, images = features.real("digits")
    with torch.autocast("cpu", torch.bfloat16):
        found = features.features("digits", images)
    assert (found.dtype, tuple(found.shape)) == (torch.float32, (500, 64))
    torch.testing.assert_close(found[250:], features.features("digits", images[250:]), atol=1e-5, rtol=0)


def test_an_unknown_dataset_is_told_the_known_ones():
    with pytest.raises(ValueError, match="no features for 'mnist'; known: digits, cifar10"):
        features.extractor("mnist")
