"""Boosting equals the libraries that define it, and what is random in it does as it says.

That two ranks equal one and that resuming is exact is in test_contract.py, at the ends of every range.
"""

import sys

import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.tree import DecisionTreeClassifier

import trainables
from trainables.boosters import tables, trees
from trainables.boosters.sampling import columns, drawn
from trainables.boosting import GBDT, AdaBoost, XGBoost
from trainables.engine.ddp import Ranks

ALONE = Ranks(0, 1, torch.device("cpu"))
every = pytest.mark.parametrize("task", [AdaBoost, GBDT, XGBoost])


def table(classes, rows=600, features=5, seed=0):
    """Rows and a held-out part: labels by a noisy function of three features.

    No value comes twice, and the rows are many for trees of depth 2: no two splits of a node are as good.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * rows, features)).astype(np.float32)
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * rng.normal(size=2 * rows)
    if classes:
        y = np.digitize(y, np.quantile(y, np.linspace(0, 1, classes + 1)[1:-1]))
    return (x[:rows], y[:rows]), (x[rows:], y[rows:])


def on(task, train, val):
    """The task on a table of one's own, as a user would write it."""

    class Own(task):
        def setup(self):
            self.train, self.val = train, val

    return Own


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("depth", "rate"), [(1, 1.0), (2, 0.5)])
def test_adaboost_has_scikit_learns_weights_and_predictions(classes, depth, rate, one_rank):
    train, val = table(classes)
    engine = one_rank(
        on(AdaBoost, train, val),
        **{"max_depth": depth, "learning_rate": rate, "max_bins": 600, "rounds": 40, "report_every": 40},
    )
    engine.advance()
    oracle = AdaBoostClassifier(DecisionTreeClassifier(max_depth=depth), n_estimators=40, learning_rate=rate)
    oracle.fit(*train)
    assert len(engine.ensemble.alphas) == 40
    np.testing.assert_allclose(engine.ensemble.alphas, oracle.estimator_weights_, rtol=1e-9)
    for margins, (x, _) in zip(engine.ensemble.margins, (train, val), strict=False):
        np.testing.assert_array_equal(margins.argmax(1), oracle.predict(x))


def test_adaboost_ends_after_a_tree_without_error_as_scikit_learns(one_rank):
    x = np.arange(20, dtype=np.float32)[:, None]
    data = x, (x[:, 0] > 7).astype(np.int64)
    engine = one_rank(on(AdaBoost, data, data), rounds=30)
    assert (engine.advance() | engine.evaluate())["done"]
    oracle = AdaBoostClassifier(n_estimators=30).fit(*data)
    assert engine.ensemble.alphas == [1.0] == list(oracle.estimator_weights_[oracle.estimator_weights_ > 0])


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("leaf", [1, 7])
def test_gradient_boosting_has_scikit_learns_margins(classes, leaf, one_rank):
    """With leaf 1 of training rows only: two features may cut off the same row, and scikit-learn draws."""
    train, val = table(classes)
    engine = one_rank(
        on(GBDT, train, val), rounds=60, report_every=60, max_depth=2, max_bins=600, min_samples_leaf=leaf
    )
    engine.advance()
    kind = GradientBoostingClassifier if classes else GradientBoostingRegressor
    oracle = kind(n_estimators=60, max_depth=2, min_samples_leaf=leaf).fit(*train)
    for margins, (x, _) in zip(engine.ensemble.margins, (train, val) if leaf > 1 else (train,), strict=False):
        expected = oracle.decision_function(x) if classes else oracle.predict(x)
        np.testing.assert_allclose(margins, expected.reshape(len(x), -1), atol=1e-8)


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("reports", [1, 4])
def test_xgboost_has_the_margins_of_the_library_called_directly(classes, reports, one_rank):
    import xgboost

    train, val = table(classes)
    settings = {"max_depth": 4, "reg_lambda": 0.5, "gamma": 0.1, "min_child_weight": 2.0, "max_bins": 64}
    engine = one_rank(
        on(XGBoost, train, val), learning_rate=0.2, rounds=40, report_every=40 // reports, **settings
    )
    for _ in range(reports):
        engine.advance()
    params = {"eta": 0.2, "max_depth": 4, "lambda": 0.5, "gamma": 0.1, "min_child_weight": 2, "max_bin": 64}
    params |= {"nthread": 1}  # several may sum in another order each time
    params |= {"objective": "binary:logistic"} if classes == 2 else {}
    params |= {"objective": "multi:softprob", "num_class": 3} if classes == 3 else {}
    booster = xgboost.train(params, xgboost.QuantileDMatrix(*train, max_bin=64), 40)
    for margins, (x, _) in zip(engine.ensemble.margins, (train, val), strict=False):
        expected = booster.predict(xgboost.DMatrix(x), output_margin=True)
        np.testing.assert_array_equal(margins, expected.reshape(len(x), -1))


