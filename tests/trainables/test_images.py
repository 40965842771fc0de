import io
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from trainables.engine import images
from trainables.engine.data import bits
from trainables.engine.images import Augmentation, Images, crop_and_flip, decoded, recoloured, rotated

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STARLING_CACHE", str(tmp_path / "cache"))
    images._decoded.cache_clear()
    return tmp_path / "cache" / "images"


def write(path, pixels, labels, encoding="PNG"):
    encoded = []
    for array in pixels:
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, encoding)
        encoded.append(buffer.getvalue())
    pq.write_table(pa.table({"image": encoded, "label": pa.array(labels, pa.int8())}), path)
    return path


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)


def test_images_come_out_of_the_cache_as_they_went_into_the_files(tmp_path, pixels, cache):
    files = [
        write(tmp_path / "a.parquet", pixels[:4], [0, 1, 2, 3]),
        write(tmp_path / "b.parquet", pixels[4:], [4, 5]),
    ]
    for _ in range(2):
        seen, labels = decoded(files)
        assert isinstance(seen, np.memmap)
        np.testing.assert_array_equal(seen, pixels)
        assert labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert len([f for f in cache.iterdir() if f.is_dir()]) == 1  # nothing half-built is left


def test_jpeg_is_decoded_as_pillow_does(tmp_path, pixels):
    file = write(tmp_path / "a.parquet", pixels, range(6), "JPEG")
    encoded = pq.read_table(file)["image"].to_pylist()
    expected = np.stack([np.asarray(Image.open(io.BytesIO(e))) for e in encoded])
    np.testing.assert_array_equal(decoded([file])[0], expected)


def test_the_cache_goes_by_content_not_by_name(tmp_path, pixels, cache):
    a = write(tmp_path / "a.parquet", pixels, range(6))
    decoded([a])
    (tmp_path / "copy.parquet").write_bytes(a.read_bytes())
    decoded([tmp_path / "copy.parquet"])
    assert len([f for f in cache.iterdir() if f.is_dir()]) == 1
    write(a, 255 - pixels, range(6))
    os.utime(a, (1, 1))
    np.testing.assert_array_equal(decoded([a])[0], 255 - pixels)


def test_processes_that_come_at_once_decode_once(tmp_path, pixels, cache):
    file = write(tmp_path / "a.parquet", np.tile(pixels, (50, 1, 1, 1)), [0] * 300)
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        answers = pool.map(images.decoded, [[file]] * 3)
    assert all(np.array_equal(a[0], answers[0][0]) for a in answers)
    folders = [f for f in cache.iterdir() if f.is_dir()]
    assert len(folders) == 1
    # Built in one go: the folder's files were written before it took its name.
    assert {f.name for f in folders[0].iterdir()} == {"pixels.npy", "labels.npy"}


def test_a_failed_decode_leaves_nothing_and_says_why(tmp_path, pixels, cache):
    small = pixels[:, :4]
    file = tmp_path / "a.parquet"
    write(file, [*pixels[:3], *small[:1]], [0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"image 3 has shape \(4, 8, 3\), the first \(8, 8, 3\)"):
        decoded([file])
    assert not [f for f in cache.iterdir() if f.is_dir()]


def test_other_columns_are_named(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"picture": [b""]}), file)
    with pytest.raises(ValueError, match=r"has the columns \['picture'\]; needed: image"):
        decoded([file])


def test_a_batch_is_normalised_and_channels_last(pixels):
    split = Images(pixels, np.arange(6), np.array([5, 0, 3]), (10.0, 20.0, 30.0), (2.0, 4.0, 5.0))
    x, y = split.batch(np.array([2, 0]), None, CPU)
    expected = (pixels[[3, 5]].astype(np.float64) - (10, 20, 30)) / (2, 4, 5)
    np.testing.assert_allclose(x.permute(0, 2, 3, 1).numpy(), expected, atol=1e-4)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert y.tolist() == [3, 5]


