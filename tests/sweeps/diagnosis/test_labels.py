"""Each label on curves that one can judge by eye, then on many with known labels.

The bars below were fixed before the detectors were tuned. They were tuned on seeds that begin with 1000; here
and in docs/diagnosis.md are others.
"""

from collections import Counter

import numpy as np
import pytest

from sweeps.diagnosis import Curve, examine
from sweeps.diagnosis import labels as registry
from sweeps.diagnosis.finding import certainty
from sweeps.diagnosis.levels import flat_from, noise, trend
from sweeps.diagnosis.watch import curve_of

HELD_OUT = 77
LENGTHS = {"20 to 200": (20, 30, 50, 90, 200), "10 to 14": (10, 14), "5 to 7": (5, 7)}
PRECISION = {"20 to 200": 0.9, "10 to 14": 0.8, "5 to 7": 0.7}
RECALL = {"20 to 200": 0.85, "10 to 14": 0.6, "5 to 7": 0.3}
BLIND = {"noisy", "validation_noise"}
"""Labels that say nothing of fewer than 10 reports (noisy: 8)."""

t = np.arange(1, 31)
fall = np.exp(-t / 5)


def found(**series):
    return {one.label: one for one in examine(Curve.of(**series))}


# -- by hand ---------------------------------------------------------------------------------------


