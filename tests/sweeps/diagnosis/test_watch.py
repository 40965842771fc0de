"""The stopper by itself: what ends a trial, and what does not, report by report."""

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from sweeps.diagnosis.watch import Watch


def watch(labels=("diverged", "overfit"), metric="val_loss", mode="min", past=()):
    return Watch(SimpleNamespace(stop_on=labels, metrics=(metric,), modes=(mode,)), past)


def reported(iteration, metrics, trial="00000", **more):
    return {"event": "reported", "trial": trial, "iteration": iteration, "metrics": metrics, **more}


def ends(one, rows, trial="00000", last=None):
    """The iteration at which it ends the trial and why, or None."""
    for iteration, metrics in enumerate(rows, 1):
        said = one.verdict(trial, iteration, metrics, last=iteration == last)
        if said is not None:
            return iteration, said
        one.fold(reported(iteration, metrics, trial))
    return None


def rows(train, val):
    return [{"train_loss": float(a), "val_loss": float(b)} for a, b in zip(train, val, strict=True)]


t = np.arange(1, 41)
GOOD = rows(np.exp(-t / 8), 1.1 * np.exp(-t / 9))
OVERFIT = rows(np.exp(-t / 8), np.exp(-t / 8) + 0.02 * np.maximum(0, t - 12))
GROWING = rows(1.3**t, 1.3**t)


def test_a_value_that_is_not_finite_ends_a_trial_at_once_also_in_its_last_report():
    broken = [*GOOD[:2], {"train_loss": 0.5, "val_loss": math.nan}]
    assert ends(watch(), broken, last=3) == (3, "diverged: val_loss is nan at report 3.")
    assert ends(watch(labels=("overfit",)), broken) is None


def test_a_loss_that_grows_ends_its_trial_and_the_others_go_on():
    one = watch()
    at, said = ends(one, GROWING, "00001")
    assert at <= 8
    assert said.startswith("diverged: train_loss went from 1.3 at report 1")
    assert ends(one, GOOD, "00002") is None


def test_overfitting_ends_a_trial_only_where_it_is_asked_for():
    at, said = ends(watch(), OVERFIT)
    # Its minimum is .213 at 14.7; an eighth of the fall before it (.75) more is reached at 25.
    assert 24 <= at <= 27
    assert said.startswith("overfit: val_loss went from")
    assert ends(watch(labels=("diverged",)), OVERFIT) is None


def test_a_loss_that_rises_while_the_sweeps_metric_improves_is_let_go_on():
    better = [row | {"val_accuracy": 0.5 + 0.01 * i} for i, row in enumerate(OVERFIT)]
    assert ends(watch(metric="val_accuracy", mode="max"), better) is None


def test_a_report_that_ends_the_trial_anyway_is_not_judged_by_its_curve():
    at, _ = ends(watch(), OVERFIT)
    one = watch()
    assert ends(one, OVERFIT[: at - 1]) is None
    assert one.verdict("00000", at, OVERFIT[at - 1], last=True) is None


def test_a_copy_begins_a_new_curve():
    one = watch()
    assert ends(one, GROWING[:3]) is None
    one.fold({"event": "copied", "trial": "00000", "config": {"lr": 0.1}})
    assert ends(one, GROWING[3:6]) is None  # three reports of a new curve


@pytest.mark.parametrize("cut", [1, 7, 15])
def test_a_resume_that_has_read_the_past_decides_as_before(cut):
    whole = ends(watch(), OVERFIT)
    past = [{"event": "suggested", "trial": "00000", "config": {}, "memo": None}]
    past += [reported(i, row) for i, row in enumerate(OVERFIT[:cut], 1)]
    one = watch(past=past)
    again = None
    for iteration, metrics in enumerate(OVERFIT[cut:], cut + 1):
        if (said := one.verdict("00000", iteration, metrics)) is not None:
            again = iteration, said
            break
        one.fold(reported(iteration, metrics))
    assert again == whole


def test_copies_inside_of_past_reports_are_read_too():
    copied = [{"trial": "00001", "config": {}, "donor": "00000"}]
    past = [reported(i, row, "00001") for i, row in enumerate(GROWING[:3], 1)]
    past += [reported(1, GOOD[0], copied=copied)]
    assert ends(watch(past=past), GROWING[3:6], "00001") is None


def test_reports_without_any_loss_or_metric_end_nothing():
    assert ends(watch(), [{"steps": 1}, {"steps": 2}, {"note": "text"}]) is None


def test_a_long_curve_is_looked_at_ever_less_often_but_nan_at_once():
    looked = [n for n in range(1, 1001) if not Watch._passes(n)]
    assert looked[:5] == [4, 5, 6, 7, 8]
    assert len(looked) < 250
    calm = rows(1 / np.arange(1, 80), 1 / np.arange(1, 80))
    assert ends(watch(), [*calm, {"train_loss": math.inf, "val_loss": 1.0}])[0] == 80


def counts(synthetic, seed, draws):
    """Of each family: how many trials were ended, by label."""
    found = {}
    for number, family in enumerate(synthetic.FAMILIES):
        found[family] = Counter()
        for i in range(draws):
            n = (10, 20, 30, 60)[i % 4]
            drawn = synthetic.draw(family, np.random.default_rng([seed, i, number]), n)
            said = ends(watch(), rows(drawn["train_loss"], drawn["val_loss"]), last=n)
            found[family][said[1].partition(":")[0] if said else None] += 1
    return found


def judge(found, draws):
    for family, ended in found.items():
        wrong = sum(count for label, count in ended.items() if label not in (None, family))
        assert wrong <= 0.02 * draws + 1, (family, ended)
    assert found["diverged"]["diverged"] >= 0.9 * draws
    assert found["overfit"]["overfit"] >= 0.6 * draws


def test_trials_that_are_not_lost_are_let_go_on(synthetic):
    """Asked at every report of 16 held-out curves a label; no more than one false end each."""
    judge(counts(synthetic, 78, 16), 16)


@pytest.mark.slow
def test_many_trials_that_are_not_lost_are_let_go_on(synthetic):
    found = counts(synthetic, 79, 300)
    for family, ended in found.items():
        print(f"| {family} | {ended['diverged'] / 300:.1%} | {ended['overfit'] / 300:.1%} |")
    judge(found, 300)
