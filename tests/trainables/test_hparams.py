from dataclasses import dataclass

import numpy as np
import pytest
from ray import tune

from trainables.engine import hparams
from trainables.engine.hparams import hyper
from trainables.engine.settings import Training


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    rate: float = hyper(0.1, "A rate.", low=0.01, high=1.0, log=True, mutable=True)
    count: int = hyper(3, "A count.", low=1, high=8)
    kind: str = hyper("red", "A colour.", choices=("red", "green"))
    flag: bool = hyper(False, "A switch.", choices=(False, True))
    limit: int | None = hyper(None, "A limit.")

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"`count` is {self.count}; it must be at least 1.")


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"count": 64.0}, 64),
        ({"count": "64"}, 64),
        ({"count": np.int64(64)}, 64),
        ({"rate": "0.1"}, 0.1),
        ({"rate": 1}, 1.0),
        ({"rate": np.float32(0.5)}, 0.5),
        ({"flag": "true"}, True),
        ({"flag": 0}, False),
        ({"limit": "None"}, None),
        ({"limit": 5.0}, 5),
        ({"kind": "green"}, "green"),
    ],
)
def test_values_are_converted_where_nothing_is_lost(given, made):
    value = getattr(hparams.make(Config, given), next(iter(given)))
    assert value == made
    assert type(value) is type(made)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"count": 64.5}, "`count` is 64.5; expected int"),
        ({"count": True}, "`count` is True; expected int"),
        ({"count": "many"}, "`count` is 'many'; expected int"),
        ({"count": float("nan")}, "`count` is nan; expected int"),
        ({"rate": "fast"}, "`rate` is 'fast'; expected float"),
        ({"flag": 2}, "`flag` is 2; expected bool"),
        ({"limit": "5.5"}, "`limit` is '5.5'; expected int or None"),
        ({"kind": "gren"}, "`kind` is 'gren'; allowed: 'red', 'green'; did you mean 'green'?"),
        ({"kind": {"nested": 1}}, "`kind` is {'nested': 1}; expected str"),
        ({"raet": 0.1}, "unknown hyperparameter `raet`; did you mean `rate`?"),
        ({"zzz": 0.1}, "unknown hyperparameter `zzz`; known: rate, count, kind, flag, limit"),
        ({"count": 0}, "`count` is 0; it must be at least 1."),
    ],
)
def test_anything_else_is_refused_with_the_reason(given, reason):
    assert any(reason in problem for problem in hparams.problems(Config, given))


def test_all_problems_come_at_once():
    given = {"raet": 1, "count": 0, "kind": "blue"}
    assert len(hparams.problems(Config, given)) == 3
    with pytest.raises(ValueError, match=r"`raet`.*blue.*at least 1"):
        hparams.make(Config, given)


def test_the_tune_space_has_the_declared_ranges_ends_included():
    space = hparams.tune_space(Config)
    assert set(space) == {"rate", "count", "kind", "flag"}
    assert (space["rate"].lower, space["rate"].upper) == (0.01, 1.0)
    assert isinstance(space["rate"].sampler, tune.search.sample.LogUniform)
    assert {space["count"].sample() for _ in range(300)} == set(range(1, 9))
    assert space["kind"].categories == ["red", "green"]


def test_a_space_over_an_unknown_or_unbounded_hyperparameter_is_refused():
    with pytest.raises(ValueError, match="did you mean `count`"):
        hparams.tune_space(Config, ["conut"])
    with pytest.raises(ValueError, match="`limit` declares no range"):
        hparams.tune_space(Config, ["limit"])


def test_mutable_names_come_from_the_declarations():
    assert hparams.mutable(Config) == {"rate"}
    assert {"lr", "weight_decay", "batch_size", "momentum"} <= hparams.mutable(Training)
    assert not {"seed", "optimizer", "epochs", "precision"} & hparams.mutable(Training)


def test_every_hyperparameter_of_the_loop_says_what_it_is():
    for name, known in hparams.declared(Training).items():
        assert known.doc.endswith("."), name
        assert known.low is None or known.low < known.high, name


def test_the_loops_own_bounds_are_checked_and_all_reported():
    with pytest.raises(ValueError, match=r"`lr` is -1.*`momentum` is 1.*`epochs` is 0"):
        Training(lr=-1.0, momentum=1.0, epochs=0)