def test_a_training_that_gets_better_to_its_end_has_nothing_wrong():
    assert not found(train_loss=2 / t**0.7, val_loss=2.1 / t**0.6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_diverged_and_says_where(value):
    one = found(train_loss=[2.0, 1.5, value, value], config={"lr": 3.0})["diverged"]
    assert one.text == f"train_loss is {value:g} at report 3 (lr 3)."
    assert one.confidence > 0.95
    assert "--set lr=0.3" in one.next_step


def test_a_loss_that_grows_from_its_first_report_is_diverged():
    one = found(train_loss=2 * 1.4 ** np.arange(6), val_loss=2 * 1.4 ** np.arange(6))["diverged"]
    assert one.evidence["best"] == 2.0
    assert one.evidence["last"] == pytest.approx(1.4**4 + 1.4**5)  # the median of the last two


def test_a_loss_that_jumps_back_to_where_it_began_is_diverged():
    assert set(found(train_loss=[2.3, 1.0, 0.5, 0.3, 2.3, 2.31, 2.3, 2.3])) == {"diverged"}


def test_one_spike_is_no_divergence():
    spike = 2 * fall + 0.05
    spike[15:17] = 4.0
    assert "diverged" not in found(train_loss=spike, val_loss=spike)


def test_a_classifier_that_guesses_after_a_blow_up_is_diverged_and_one_that_learned_at_once_is_not():
    dead = {"train_loss": [9.0, *[2.31] * 8], "val_loss": [2.4, *[2.31] * 8], "metric": [0.1] * 9}
    assert "no better than guessing" in found(**dead, mode="max")["diverged"].text
    done = {"train_loss": [1.8, *[0.18] * 8], "val_loss": [0.7, *[0.18] * 8], "metric": [0.8, *[0.94] * 8]}
    assert "diverged" not in found(**done, mode="max")


def test_a_steady_fall_is_a_learning_rate_that_is_too_low():
    one = found(train_loss=2 - 0.01 * t, val_loss=2 - 0.01 * t, config={"lr": 1e-4})["lr_too_low"]
    assert one.evidence["first_half"] == pytest.approx(one.evidence["second_half"], rel=0.1)
    assert "--set lr=0.001" in one.next_step


def test_a_loss_that_has_not_moved_is_a_learning_rate_that_is_too_low():
    assert set(found(train_loss=2.3 - 1e-5 * t, val_loss=2.3 - 1e-5 * t)) == {"lr_too_low"}


def test_a_warm_up_is_not_taken_for_a_low_learning_rate():
    slow = np.concatenate([2 - 0.001 * np.arange(15), 0.1 + 1.9 * np.exp(-np.arange(30) / 7)])
    rate = np.concatenate([np.linspace(0, 0.4, 15), np.ones(30)])
    assert not found(train_loss=slow, val_loss=slow, lr=rate)


def test_a_held_out_loss_that_rises_while_training_goes_on_is_overfitting():
    val = fall + 0.02 * np.maximum(0, t - 10)
    one = found(train_loss=fall, val_loss=val, config={"weight_decay": 1e-4})["overfit"]
    assert one.evidence["at_iteration"] == 12  # where exp(-t/5)/5 falls below .02: t = 11.5
    assert one.evidence["best"] == pytest.approx(val[10:13].mean())  # smoothed over three
    assert one.evidence["lost"] == pytest.approx(val[-6:].mean() - val[10:13].mean())
    assert "--set weight_decay=0.001" in one.next_step
    assert "--max-iterations 12" in one.next_step


def test_a_rising_loss_with_a_metric_that_still_improves_is_less_sure():
    val = fall + 0.02 * np.maximum(0, t - 10)
    still = found(train_loss=fall, val_loss=val, metric=0.5 + 0.01 * t, mode="max")["overfit"]
    stands = found(train_loss=fall, val_loss=val, metric=np.full(30, 0.9), mode="max")["overfit"]
    assert still.confidence <= 0.6 < stands.confidence
    assert "has still gained" in still.text


def test_when_both_losses_rise_it_is_not_overfitting():
    both = fall + 0.02 * np.maximum(0, t - 10)
    assert "overfit" not in found(train_loss=both, val_loss=both)


def test_a_held_out_loss_that_stands_still_for_long_is_a_plateau():
    one = found(train_loss=0.2 + fall, val_loss=0.5 + np.exp(-t / 1.5), config={"schedule": "constant"})
    assert one["plateau"].evidence["flat_from"] <= 9
    assert one["plateau"].evidence["level"] == pytest.approx(0.5, abs=0.01)
    assert "--set schedule=cosine" in one["plateau"].next_step


def test_a_training_that_got_to_the_bottom_is_no_plateau():
    assert not found(train_loss=np.exp(-t), val_loss=0.01 + np.exp(-t))


def test_two_losses_that_stop_together_high_up_are_too_small_a_model():
    high = 1.2 + np.exp(-t / 1.5)
    one = found(train_loss=high, val_loss=high + 0.01, config={"width": 8, "depth": 1})
    assert set(one) == {"capacity"}
    assert "--set width=16, or --set depth=2" in one["capacity"].next_step


def test_what_all_trials_of_a_sweep_reach_is_no_lack_of_capacity():
    high = 1.2 + np.exp(-t / 1.5)
    assert not found(train_loss=high, val_loss=high, floor=1.2, val_floor=1.2)


def test_a_training_loss_that_jumps_is_a_small_batch():
    shaken = 2 * fall + 0.3 * np.random.default_rng(2).standard_normal(30)
    one = found(train_loss=shaken, val_loss=2 * fall, config={"batch_size": 8, "accumulate": 1})["noisy"]
    assert one.evidence["noise"] == pytest.approx(0.3, rel=0.4)
    assert "--set batch_size=32 or --set accumulate=4" in one.next_step


def test_the_noise_scale_speaks_for_or_against_the_batch():
    shaken = 2 * fall + 0.3 * np.random.default_rng(2).standard_normal(30)
    series = {"train_loss": shaken, "val_loss": 2 * fall, "config": {"batch_size": 100, "accumulate": 1}}
    large = found(**series, grad_variance=np.full(30, 900.0), grad_square=np.ones(30))["noisy"]
    assert large.evidence["noise_scale"] == 900
    assert "noise scale is 900 samples, a step has 100" in large.text
    assert "noisy" not in found(**series, grad_variance=np.full(30, 20.0), grad_square=np.ones(30))


def test_a_held_out_loss_that_jumps_alone_is_the_evaluations_noise():
    val = 2 * fall + 0.2 * np.random.default_rng(1).standard_normal(30)
    one = found(train_loss=2 * fall, val_loss=val)["validation_noise"]
    assert one.evidence["noise"] == pytest.approx(0.2, rel=0.4)
    assert "use them each time" in one.next_step


def test_jumps_that_come_with_the_gradients_are_the_weights():
    rng = np.random.default_rng(1)
    shake = rng.standard_normal(30)
    val = 2 * fall + 0.2 * shake
    assert "validation_noise" not in found(train_loss=2 * fall, val_loss=val, grad_norm=np.exp(shake))
    others = np.exp(rng.standard_normal(30))
    assert "validation_noise" in found(train_loss=2 * fall, val_loss=val, grad_norm=others)


def test_a_plateau_that_ends_in_a_sudden_fall_is_an_escape():
    one = found(train_loss=np.where(t < 20, 1.0 - 1e-4 * t, 0.1), val_loss=np.where(t < 20, 1.0, 0.1))
    assert set(one) == {"escape"}
    assert one["escape"].evidence["gained"] == pytest.approx(0.9, abs=0.01)
    assert 17 <= one["escape"].evidence["at_iteration"] <= 19


def test_a_fall_that_comes_with_a_lower_learning_rate_is_no_escape():
    rate = np.where(t < 20, 0.1, 0.01)
    assert "escape" not in found(train_loss=np.where(t < 20, 1.0, 0.1), lr=rate)


# -- the pieces ------------------------------------------------------------------------------------


def test_noise_is_that_of_white_noise_on_a_bent_curve():
    """Over 200 draws of 60 reports its mean is right within 10 %; one draw's deviation is 15 %, so the mean's
    is 1 %: a false alarm is out of the question, the rest is the estimator's bias."""
    rng = np.random.default_rng(0)
    smooth = 3 * np.exp(-np.arange(60) / 15)
    estimates = [noise(smooth + 0.05 * rng.standard_normal(60)) for _ in range(200)]
    assert np.mean(estimates) == pytest.approx(0.05, rel=0.1)
    assert noise(smooth) < 1e-3
    assert noise(np.array([3.0, 1.0, 2.0])) == 0


def test_a_trend_is_least_squares():
    line = trend(1.0 + 0.5 * np.arange(11))
    assert line.change == pytest.approx(5.0)
    assert line.error == pytest.approx(0.0, abs=1e-12)


def test_flat_from_where_it_is_flat():
    y = np.concatenate([np.linspace(2, 1, 10), np.ones(20)])
    assert 8 <= flat_from(y, 1.0) <= 11
    assert flat_from(np.linspace(2, 1, 30), 1.0) is None


def test_certainty_is_a_line_through_its_two_points():
    assert (certainty(1, 1, 3), certainty(3, 1, 3)) == (0.5, 0.9)
    assert (certainty(9, 1, 3), certainty(-9, 1, 3)) == (0.99, 0.0)
    assert certainty(0, 1, 0) == pytest.approx(0.9)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_loss_in_other_units_has_the_same_findings(synthetic, scale):
    for family in synthetic.FAMILIES:
        drawn = synthetic.draw(family, np.random.default_rng(5), 40)
        units = {key: value * scale for key, value in drawn.items() if key in ("train_loss", "val_loss")}
        plain, other = examine(Curve.of(**drawn)), examine(Curve.of(**drawn | units))
        assert [one.label for one in plain] == [one.label for one in other]
        assert [one.confidence for one in plain] == pytest.approx([one.confidence for one in other])


def test_a_metric_to_be_maximised_is_told_with_its_own_sign():
    accuracy = np.array([0.1, 0.5, 0.8, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    one = found(metric=accuracy, mode="max", names={"metric": "val_accuracy"})["diverged"]
    assert "val_accuracy went from 0.9 at report 4 to 0.1; it began at 0.1" in one.text


def test_every_label_says_what_it_means_and_hides_known_ones():
    names = registry.names()
    assert list(names) == sorted([
        "capacity", "diverged", "escape", "lr_too_low", "noisy", "overfit", "plateau", "validation_noise",
    ])  # fmt: skip
    for name in names:
        label = registry.load(name)
        assert label.ABOUT
        assert set(label.HIDES) <= set(names)
    assert registry.stopping() == ["diverged", "overfit"]
    assert registry.problem("diverged") is None
    assert "did you mean 'overfit'" in registry.problem("overfitt")
    assert "says too little while a trial runs" in registry.problem("plateau")


def test_curves_of_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match=r"lengths \[2, 3\]; give one value a report"):
        Curve.of(train_loss=[1, 2, 3], val_loss=[1, 2])


# -- how often they are right ----------------------------------------------------------------------


def scores(synthetic, seed, lengths, draws):
    """(true, said) counted over curves of every family; a curve without a finding is `healthy`."""
    counts, totals = Counter(), Counter()
    for number, family in enumerate(synthetic.FAMILIES):
        for i in range(draws):
            n = lengths[i % len(lengths)]
            drawn = synthetic.draw(family, np.random.default_rng([seed, n, i, number]), n)
            said = {one.label for one in examine(Curve.of(**drawn))} or {"healthy"}
            totals[family] += 1
            counts.update((family, label) for label in said)
    families = list(synthetic.FAMILIES)
    precision, recall = {}, {}
    for label in families:
        claimed = sum(counts[family, label] for family in families)
        precision[label] = counts[label, label] / claimed if claimed else 1.0
        recall[label] = counts[label, label] / totals[label]
    return precision, recall


@pytest.mark.parametrize("lengths", LENGTHS)
def test_labels_of_held_out_curves_are_right_as_often_as_said(synthetic, lengths):
    """40 curves a label here, 400 in the slow test; at a true share of .96 a share below .85 of 40 comes in 1
    of 300 runs with other seeds (these are fixed)."""
    judge(lengths, *scores(synthetic, HELD_OUT, LENGTHS[lengths], 40))


@pytest.mark.slow
@pytest.mark.parametrize("lengths", LENGTHS)
def test_labels_of_many_held_out_curves_are_right_as_often_as_said(synthetic, lengths):
    precision, recall = scores(synthetic, HELD_OUT + 1, LENGTHS[lengths], 400)
    for label in precision:
        print(f"| `{label}` | {lengths} | {precision[label]:.1%} | {recall[label]:.1%} |")
    judge(lengths, precision, recall)


def judge(lengths, precision, recall):
    for label in registry.names():
        if lengths == "5 to 7" and label in BLIND:
            assert recall[label] < 0.1
            continue
        assert precision[label] >= PRECISION[lengths], (label, precision)
        assert recall[label] >= RECALL[lengths], (label, recall)
    assert recall["healthy"] >= 0.9


def labels_of(reports, config):
    metric, mode = ("val_accuracy", "max") if "val_accuracy" in reports[0] else ("val_loss", "min")
    curve = curve_of(list(enumerate(reports, 1)), config, metric, mode)
    return {one.label for one in examine(curve)}


QUICK = ("blown_up", "lr_a_little_too_low", "overfit", "escape", "healthy_mlp")


@pytest.mark.parametrize("name", QUICK)
def test_real_trainings_get_their_label(trained, name):
    (label,) = (label for label, made in trained.TRAININGS.items() if getattr(trained, name) in made)
    said = labels_of(*getattr(trained, name)(2))
    assert (label in said) if label != "healthy" else not said


@pytest.mark.slow
def test_labels_of_real_trainings_are_right_as_often_as_said(trained):
    """All trainings with 6 seeds each; a label beyond the training's own (and `ALSO`) counts as wrong."""
    right, claimed, made = Counter(), Counter(), Counter()
    for label, makers in trained.TRAININGS.items():
        for make in makers:
            for seed in range(40, 46):
                said = labels_of(*make(seed)) - trained.ALSO.get(label, set())
                made[label] += 1
                right[label] += label in said or (label == "healthy" and not said)
                claimed.update(said)
    for label in registry.names():
        print(f"| `{label}` | {right[label]} of {made[label]} | {right[label]} of {claimed[label]} |")
    print("healthy", right["healthy"], made["healthy"])
    for label in set(trained.TRAININGS) - {"healthy", "not validation_noise"}:
        assert right[label] >= 0.75 * made[label], (label, right, made)
        assert right[label] >= 0.75 * claimed[label], (label, right, claimed)
    assert right["healthy"] >= 0.75 * made["healthy"]
