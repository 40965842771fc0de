from typing import Any

import pytest
from ray import tune

from search_algs import space as domains
from search_algs.space import Space, when
from search_algs.space.from_ray import read as as_domain
from sweeps.files import options
from sweeps.files.space_yaml import read_space, write_space

DOMAINS = {
    "uniform": tune.uniform(-1, 2),
    "loguniform": tune.loguniform(1e-5, 1e20),
    "quniform": tune.quniform(0.2, 1.4, 0.2),
    "qloguniform": tune.qloguniform(1e-3, 1.0, 1e-3),
    "randn": tune.randn(3, 2),
    "qrandn": tune.qrandn(3, 2, 0.5),
    "randint": tune.randint(-3, 8),
    "qrandint": tune.qrandint(0, 12, 3),
    "lograndint": tune.lograndint(1, 1000),
    "qlograndint": tune.qlograndint(4, 64, 4),
    "choice": tune.choice([1, 1.0, True, "a", None, [2, 3], {"k": 1}, "1e-3", ""]),
    "normal": domains.normal(1, 2),
    "log_normal": domains.log_normal(-1, 0.5),
    "beta": domains.beta(2, 5),
    "q_normal": domains.q_normal(0, 3, 2),
    "q_log_normal": domains.q_log_normal(0, 1, 0.1),
    "q_beta": domains.q_beta(2, 5, 0.1),
    "q_uniform": domains.q_uniform(-9.211, 23.23, 2.341),
    "q_uniform_int": domains.q_uniform(0, 10, 3),
    "q_log_uniform_values": domains.q_log_uniform_values(0.1, 100, 10),
    "log_uniform": domains.log_uniform(-3, 2),
    "q_log_uniform": domains.q_log_uniform(-3, 2, 0.25),
    "inv_log_uniform": domains.inv_log_uniform(-3, 2),
    "int_uniform": domains.int_uniform(-5, 5),
    "weighted": domains.weighted(["a", "b", 3], [0.5, 0.0, 0.5]),
}


def through_yaml(space: dict[str, Any]) -> dict[str, Any]:
    problems: list[str] = []
    back = read_space(options.read_yaml(options.write_yaml(write_space(space))), problems)
    assert not problems
    return back


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_written_and_read_is_the_same_domain(name: str) -> None:
    back = as_domain(through_yaml({"p": DOMAINS[name]})["p"])
    before = as_domain(DOMAINS[name])
    assert back == before
    assert [repr(back.from_unit(u / 64)) for u in range(65)] == [
        repr(before.from_unit(u / 64)) for u in range(65)
    ]


def test_a_domain_of_one_value_stays_a_parameter() -> None:
    assert Space(through_yaml({"p": tune.uniform(2, 2)})).decode([0.3]) == {"p": 2}


def test_conditions_groups_constants_and_subspaces_survive() -> None:
    space = {
        "optimizer": tune.choice(["sgd", "adam", "none"]),
        "momentum": when("optimizer", "sgd", tune.uniform(0, 1)),
        "nesterov": when("optimizer", "sgd", when("momentum_kind", ["a", "b"], True)),
        "momentum_kind": tune.choice(["a", "b", "c"]),
        "betas": when("optimizer", ["adam"], {"one": tune.uniform(0, 1), "two": 0.999}),
        "net": {"width": tune.choice([8, 16]), "name": "resnet", "pair": [1, 2]},
        "grid": tune.grid_search([1, 2, 3]),
        "arch": tune.choice([{"kind": "cnn", "depth": tune.randint(1, 4)}, {"kind": "mlp"}, 7]),
        "plain": {"a": {"b": 1}},
        "absent": None,
    }
    before, after = Space(space), Space(through_yaml(space))
    assert after.describe() == before.describe()
    for i in range(200):
        unit = [((i * 7919 + 104729 * j) % 997) / 996 for j in range(len(before))]
        assert after.decode(unit) == before.decode(unit)


def test_a_list_in_a_condition_means_any_of_its_values() -> None:
    problems: list[str] = []
    space = Space(
        read_space({"a": {"values": [1, 2, 3]}, "b": {"value": 0, "when": {"a": [1, 3]}}}, problems)
    )
    assert [space.decode([u]) for u in (0.1, 0.5, 0.9)] == [{"a": 1, "b": 0}, {"a": 2}, {"a": 3, "b": 0}]


def test_a_condition_without_a_parent_is_named() -> None:
    problems: list[str] = []
    read_space({"a": {"value": 0, "when": ["sgd"]}}, problems)
    assert problems == ["a.when: is ['sgd']; write {parent: value} or {parent: [value, value]}."]


def test_an_unknown_key_of_a_distribution_is_answered_with_the_nearest() -> None:
    problems: list[str] = []
    read_space({"lr": {"distribution": "uniform", "min": 0, "mx": 1}}, problems)
    assert problems == [
        "lr.max: is missing.",
        "lr.mx: there is no such key; did you mean 'max'? Known: distribution, min, max.",
    ]