def test_every_crop_is_a_shifted_window_of_the_padded_image_and_every_shift_occurs():
    image = np.arange(1, 37, dtype=np.uint8).reshape(1, 6, 6, 1)
    n = 5_000
    out = crop_and_flip(np.tile(image, (n, 1, 1, 1)), bits(1, 0, n), 4, True)
    padded = np.pad(image[0, :, :, 0], 4)
    windows = {}
    for down in range(9):
        for right in range(9):
            window = padded[down : down + 6, right : right + 6]
            windows.setdefault(window.tobytes(), (down, right, False))
            windows.setdefault(window[:, ::-1].tobytes(), (down, right, True))
    found = [windows[o.tobytes()] for o in out]  # KeyError: something that is no shifted window
    # 162 kinds; one of them missing among 5,000 has probability 162 * (1 - 1/162)**5000 = 6e-12.
    assert len(set(found)) == 162
    # Half are mirrored: 5 standard deviations.
    assert abs(sum(flipped for *_, flipped in found) - n / 2) < 5 * (n / 4) ** 0.5


EVERYTHING = Augmentation(crop=2, flip=True, rotate=20.0, colour=0.2)


def test_a_quarter_turn_is_a_turn_and_angles_fill_their_range():
    """Of 4,000 turns of up to 90 degrees of a point right of the middle: half go up, none beyond."""
    image = torch.zeros(4000, 1, 9, 9)
    image[:, 0, 4, 8] = 1.0  # at the right edge's middle
    turned = rotated(image, bits(3, 0, 4000), 90.0)
    height = (turned.sum(3) * torch.arange(-4.0, 5.0)).sum((1, 2)) / turned.sum((1, 2, 3))
    across = (turned.sum(2) * torch.arange(-4.0, 5.0)).sum((1, 2)) / turned.sum((1, 2, 3))
    angle = torch.atan2(height, across).rad2deg()
    assert angle.abs().max() < 95
    assert float(angle.abs().mean()) == pytest.approx(45, abs=5)  # uniform; the grid of pixels blurs it
    assert abs(int((angle > 0).sum()) - 2000) < 5 * 1000**0.5
    still = torch.rand(3, 2, 5, 5)
    torch.testing.assert_close(rotated(still, bits(1, 0, 3), 0.0), still)


def test_colour_changes_brightness_contrast_and_saturation_by_the_share_given():
    """A grey image of two values: its mean moves by brightness, their distance by contrast."""
    image = torch.full((4000, 3, 2, 2), 1.0)
    image[:, :, 0] = -1.0
    found = recoloured(image, bits(5, 0, 4000), 0.3)
    mean, distance = found.mean((1, 2, 3)), found[:, 0, 1, 0] - found[:, 0, 0, 0]
    for draw in (mean / 0.3, (distance / 2 - 1) / 0.3):  # uniform in [-1, 1]: variance 1/3
        assert draw.abs().max() <= 1.0001
        assert float(draw.var()) == pytest.approx(1 / 3, rel=0.08)
    assert abs(float(torch.corrcoef(torch.stack([mean, distance]))[0, 1])) < 5 / 4000**0.5
    coloured = torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(2, 3, 2, 2)
    spread = recoloured(coloured, bits(7, 0, 2), 0.5).std(1)
    assert not torch.allclose(spread[0], spread[1])


def test_augmentation_belongs_to_the_sample_not_to_the_batch(pixels):
    split = Images(pixels, np.arange(6), np.arange(6), (0, 0, 0), (1, 1, 1), EVERYTHING)
    words = bits(2, 100, 6)
    whole, _ = split.batch(np.arange(6), words, CPU)
    half, _ = split.batch(np.arange(3, 6), words[3:], CPU)
    assert torch.equal(whole[3:], half)
    plain, _ = split.batch(np.arange(6), None, CPU)
    assert not torch.equal(whole, plain)


def test_the_cache_folder_is_a_setting_with_a_home(monkeypatch):
    monkeypatch.delenv("STARLING_CACHE")
    assert images.cache_folder() == Path.home() / ".cache" / "starling"