def test_xgboost_samples_columns_as_the_library_does_with_a_seed_for_each_round(one_rank):
    import xgboost

    train, val = table(2, features=12)
    engine = one_rank(on(XGBoost, train, val), rounds=20, report_every=20, colsample_bytree=0.5, seed=3)
    engine.advance()
    params = {"objective": "binary:logistic", "colsample_bytree": 0.5, "seed": 3, "seed_per_iteration": True}
    booster = xgboost.train(params, xgboost.QuantileDMatrix(*train), 20)
    expected = booster.predict(xgboost.DMatrix(val[0]), output_margin=True)
    np.testing.assert_array_equal(engine.ensemble.margins[1][:, 0], expected)


@every
def test_a_random_half_of_rows_and_columns_changes_the_trees_and_the_seed_says_which(task, one_rank):
    if task is AdaBoost:
        pytest.skip("AdaBoost sees all rows")
    train, val = table(2, features=12)

    def margins(**config):
        engine = one_rank(on(task, train, val), rounds=5, report_every=5, **config)
        engine.advance()
        return engine.ensemble.margins[0]

    for half in ({"subsample": 0.5}, {"colsample_bytree": 0.5}):
        assert np.array_equal(margins(**half), margins(**half))
        assert not np.array_equal(margins(**half), margins())
        assert not np.array_equal(margins(**half), margins(**half, seed=1))


def test_rows_are_drawn_with_the_probability_that_was_asked_for_and_the_same_by_parts():
    """False alarm: 1e-6, by the binomial distribution of the number drawn."""
    mask = drawn(7, 3, 10_000, slice(0, 10_000), 0.3)
    assert binom.ppf(5e-7, 10_000, 0.3) <= mask.sum() <= binom.ppf(1 - 5e-7, 10_000, 0.3)
    parts = [drawn(7, 3, 10_000, part, 0.3) for part in (slice(0, 123), slice(123, 10_000))]
    np.testing.assert_array_equal(np.concatenate(parts), mask)
    assert sorted(columns(7, 3, 10, 0.5)) != sorted(columns(7, 4, 10, 0.5))
    assert len(columns(7, 3, 10, 0.01)) == 1


def test_a_tree_grown_by_hand():
    """Two cuts: at 2.5 into (0, 0) and (8, 10, 12), whose error falls by 48.75; then at 3.5 by 6."""
    x = np.array([[1], [2], [3], [4], [5]], np.float32)
    y = np.array([0.0, 0.0, 8.0, 10.0, 12.0])
    cuts = trees.bins(x, 256)
    stats = np.stack([np.ones(5), y], 1)[None]
    grown, node = trees.grow(cuts, cuts.codes(x), stats, 2, ALONE)
    assert grown.feature.tolist() == [[0, -1, 0, -1, -1, -1, -1]]
    assert grown.threshold[0, [0, 2]].tolist() == [2.5, 3.5]
    assert node.tolist() == [[1, 1, 5, 6, 6]]
    assert grown.leaves(x).tolist() == node.tolist()
    assert trees.leaf_sums(stats, node, 7, ALONE)[0, :, 1].tolist() == [0, 0, 0, 0, 0, 8, 22]


def test_sums_of_exact_numbers_are_the_same_in_any_order():
    rng = np.random.default_rng(1)
    values = trees.exact(rng.normal(size=100_000).clip(-4, 4), 4.0, 100_000)
    shuffled = rng.permutation(values)
    assert values.sum() == shuffled.sum() == np.cumsum(shuffled)[-1]
    assert np.abs(values - rng.permutation(values)).max() > 1  # they are not all zero


def test_bins_hold_a_value_each_where_they_suffice_and_else_about_equally_many_rows():
    few, many = np.repeat([3.0, 1.0, 2.0], 7), np.random.default_rng(0).exponential(size=21)
    cuts = trees.bins(np.stack([few, many], 1).astype(np.float32), 4)
    assert cuts.lowest[0].tolist() == [1, 2, 3, np.inf]
    counts = np.bincount(cuts.codes(np.stack([few, many], 1).astype(np.float32))[:, 1])
    assert counts.max() - counts.min() <= 1


