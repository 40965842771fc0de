"""Domains against hand-worked values, SciPy, Ray's own samplers, W&B's formulas; the round trip."""

import math
from collections import Counter

import numpy as np
import pytest
from ray import tune
from scipy import stats

from search_algs import space as spaces
from search_algs.space import Choice, Real
from search_algs.space.choices import key
from search_algs.space.from_ray import read

EDGES = [0.0, 1.0, 0.5, 1e-300, 1e-17, 1e-12, 2**-41, 2**-40, 3 * 2**-41, 1 - 2**-53, 1 - 1e-12, 1 - 2**-41]

RAY = {
    "uniform": tune.uniform(-3, 5),
    "uniform of one value": tune.uniform(2, 2),
    "uniform far from zero": tune.uniform(1e9, 1e9 + 1e-3),
    "uniform, vast": tune.uniform(-1e300, 1e300),
    "quniform": tune.quniform(0, 0.3, 0.1),
    "quniform, many": tune.quniform(-1, 1, 1e-3),
    "loguniform": tune.loguniform(1e-12, 10),
    "qloguniform": tune.qloguniform(0.1, 10, 0.1),
    "randn": tune.randn(2, 3),
    "randn, narrow": tune.randn(1e6, 1e-3),
    "qrandn": tune.qrandn(0, 100, 0.5),
    "randint": tune.randint(-2, 6),
    "randint, vast": tune.randint(0, 2**62),
    "qrandint": tune.qrandint(3, 33, 5),
    "lograndint": tune.lograndint(1, 1000),
    "lograndint, vast": tune.lograndint(1, 10**18),
    "qlograndint": tune.qlograndint(16, 512, 16),
    "choice": tune.choice([[1, 2], (1, 2), None, float("nan"), {"a": [1]}, True, 1, 1.0, "1"]),
}
OURS = {
    "normal": spaces.normal(1, 2),
    "log_normal": spaces.log_normal(-2, 3),
    "beta": spaces.beta(2, 5),
    "beta, all at the ends": spaces.beta(0.01, 0.01),
    "beta, skewed": spaces.beta(0.3, 30),
    "q_normal": spaces.q_normal(0, 1, 0.25),
    "q_log_normal": spaces.q_log_normal(0, 1, 1),
    "q_beta": spaces.q_beta(2, 3, 0.1),
    "q_uniform": spaces.q_uniform(0.3, 7.2, 2),
    "log_uniform": spaces.log_uniform(-3, 2),
    "q_log_uniform": spaces.q_log_uniform(-3, 3, 0.5),
    "q_log_uniform_values": spaces.q_log_uniform_values(1, 100, 3),
    "inv_log_uniform": spaces.inv_log_uniform(1, 3),
    "int_uniform": spaces.int_uniform(-3, 3),
    "weighted": spaces.weighted(["a", 2, None], [0.2, 0.3, 0.5]),
}
ALL = RAY | OURS


@pytest.mark.parametrize("name", ALL)
def test_a_value_comes_back_exactly_from_the_unit_interval(name):
    domain = read(ALL[name])
    rng = np.random.default_rng(0)
    near_ends = 10.0 ** -rng.uniform(0, 18, 300)
    for u in [*EDGES, *rng.random(500), *near_ends, *(1 - near_ends)]:
        value = domain.from_unit(float(u))
        unit = domain.to_unit(value)
        assert 0.0 <= unit <= 1.0
        assert key(domain.from_unit(unit)) == key(value), u
        assert domain.accepts(value)


@pytest.mark.parametrize("name", [n for n in ALL if not isinstance(read(ALL[n]), Choice)])
def test_values_rise_with_u_and_numbers_are_plain_python(name):
    domain = read(ALL[name])
    values = [domain.from_unit(u) for u in np.linspace(0, 1, 201)]
    assert values == sorted(values)
    assert {type(v) for v in values} == {int if domain.kind == "int" else float}


@pytest.mark.parametrize(
    "name", [n for n in RAY if "vast" not in n and n != "choice" and "one value" not in n]
)
def test_values_have_the_law_of_rays_own_sampler(name):
    """Kolmogorov-Smirnov on 4,000 draws each, one seed; 14 domains at p < 1e-4: 0.2 % false alarms."""
    rng = np.random.default_rng(7)
    theirs = [round(float(v), 12) for v in RAY[name].sample(size=4000, random_state=rng)]
    ours = [round(float(read(RAY[name]).from_unit(u)), 12) for u in rng.random(4000)]
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-4


@pytest.mark.parametrize("name", ["quniform", "qloguniform", "randint", "qrandint", "qlograndint"])
def test_lattices_have_exactly_the_values_that_ray_draws(name):
    domain = read(RAY[name])
    theirs = set(RAY[name].sample(size=20_000, random_state=np.random.default_rng(0)))
    ours = {domain.from_unit(u) for u in np.linspace(0, 1, 20_001)}
    assert sorted(ours) == pytest.approx(
        sorted(theirs), rel=1e-15
    )  # Ray's 3 * 0.1 is a rounding error above 0.3
    assert domain.size == len(ours)
    assert all(RAY[name].is_valid(value) for value in ours)


@pytest.mark.parametrize(
    ("domain", "law"),
    [
        (spaces.normal(1, 2), stats.norm(1, 2)),
        (spaces.log_normal(-2, 3), stats.lognorm(3, scale=math.exp(-2))),
        (spaces.beta(2, 5), stats.beta(2, 5)),
        (spaces.log_uniform(-3, 2), stats.loguniform(math.exp(-3), math.exp(2))),
        (spaces.inv_log_uniform(1, 3), stats.loguniform(math.exp(-3), math.exp(-1))),
    ],
)
def test_continuous_laws_are_scipys(domain, law):
    for u in np.linspace(0.001, 0.999, 57):
        assert domain.domain.from_unit(u) == pytest.approx(law.ppf(u), rel=1e-8)


