"""Hyperparameters with a value for each part."""

import pytest
import torch

from trainables.engine import hparams, parts
from trainables.engine.settings import Training


def test_parts_are_in_the_order_of_their_numbers_not_of_their_keys():
    given = {str(i): float(i) for i in (10, 2, 0, 1, *range(3, 10))}
    assert parts.values(given) == [float(i) for i in range(11)]
    assert parts.values(0.3) == [0.3]


@pytest.mark.parametrize("given", [{}, {"1": 0.1}, {"0": 0.1, "2": 0.1}, {"a": 0.1}])
def test_parts_without_a_number_are_refused(given):
    with pytest.raises(ValueError, match="parts are numbered from 0 without gaps"):
        parts.values(given)


def test_spread_gives_equal_runs_and_passes_derivatives_on():
    given = torch.tensor([1.0, 2.0], requires_grad=True)
    found = parts.spread(given, 5)
    assert found.tolist() == [1.0, 1.0, 1.0, 2.0, 2.0]
    found.sum().backward()
    assert given.grad.tolist() == [3.0, 2.0]
    assert parts.spread(0.5, 3).tolist() == [0.5] * 3


def test_a_config_may_give_a_number_or_a_value_for_each_part():
    config = hparams.make(Training, {"lr": {"0": "0.1", "1": 0.01}, "weight_decay": 1e-3})
    assert config.lr == {"0": 0.1, "1": 0.01}
    assert hparams.declared(Training)["lr"].kind == "float or one for each part"
    assert hparams.problems(Training, {"lr": {"0": 0.1, "2": 0.1}}) == [
        "`lr` is {'0': 0.1, '2': 0.1}; expected float or one for each part."
    ]
    assert hparams.problems(Training, {"lr": {"0": 0.1, "1": -0.1}}) == [
        "`lr` is {'0': 0.1, '1': -0.1}; it must be at least 0 and finite."
    ]