def test_trees_of_several_depths_and_counts_come_back_from_tensors():
    cuts = trees.bins((x := np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)), 256)
    stats = np.random.default_rng(1).normal(size=(2, 50, 2))
    stats[..., 0] = 1
    grown = [trees.grow(cuts, cuts.codes(x), stats, depth, ALONE)[0] for depth in (1, 3)]
    for one, again in zip(grown, trees.unpack(trees.pack(grown)), strict=True):
        for name in ("feature", "threshold", "value"):
            np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
    assert trees.unpack(trees.pack([])) == []


@pytest.mark.parametrize("name", tables.CLASSES + tables.NUMBERS)
def test_every_table_is_split_into_parts_without_common_rows(name):
    parts = tables.load(name)
    rows = np.concatenate([np.column_stack([x, y]) for x, y in parts])
    _, whole = parts[0][0].shape, getattr(__import__("sklearn.datasets").datasets, f"load_{name}")().data
    assert len(rows) == len(whole)
    assert np.allclose(np.sort(rows[:, 0]), np.sort(whole[:, 0].astype(np.float32)))


@every
@pytest.mark.parametrize(("dataset", "bar"), [("breast_cancer", 0.9), ("digits", 0.8)])
def test_it_learns_more_than_the_most_frequent_class(task, dataset, bar, one_rank):
    deep = {"max_depth": 3} if task is AdaBoost else {}
    engine = one_rank(task, dataset=dataset, rounds=30, report_every=30, **deep)
    report = engine.advance() | engine.evaluate()
    assert report["done"]
    assert report["trivial_score"] < 0.7 < bar < report["val_score"]
    assert report["test_score"] > bar


@pytest.mark.parametrize("task", [GBDT, XGBoost])
def test_numbers_are_scored_by_the_variance_explained(task, one_rank):
    engine = one_rank(task, dataset="diabetes", rounds=20, max_depth=2, report_every=20)
    report = engine.advance() | engine.evaluate()
    assert report["trivial_score"] == pytest.approx(0, abs=0.05)
    assert report["val_score"] > 0.2
    _, (_, y), _ = tables.load("diabetes")
    assert report["val_loss"] == pytest.approx((1 - report["val_score"]) * y.var())


@every
def test_patience_ends_a_trial_that_no_longer_improves(task, one_rank):
    train, _ = table(2)
    engine = one_rank(
        on(task, train, (train[0], 1 - train[1])), rounds=1000, report_every=5, patience=2, max_depth=3
    )
    reports = [engine.advance() | engine.evaluate() for _ in range(3)]
    assert [report["done"] for report in reports] == [False, False, True]


def test_margins_that_are_not_finite_end_the_trial_with_the_reason(one_rank):
    train, val = table(0)
    engine = one_rank(on(GBDT, train, val), rounds=400, report_every=400, learning_rate=1e3, max_bins=16)
    with np.errstate(all="ignore"):
        report = engine.advance() | engine.evaluate()
    assert report["done"]
    assert "after 400 rounds; a lower learning_rate may help" in report["fault"]


def test_without_the_library_xgboost_says_how_to_install_it(monkeypatch, one_rank):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(ValueError, match=r"pip install 'starling-sweeps\[xgboost\]'"):
        one_rank(XGBoost)
    monkeypatch.setattr("trainables.boosting.find_spec", lambda name: None)
    assert "pip install" in trainables.load("xgboost").obstacles({})[0]
    assert trainables.load("gbdt").obstacles({}) == []


def test_values_out_of_bounds_are_refused_all_at_once():
    wrong = trainables.load("xgboost").check({"subsample": 0.0, "learning_rate": -1, "reg_lambda": -1})
    assert wrong == ["`learning_rate` is -1.0; it must be above 0 and finite."]
    assert trainables.load("gbdt").check({"subsample": 2.0, "colsample_bytree": 0.0}) == [
        "`subsample` is 2.0; it must be above 0 and at most 1. "
        "`colsample_bytree` is 0.0; it must be above 0 and at most 1."
    ]
    assert "diabetes" in trainables.load("adaboost").check({"dataset": "diabetes"})[0]


def test_a_sweep_knows_how_many_reports_there_will_be():
    assert trainables.load("gbdt").reports({"rounds": 95}) == 10
