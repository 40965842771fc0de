import numpy as np
import pytest
import torch

from trainables.engine import data

CPU = torch.device("cpu")


def test_each_time_around_the_stream_holds_every_sample_once_in_another_order():
    order = data.Order(10, seed=3)
    stream = order.take(0, 30)
    rounds = stream.reshape(3, 10)
    assert all(sorted(part) == list(range(10)) for part in rounds.tolist())
    assert len({tuple(part) for part in rounds.tolist()}) == 3


@pytest.mark.parametrize("size", [1, 3, 7, 25])
def test_the_stream_is_the_same_however_it_is_cut_and_wherever_one_begins(size):
    whole = data.Order(10, seed=3).take(0, 60)
    order = data.Order(10, seed=3)
    pieces = np.concatenate([order.take(s, size) for s in range(0, 60, size)])[:60]
    np.testing.assert_array_equal(pieces, whole)
    np.testing.assert_array_equal(data.Order(10, seed=3).take(47, 13), whole[47:])


def test_another_seed_gives_another_order():
    assert data.Order(100, 0).take(0, 100).tolist() != data.Order(100, 1).take(0, 100).tolist()


@pytest.mark.parametrize(("count", "ranks"), [(8, 2), (25, 4), (5, 5), (7, 1)])
def test_shares_cover_a_batch_once_and_differ_by_at_most_one(count, ranks):
    parts = [range(count)[data.share(count, r, ranks)] for r in range(ranks)]
    assert [i for part in parts for i in part] == list(range(count))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


def test_random_bits_belong_to_the_position_in_the_stream():
    whole = data.bits(4, 0, 100)
    np.testing.assert_array_equal(data.bits(4, 37, 20), whole[37:57])
    assert not np.intersect1d(whole, data.bits(5, 0, 100)).size


def test_random_bits_are_fair_coins():
    """64 counts of 20,000 flips; one beyond 5.5 standard deviations has a false-alarm rate of 3e-6."""
    words = data.bits(0, 0, 20_000)
    ones = np.array([int((words >> np.uint64(b) & np.uint64(1)).sum()) for b in range(64)])
    assert (abs(ones - 10_000) < 5.5 * np.sqrt(5_000)).all()


def test_a_tuple_of_arrays_gives_their_rows():
    split = data.as_dataset((np.arange(6.0), torch.arange(6) * 10), "train")
    x, y = split.batch(np.array([4, 1]), None, CPU)
    assert (x.tolist(), y.tolist()) == ([4.0, 1.0], [40, 10])


def test_a_torch_dataset_is_collated():
    class Squares(torch.utils.data.Dataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return {"x": torch.tensor([float(i)]), "y": i * i}

    batch = data.as_dataset(Squares(), "train").batch(np.array([2, 3]), None, CPU)
    assert batch["x"].tolist() == [[2.0], [3.0]]
    assert batch["y"].tolist() == [4, 9]


@pytest.mark.parametrize(
    ("split", "reason"),
    [
        ((np.zeros(3), np.zeros(4)), r"arrays of lengths \[3, 4\]"),
        (None, "`self.train` is NoneType; setup"),
        (iter([1]), "`self.train` is list_iterator"),
        ((np.zeros(0),), "`self.train` holds no samples"),
    ],
)
def test_a_split_of_no_known_form_is_refused_with_the_forms_there_are(split, reason):
    with pytest.raises(ValueError, match=reason):
        data.as_dataset(split, "train")


def test_normal_draws_are_normal_and_belong_to_the_sample():
    """10^6 draws: mean, variance and fourth moment within 5 standard errors; uncorrelated between columns."""
    draws = data.normals(data.bits(3, 0, 10_000), 100)
    assert draws.shape == (10_000, 100)
    assert abs(draws.mean()) < 5e-3
    assert draws.var() == pytest.approx(1, abs=5 * 2**0.5 * 1e-3)
    assert (draws.astype(float) ** 4).mean() == pytest.approx(3, abs=5 * 96**0.5 * 1e-3)
    assert abs(np.corrcoef(draws[:, 0], draws[:, 1])[0, 1]) < 5e-2
    np.testing.assert_array_equal(data.normals(data.bits(3, 40, 5), 100), draws[40:45])