@pytest.mark.parametrize(
    ("domain", "law", "q"),
    [
        (spaces.q_uniform(0.3, 7.2, 2), stats.uniform(0.3, 6.9), 2),
        (spaces.q_normal(0, 1, 0.25), stats.norm(), 0.25),
        (spaces.q_log_normal(0, 1), stats.lognorm(1), 1.0),
        (spaces.q_beta(2, 3, 0.1), stats.beta(2, 3), 0.1),
        (spaces.q_log_uniform_values(1, 100, 3), stats.loguniform(1, 100), 3),
    ],
)
def test_quantised_values_are_wandbs_unclipped_and_int_only_for_an_int_q(domain, law, q):
    for u in np.linspace(0.01, 0.99, 99):
        expected = round(float(law.ppf(u)) / q) * q
        value = domain.domain.from_unit(u)
        assert value == expected
        assert type(value) is type(q)


def test_q_uniform_leaves_its_bounds_as_wandb_does():
    assert {spaces.q_uniform(0.3, 7.2, 2).domain.from_unit(u) for u in np.linspace(0, 1, 999)} == {
        0,
        2,
        4,
        6,
        8,
    }


def test_int_uniform_has_both_ends_and_never_its_minimum_less_one():
    domain = spaces.int_uniform(-3, 3).domain
    assert (domain.from_unit(0.0), domain.from_unit(1.0), domain.size) == (-3, 3, 7)


def test_weighted_values_have_their_probabilities_and_the_first_is_at_zero():
    domain = spaces.weighted(["a", "b", "c"], [0.2, 0.0, 0.8]).domain
    counts = Counter(domain.from_unit(u) for u in (np.arange(1000) + 0.5) / 1000)
    assert counts == {"a": 200, "c": 800}
    assert (domain.from_unit(0.0), domain.from_unit(1.0)) == ("a", "c")


def test_true_one_and_one_point_zero_are_three_options():
    domain = read(tune.choice([True, 1, 1.0, "1"]))
    assert [domain.index(one) for one in (True, 1, 1.0, "1")] == [0, 1, 2, 3]


def test_a_tuple_is_found_again_where_json_made_a_list_of_it():
    domain = read(tune.choice([(1, 2), (3, 4)]))
    assert domain.index([3, 4]) == 1


def test_changing_a_value_does_not_change_the_option():
    domain = read(tune.choice([[1, 2]]))
    domain.from_unit(0.5).append(3)
    assert domain.from_unit(0.5) == [1, 2]


def test_an_unknown_option_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"'adan' is none of its values; did you mean 'adam'"):
        read(tune.choice(["adam", "sgd"])).to_unit("adan")


@pytest.mark.parametrize(
    ("options", "arrow", "column"),
    [
        ([True, False], "bool", True),
        ([1, 2], "int64", 1),
        ([1, 2.5], "double", 1.0),
        (["a", "b"], "string", "a"),
        ([[1], None], "string", "[1]"),
        ([True, 1], "string", "true"),
    ],
)
def test_columns_are_typed_by_the_options(options, arrow, column):
    domain = read(tune.choice(options))
    assert domain.arrow_type == arrow
    assert domain.column(options[0]) == column


def test_structure_for_models_is_there():
    integers, lattice, real = (
        read(tune.lograndint(1, 9)),
        read(tune.qrandint(4, 12, 4)),
        read(tune.loguniform(1e-3, 1)),
    )
    assert (integers.kind, integers.low, integers.high, integers.log, integers.step) == ("int", 1, 8, True, 1)
    assert (lattice.low, lattice.high, lattice.step, lattice.size) == (4, 12, 4, 3)
    assert isinstance(real, Real)
    assert (real.kind, real.low, real.high, real.log, real.size) == ("float", 1e-3, 1.0, True, None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: spaces.normal(0, -1), "sigma = -1 positive"),
        (lambda: spaces.q_uniform(0, 1, 0), "q is 0; the step must be a positive number"),
        (lambda: spaces.int_uniform(0.5, 3), "must be integers; use tune.uniform"),
        (lambda: spaces.int_uniform(3, 1), "lower bound 3 is above the upper bound 1"),
        (lambda: spaces.beta(0, 1), "a = 0 and b = 1 must be positive"),
        (lambda: spaces.log_uniform(1e-4, 1e4), "use log_uniform_values"),
        (lambda: spaces.weighted([1, 2], [0.5, 0.6]), "sum to 1; their sum is 1.1"),
        (lambda: spaces.weighted([1, 2], [1.0]), "1 probabilities are given for 2 values"),
        (lambda: spaces.log_normal(0, 200), "overflows"),
        (lambda: read(tune.randint(3, 3)), "Ray's upper bound is exclusive"),
        (lambda: read(tune.qrandint(5, 6, 4)), "no multiple of q"),
        (lambda: read(tune.uniform(2, 1)), "the lower bound 2 is above the upper bound 1"),
        (lambda: read(tune.choice([])), "nothing to choose from"),
    ],
)
def test_mistakes_are_refused_with_the_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_ray_itself_can_draw_from_our_distributions():
    drawn = spaces.normal(5, 0.1).sample(size=200, random_state=np.random.default_rng(0))
    assert np.mean(drawn) == pytest.approx(5, abs=0.05)
