import dataclasses
import json
from pathlib import Path

import pytest

from sweeps.certify import statement
from sweeps.certify.certificate import Certificate
from sweeps.certify.evidence import Record, records

DOCUMENT = Path(__file__).parents[3] / "docs" / "certificate.md"


def record(name, values, failures=(), seed_key="seed"):
    one = Record(name, {"x": name}, seed_key, values=list(values), reasons=list(failures))
    one.trials = [f"{name}-{i}" for i in range(len(values))]
    return one


def stated(*given, mode="min", **more):
    fields = {"sweep": "s", "sweep_trials": 9, "metric": "m", "default_is": "as declared", "budget": 15}
    in_sweep = {one.name: 0.0 for one in given if one.name != "default"}
    return statement.state({r.name: r for r in given}, mode=mode, in_sweep=in_sweep, **fields | more)


A, B = record("a", [1.0, 1.2, 1.1]), record("b", [1.6, 1.3, 1.5])
DEFAULT = record("default", [3.0, 2.6, 3.1])


def negative(one):
    return record(one.name, [-value for value in one.values])


def test_a_certificate_names_the_winner_and_what_it_gains():
    found = stated(A, B, DEFAULT)
    assert found.winner == "a"
    assert found.winner_config == {"x": "a"}
    assert 1.1 < found.winner_value < 1.3  # drawn from its mean towards that of both
    assert found.winner_low < 1.1 < found.winner_high
    assert found.gain == pytest.approx(2.9 - found.winner_value)
    assert 0 < found.gain_low < 2.9 - 1.1 < found.gain_high
    assert found.probability_best > 0.8
    assert found.default_value == pytest.approx(2.9)
    assert sum(row["probability_best"] for row in found.configurations) == pytest.approx(1)
    assert [row["configuration"] for row in found.configurations] == ["a", "b", "default"]


def test_what_is_maximised_is_the_mirror_of_what_is_minimised():
    least, most = stated(A, B, DEFAULT), stated(*map(negative, (A, B, DEFAULT)), mode="max")
    assert most.winner == least.winner
    assert most.winner_value == pytest.approx(-least.winner_value)
    assert (most.winner_low, most.winner_high) == pytest.approx((-least.winner_high, -least.winner_low))
    for name in ("gain", "gain_low", "gain_high", "probability_best", "noise"):
        assert getattr(most, name) == pytest.approx(getattr(least, name))
    assert [row["configuration"] for row in most.configurations] == ["a", "b", "default"]


def test_a_greater_confidence_is_a_wider_interval():
    wide, narrow = stated(A, B, DEFAULT, confidence=0.99), stated(A, B, DEFAULT, confidence=0.9)
    assert wide.gain_low < narrow.gain_low < narrow.gain_high < wide.gain_high
    assert wide.winner_low < narrow.winner_low < narrow.winner_high < wide.winner_high


def test_a_default_that_always_fails_leaves_the_gain_unstated_with_the_reason():
    found = stated(A, B, record("default", [None, None], ["boom"] * 2))
    assert found.winner == "a"
    assert found.winner_low is not None
    assert (found.gain, found.gain_low, found.default_value) == (None, None, None)
    assert found.failed == 2
    assert any("default failed in 2 of 2 trials and is out: boom" in note for note in found.notes)
    assert any("no gain is stated" in note for note in found.notes)


def test_without_a_default_the_certificate_says_why():
    found = stated(A, B, default_is="it breaks the constraint x < 1")
    assert found.gain is None
    assert "it breaks the constraint x < 1" in found.text()


def test_a_candidate_that_fails_too_often_neither_wins_nor_counts():
    bad = record("b", [0.1, None, None], ["CUDA out of memory"] * 2)
    found = stated(A, bad, DEFAULT)
    assert found.winner == "a"
    row = next(row for row in found.configurations if row["configuration"] == "b")
    assert (row["unreliable"], row["failed"], row["probability_best"], row["still_in"]) == (
        True,
        2,
        None,
        False,
    )
    assert "failed too often" in found.text()


def test_when_nothing_ended_well_nothing_is_certified():
    found = stated(record("a", [None], ["x"]), record("default", [None], ["y"]))
    assert found.winner is None
    assert "no configuration can be certified" in found.text()


@pytest.mark.parametrize("key", ["seed", None])
def test_a_deterministic_trainable_is_said_to_be_one(key):
    same = [record(n, [v] * 2, seed_key=key) for n, v in (("a", 0.3), ("b", 0.3), ("default", 0.5))]
    found = stated(*same)
    assert found.deterministic
    assert found.noise == 0.0
    assert found.winner_value == found.winner_low == found.winner_high == 0.3
    assert found.gain == found.gain_low == found.gain_high == pytest.approx(0.2)
    assert [row["probability_best"] for row in found.configurations] == [0.5, 0.5, 0.0]  # ties are shared
    assert ("name it with --seed-key" in found.text()) == (key is None)


def test_too_few_repeats_give_no_interval_and_say_so():
    found = stated(record("a", [1.0]), record("b", [2.0]), record("default", [3.0]))
    assert (found.winner, found.winner_low, found.gain_low, found.noise) == ("a", None, None, None)
    assert found.gain == pytest.approx(2.0)
    assert any("too few repeats" in note for note in found.notes)


def test_a_default_that_looks_better_than_the_sweep_is_said_to():
    found = stated(A, B, record("default", [0.1, 0.2, 0.1]))
    assert found.gain < 0
    assert any("default configuration looks better" in note for note in found.notes)


def test_a_single_candidate_can_be_certified():
    found = stated(A, DEFAULT)
    assert found.winner_value == pytest.approx(1.1)
    assert found.gain_low > 0


def test_a_certificate_survives_json():
    found = stated(A, B, DEFAULT)
    assert Certificate.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert Certificate.from_dict(found.to_dict() | {"of a later version": 1}) == found


def test_every_key_of_the_certificate_is_documented():
    text = DOCUMENT.read_text()
    keys = [one.name for one in dataclasses.fields(Certificate)]
    rows = stated(A, B, DEFAULT).configurations
    assert not [key for key in (*keys, *rows[0]) if f"`{key}`" not in text]


def test_the_evidence_is_what_the_journal_says():
    """Two configurations: one trial ended well, its last row without the metric; one failed, one runs."""
    memo = {"configuration": "a", "seed": 7, "seed_key": "seed"}
    config = {"seed": 7, "x": 1, "_aside": 2}
    events = [
        {"event": "opened"},
        {"event": "suggested", "trial": "0", "config": config, "memo": memo},
        {"event": "reported", "trial": "0", "metrics": {"m": 0.5}},
        {"event": "reported", "trial": "0", "metrics": {"other": 1}},
        {"event": "ended", "trial": "0", "state": "completed", "reason": None},
        {"event": "suggested", "trial": "1", "config": config, "memo": memo},
        {"event": "reported", "trial": "1", "metrics": {"m": 0.1}},
        {"event": "ended", "trial": "1", "state": "failed", "reason": "boom"},
        {"event": "suggested", "trial": "2", "config": config, "memo": memo | {"configuration": "b"}},
        {"event": "reported", "trial": "2", "metrics": {"m": 0.2}},
    ]
    found = records(events, "m")
    a, b = found["a"], found["b"]
    assert a.config == {"x": 1}
    assert (a.values, a.reasons, a.running, a.seeds, a.trials) == (
        [0.5, None],
        ["boom"],
        0,
        [7, 7],
        ["0", "1"],
    )
    assert (b.values, b.running) == ([None], 1)
    arm = a.arm("max")
    assert (arm.losses, arm.failed, arm.trials) == ([-0.5], 1, 2)
