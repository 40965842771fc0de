import io
import pickle
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from trainables.engine import cifar10, images
from trainables.engine.data import convert_cifar10


def batch(seed, rows=4):
    rng = np.random.default_rng(seed)
    return {
        b"batch_label": b"some batch",
        b"labels": rng.integers(0, 10, rows).tolist(),
        b"data": rng.integers(0, 256, (rows, 3072), np.uint8),
        b"filenames": [b"x.png"] * rows,
    }


def archive(path, contents):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            data = content if isinstance(content, bytes) else pickle.dumps(content, 2)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def batches():
    return {f"data_batch_{i}": batch(i) for i in range(1, 6)} | {"test_batch": batch(6)}


def test_the_archive_becomes_parquet_files_that_load_as_the_same_images(tmp_path, monkeypatch):
    monkeypatch.setenv("STARLING_CACHE", str(tmp_path / "cache"))
    contents = batches() | {"batches.meta": b"not read"}
    out = convert_cifar10(archive(tmp_path / "a.tar.gz", contents), tmp_path / "out")
    train, test = cifar10.files(cifar10.locate(str(out)))
    assert [f.name for f in train] == [f"train-0000{i}-of-00005.parquet" for i in range(5)]
    assert [f.name for f in test] == ["test.parquet"]
    pixels, labels = images.decoded(train)
    rows = np.concatenate([batches()[f"data_batch_{i}"][b"data"] for i in range(1, 6)])
    # A row is the red plane, then the green, then the blue: pixel (0, 1) of channel 2 is at 2 * 1024 + 1.
    assert pixels[0, 0, 1, 2] == rows[0, 2 * 1024 + 1]
    np.testing.assert_array_equal(pixels, rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    assert labels.tolist() == [x for i in range(1, 6) for x in batches()[f"data_batch_{i}"][b"labels"]]
    metadata = pq.read_schema(test[0]).metadata
    assert metadata[b"encoding"] == b"png"
    assert metadata[b"classes"].startswith(b"airplane,")


def test_a_pickle_that_names_other_code_is_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    path = archive(tmp_path / "a.tar.gz", batches() | {"data_batch_3": {b"data": Bomb(), b"labels": []}})
    with pytest.raises(ValueError, match=r"names .*open, which CIFAR-10 does not need; refused"):
        convert_cifar10(path, tmp_path / "out")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"data_batch_2": None, "test_batch": None},
            "lacks data_batch_2, test_batch; needed is the python version",
        ),
        ({"data_batch_1": {b"labels": [1]}}, "data_batch_1 holds no `data` array"),
        (
            {"data_batch_1": {b"labels": [1, 2], b"data": np.zeros((2, 5), np.uint8)}},
            r"shape \(2, 5\); expected \(2, 3072\)",
        ),
        ({"data_batch_1": {b"labels": [1], b"data": np.zeros((1, 3072))}}, "not of bytes in C order"),
    ],
)
def test_an_archive_of_something_else_is_refused_with_the_reason(tmp_path, changed, reason):
    contents = {k: v for k, v in (batches() | changed).items() if v is not None}
    with pytest.raises(ValueError, match=reason):
        convert_cifar10(archive(tmp_path / "a.tar.gz", contents), tmp_path / "out")


def test_missing_data_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("STARLING_DATA", raising=False)
    with pytest.raises(
        ValueError, match=r"neither `data` nor STARLING_DATA is set.*starling data cifar10 --from"
    ):
        cifar10.locate(None)
    with pytest.raises(ValueError, match=r"holds no train.*starling data cifar10 --from"):
        cifar10.locate(str(tmp_path))


def test_the_data_folder_is_found_from_the_variable_and_one_level_down(tmp_path, monkeypatch):
    folder = tmp_path / "cifar10"
    folder.mkdir()
    for name in ("train-0.parquet", "test.parquet"):
        (folder / name).touch()
    monkeypatch.setenv("STARLING_DATA", str(tmp_path))
    assert cifar10.locate(None) == folder
    assert cifar10.locate(str(folder)) == folder


def test_five_thousand_are_held_out_and_no_image_is_on_both_sides():
    rows, held_out = cifar10.split(50_000)
    assert len(held_out) == 5_000
    assert sorted([*rows, *held_out]) == list(range(50_000))
    np.testing.assert_array_equal(cifar10.split(50_000)[1], held_out)
