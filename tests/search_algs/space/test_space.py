"""Spaces: decoding by hand, the round trip, conditions, repair, the grid, and every mistake at once."""

import copy
import pickle

import numpy as np
import pytest
from ray import tune

from search_algs.space import Space, SpaceError, normal, q_normal, when
from search_algs.space.choices import key


def rich():
    return {
        "optimizer": {
            "name": tune.choice(["sgd", "adam"]),
            "lr": tune.loguniform(1e-5, 1),
            "momentum": when("optimizer.name", "sgd", tune.uniform(0, 0.99)),
            "nesterov": when("optimizer.name", "sgd", tune.choice([True, False])),
            "dampening": when("optimizer.nesterov", False, tune.uniform(0, 1)),
        },
        "layers": tune.randint(1, 4),
        "skip": when("layers", [2, 3], {"every": tune.randint(1, 3), "kind": "add"}),
        "net": tune.choice(
            [
                {"kind": "mlp", "width": tune.randint(8, 64)},
                {"kind": "cnn", "width": tune.randint(100, 200)},
                "linear",
            ]
        ),
        "noise": normal(0, 1),
        "data": {"path": "x.parquet", "classes": [1, 2]},
    }


def test_a_point_decodes_to_a_nested_configuration_without_what_is_inactive():
    space = Space(
        {"opt": tune.choice(["sgd", "adam"]), "m": when("opt", "sgd", tune.uniform(0, 1)), "a": {"b": 3}}
    )
    assert space.names == ("opt", "m")
    assert space.decode([0.0, 0.25]) == {"opt": "sgd", "m": 0.25, "a": {"b": 3}}
    assert space.decode([0.9, 0.25]) == {"opt": "adam", "a": {"b": 3}}
    unit, active = space.encode({"opt": "adam", "a": {"b": 3}})
    assert (unit.tolist(), active.tolist()) == ([0.75, 0.5], [True, False])


def test_every_point_comes_back_exactly():
    space, rng = Space(rich()), np.random.default_rng(0)
    for trial in range(3000):
        unit = rng.random(len(space)) if trial % 3 else rng.integers(0, 2, len(space)).astype(float)
        config = space.decode(unit)
        again, active = space.encode(config)
        assert key(space.decode(again)) == key(config)
        assert active.tolist() == space.active(unit)
        assert np.all(again[~active] == 0.5)
        assert np.array_equal(space.encode(space.decode(again))[0], again)


def test_options_that_are_dicts_are_spaces_of_their_own():
    space = Space(rich())
    assert {"net", "net.width", "net.width[1]"} <= set(space.names)
    widths = {"mlp": range(8, 64), "cnn": range(100, 200)}
    for _, config in zip(
        range(200), (space.decode(u) for u in np.random.default_rng(0).random((200, len(space)))), strict=True
    ):
        net = config["net"]
        assert net == "linear" or (set(net) == {"kind", "width"} and net["width"] in widths[net["kind"]])


def test_options_of_one_shape_are_told_apart_by_their_ranges():
    space = Space({"o": tune.choice([{"lr": tune.uniform(0, 1)}, {"lr": tune.uniform(2, 3)}])})
    assert space.flatten({"o": {"lr": 2.5}}) == {"o": {}, "o.lr[1]": 2.5}


def test_conditions_chain():
    space = Space(rich())
    for unit in np.random.default_rng(1).random((300, len(space))):
        optimizer = space.decode(unit)["optimizer"]
        assert ("momentum" in optimizer) == ("nesterov" in optimizer) == (optimizer["name"] == "sgd")
        assert ("dampening" in optimizer) == (optimizer.get("nesterov") is False)


def test_a_constant_parent_settles_a_condition():
    space = Space(
        {
            "opt": "adam",
            "m": when("opt", "sgd", tune.choice([1, 2])),
            "d": when("m", 1, 2),
            "b": when("opt", "adam", tune.uniform(0, 1)),
        }
    )
    assert space.names == ("b",)
    assert set(space.decode([0.5])) == {"opt", "b"}


def test_flatten_names_the_active_parameters_by_their_paths():
    space = Space(rich())
    flat = space.flatten(space.decode([0.9, 0.5, 0.5, 0.5, 0.5, 0.0, 0.5, 0.9, 0.5, 0.5, 0.5]))
    assert set(flat) == {"optimizer.name", "optimizer.lr", "layers", "net", "noise"}
    assert (flat["optimizer.name"], flat["layers"], flat["net"]) == ("adam", 1, "linear")


def test_repair_clips_numbers_and_adds_and_drops_conditional_parameters():
    space = Space(
        {
            "opt": tune.choice(["sgd", "adam"]),
            "m": when("opt", "sgd", tune.uniform(0, 0.9)),
            "n": tune.randint(1, 5),
            "bs": tune.choice([16, 32]),
            "k": 1,
        }
    )
    assert space.repair({"opt": "sgd", "m": 1.2, "n": 9, "bs": 38.4, "k": 1, "extra": 7}) == {
        "opt": "sgd",
        "m": 0.9,
        "n": 4,
        "bs": 32,
        "k": 1,
        "extra": 7,
    }
    assert space.repair({"opt": "adam", "m": 0.5, "n": 2, "bs": 16, "k": 1}) == {
        "opt": "adam",
        "n": 2,
        "bs": 16,
        "k": 1,
    }
    assert space.repair({"opt": "sgd", "n": 2, "bs": 16, "k": 1})["m"] == pytest.approx(0.45)
    with pytest.raises(ValueError, match="opt: 'adan' is none of its values; did you mean 'adam'"):
        space.repair({"opt": "adan", "n": 2, "bs": 16})


