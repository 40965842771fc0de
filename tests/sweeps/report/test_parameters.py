import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from sweeps.report.material import Material
from sweeps.report.parameters import Parameter


def test_scale_range_and_choices_are_those_of_the_space(stored):
    shapes = {"lr": FloatDistribution(1e-4, 1.0, log=True), "batch": CategoricalDistribution([128, 64, 32])}
    sweep = stored(parameters={"lr": "double", "batch": "int64", "free": "double"}, distributions=shapes)
    for batch, free in ((32, 1.0), (64, 2000.0)):
        sweep.trial({"lr": 0.01, "batch": batch, "free": free}, [1.0])
    lr, batch, free = Material(sweep.results()).parameters
    assert (lr.log, lr.low, lr.high, lr.ends, lr.place(0.01), lr.varies) == (
        True,
        1e-4,
        1.0,
        (-4, 0),
        -2,
        False,
    )
    assert (batch.choices, batch.values) == (["128", "64", "32"], ["32", "64"])
    assert [batch.place(v) for v in batch.values] == [2, 1]
    assert (free.log, free.low, free.high) == (True, 1.0, 2000.0)  # by its values


def test_what_pbt_made_of_a_value_widens_its_range(stored):
    sweep = stored(distributions={"lr": FloatDistribution(0.1, 1.0)})
    sweep.trial({"lr": 1.2}, [1.0])
    assert Material(sweep.results()).parameters[0].high == 1.2


@pytest.mark.parametrize(
    ("parameter", "ticks"),
    [
        (Parameter(name="a", values=[], choices=["x", "y"]), [(0, "x"), (1, "y")]),
        (
            Parameter(name="a", values=[], log=True, low=1e-3, high=1.0),
            [(-3, "0.001"), (-2, "0.01"), (-1, "0.1"), (0, "1")],
        ),
        (
            Parameter(name="a", values=[], low=0.0, high=2.0),
            [(0, "0"), (0.5, "0.5"), (1, "1"), (1.5, "1.5"), (2, "2")],
        ),
    ],
)
def test_ticks(parameter, ticks):
    assert parameter.ticks() == ticks


def test_a_range_of_one_value_has_room():
    assert Parameter(name="a", values=[], low=2.0, high=2.0).ends == (1.5, 2.5)
