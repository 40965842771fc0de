import importlib.util

import numpy as np
import pytest
import torch

from benchmarks import images, table
from benchmarks.__main__ import NAMES, README, put
from benchmarks.data_path import Files
from benchmarks.trial_start import Clock
from trainables.engine import cifar10
from trainables.engine.images import Images, decoded


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_has_a_file_and_a_place_in_the_readme(name):
    assert importlib.util.find_spec(f"benchmarks.{name}") is not None
    begin, _, end = README.read_text().partition(f"<!-- {name} -->\n")
    assert begin
    assert f"<!-- /{name} -->" in end


def test_a_table_is_put_between_its_own_markers_again_and_again():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb <!-- y -->\n<!-- /y -->"
    once = put(text, "x", "new\n")
    assert once == "a\n<!-- x -->\nnew\n<!-- /x -->\nb <!-- y -->\n<!-- /y -->"
    assert put(once, "x", "new\n") == once
    with pytest.raises(ValueError, match="lacks the markers <!-- z -->"):
        put(text, "z", "new\n")


def test_a_verdict_says_which_way_is_good():
    assert "missed" in table.verdict("speed", 0.9, 1.0)
    assert "goal <= 1: met" in table.verdict("cost", 0.9, 1.0, at_most=True)


def test_gaps_are_from_each_end_to_the_next_first_report():
    clock = Clock()
    clock.first = {"b": 5.0, "a": 1.0, "c": 9.5}
    clock.last = {"a": 2.0, "b": 8.0, "c": 11.0}
    clock.end = {"a": 3.0, "b": 9.0, "c": 12.0}
    assert clock.gaps() == ([2.0, 0.5], [3.0, 1.5])


def test_both_data_paths_give_the_same_images(tmp_path, monkeypatch):
    monkeypatch.delenv("STARLING_TEST_DATA", raising=False)
    monkeypatch.delenv("STARLING_DATA", raising=False)
    monkeypatch.setenv("STARLING_CACHE", str(tmp_path))
    folder, what = images.parquet(tmp_path, rows=20)
    assert "random images" in what
    encoded, labels = images.encoded(folder, 10)
    files = [tmp_path / f"{i}.jpg" for i in range(10)]
    for file, image in zip(files, encoded, strict=True):
        file.write_bytes(image)
    pixels, classes = decoded(cifar10.files(folder)[0])
    split = Images(pixels, classes, np.arange(20), cifar10.MEAN, cifar10.STD)
    x, y = split.batch(np.arange(10), None, torch.device("cpu"))
    theirs = [Files(files, labels, augment=False)[i] for i in range(10)]
    torch.testing.assert_close(x.contiguous(), torch.stack([image for image, _ in theirs]))
    assert y.tolist() == [label for _, label in theirs]