def test_what_is_valid_is_not_changed_by_repair():
    space = Space(rich())
    for unit in np.random.default_rng(2).random((300, len(space))):
        config = space.decode(unit)
        assert key(space.repair(copy.deepcopy(config))) == key(config)


def test_encode_names_what_is_missing():
    with pytest.raises(ValueError, match="no 'm', which is active in it; call repair"):
        Space({"opt": tune.choice(["sgd"]), "m": when("opt", "sgd", tune.uniform(0, 1))}).encode(
            {"opt": "sgd"}
        )


def test_a_grid_has_every_configuration_once_and_collapses_what_is_inactive():
    space = Space(
        {
            "opt": tune.grid_search(["sgd", "adam"]),
            "m": when("opt", "sgd", tune.choice([1, 2, 3])),
            "x": tune.randint(0, 2),
        }
    )
    grid = space.grid()
    expected = [{"opt": "sgd", "m": m, "x": x} for m in (1, 2, 3) for x in (0, 1)] + [
        {"opt": "adam", "x": x} for x in (0, 1)
    ]
    assert list(grid) == expected
    assert len(grid) == space.size == 8
    assert grid[-1] == expected[-1]
    assert grid[2:4] == expected[2:4]
    with pytest.raises(IndexError, match="8 configurations; there is no number 8"):
        grid[8]


def test_a_grid_over_nested_choices_agrees_with_sampling():
    space = Space(
        {
            "a": tune.choice([1, 2]),
            "b": when("a", 1, tune.choice([{"k": tune.randint(0, 2)}, None])),
            "c": when("b", None, tune.choice([5, 5, 6])),
        }
    )
    seen = {key(space.decode(u)) for u in np.random.default_rng(0).random((500, len(space)))}
    grid = [key(config) for config in space.grid()]
    assert len(grid) == len(set(grid))
    assert set(grid) == seen


def test_a_large_grid_is_not_built():
    grid = Space({f"x{i}": tune.randint(0, 10**6) for i in range(3)}).grid()
    assert len(grid) == 10**18
    assert grid[123456789] == {"x0": 0, "x1": 123, "x2": 456789}


def test_a_grid_names_what_is_continuous():
    with pytest.raises(
        SpaceError, match=r"lr: it has endlessly many values[^\0]*z: it has endlessly"
    ) as caught:
        Space({"lr": tune.uniform(0, 1), "n": tune.randint(0, 3), "z": q_normal()}).grid()
    assert len(caught.value.problems) == 2


def test_every_mistake_is_reported_at_once_with_the_nearest_name():
    with pytest.raises(SpaceError) as caught:
        Space(
            {
                "a": tune.sample_from(lambda config: 1),
                "b": tune.uniform(3, 1),
                "opt": tune.choice(["sgd", "adam"]),
                "c": when("optt", "sgd", tune.uniform(0, 1)),
                "d": when("opt", "sdg", tune.uniform(0, 1)),
                "e": when("f", 1, tune.choice([1])),
                "f": when("e", 1, tune.choice([1])),
                "g": [tune.uniform(0, 1)],
                "h": when("lr", 0.5, 1),
                "i": when("n", 9, 1),
                "lr": tune.uniform(0, 1),
                "n": tune.randint(0, 3),
                "x.y": tune.randint(0, 3),
                "x": {"y": tune.randint(0, 3)},
                3: 4,
            },
            ["optt == 'sgd'", "lr + n", "lr <"],
        )
    found = sorted(caught.value.problems)
    expected = [
        "a: tune.sample_from cannot be searched",
        "b: the lower bound 3 is above the upper bound 1",
        "c: when('optt', ...): there is no parameter 'optt'; did you mean 'opt'?",
        "constraint \"optt == 'sgd'\": there is no parameter 'optt'; did you mean 'opt'?",
        "constraint: 'lr + n' is neither true nor false",
        "constraint: 'lr <' cannot be read",
        "d: 'sdg' is none of its values; did you mean 'sgd'?",
        "e, f: each depends on another of them in a circle",
        "g: a list holds domains",
        "h: when('lr', ...): lr is continuous",
        "i: when('n', ...): n is never 9",
        "the space: the key 3 is no text",
        "x.y: two parameters have this name",
    ]
    assert len(found) == len(expected)
    for sentence, beginning in zip(found, expected, strict=True):
        assert sentence.startswith(beginning)


def test_a_mistaken_parameter_is_not_also_reported_where_others_name_it():
    with pytest.raises(SpaceError) as caught:
        Space({"b": tune.uniform(3, 1), "c": when("b", 1, 2)}, ["b < 2"])
    assert len(caught.value.problems) == 1


def test_a_uniform_sample_obeys_the_constraints():
    space = Space(
        {"bs": tune.choice([64, 128, 256, 512]), "acc": tune.randint(1, 9), "x": tune.uniform(0, 1)},
        ["bs * acc <= 512"],
    )
    rng = np.random.default_rng(0)
    for _ in range(200):
        config = space.decode(space.sample(rng))
        assert config["bs"] * config["acc"] <= 512


def test_constraints_that_leave_nothing_are_named():
    space = Space({"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)}, ["x + y > 2.5"])
    with pytest.raises(
        ValueError, match=r"none of 10000 random configurations obeys the constraints \['x \+ y > 2.5'\]"
    ):
        space.sample(np.random.default_rng(0))


def test_pickled_spaces_decode_the_same():
    space = Space(rich(), ["layers < 9"])
    again = pickle.loads(pickle.dumps(space))
    unit = np.random.default_rng(0).random(len(space))
    assert again.decode(unit) == space.decode(unit)
    assert again.describe() == space.describe()


def test_ray_is_told_that_it_cannot_draw_conditional_parameters():
    with pytest.raises(ValueError, match="needs a search algorithm that knows conditions"):
        when("a", 1, tune.uniform(0, 1)).sample()
