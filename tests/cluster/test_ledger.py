import numpy as np
import pytest

from cluster.ledger import NodeBill, Use, ledger, share


def node(price=3.6, begin=0.0, up=100.0, end=1100.0, uses=(), name="n"):
    return NodeBill(name=name, price=price, begin=begin, up=up, end=end, uses=uses)


def use(trial, part, begin, end):
    return Use(trial=trial, share=part, begin=begin, end=end)


def test_a_node_by_hand():
    """3.6 $/h is 0.1 cent a second: 100 s of boot, then a half for 600 s, and nobody for the rest."""
    found = ledger([node(uses=[use("a", 0.5, 100, 700)])])
    assert found.total == pytest.approx(1.10)
    assert found.boot == pytest.approx(0.10)
    assert found.trials == {"a": pytest.approx(0.30)}
    assert found.idle == pytest.approx(0.30 + 0.40)


def test_a_trial_with_the_only_gpu_has_the_whole_node():
    assert share({"CPU": 2, "GPU": 1}, {"CPU": 8, "GPU": 1}) == 1.0
    assert share({"CPU": 2}, {"CPU": 8, "GPU": 1}) == 0.25


def test_shares_above_one_are_cut_in_proportion():
    """One has all CPUs, the other the GPU, for the same 1,000 s."""
    found = ledger([node(uses=[use("cpus", 1.0, 100, 1100), use("gpu", 1.0, 100, 1100)])])
    assert found.trials == {"cpus": pytest.approx(0.5), "gpu": pytest.approx(0.5)}
    assert found.idle == pytest.approx(0.0)


def test_a_trial_on_two_nodes_pays_for_its_part_of_both():
    parts = [node(name=str(i), uses=[use("a", 0.25, 100, 1100)]) for i in range(2)]
    assert ledger(parts).trials == {"a": pytest.approx(0.5)}


def test_a_node_that_never_came_up_is_all_boot():
    found = ledger([node(up=1100.0)])
    assert found.boot == pytest.approx(found.total)


def test_what_is_paid_for_adds_up_to_the_bill_whoever_used_what():
    """500 random nodes with up to 12 uses that overlap as they like; prices to the thousandth of a dollar."""
    rng = np.random.default_rng(0)
    for k in range(500):
        nodes = []
        for i in range(int(rng.integers(1, 6))):
            begin, boot, life = rng.uniform(0, 1e4), rng.exponential(150), rng.exponential(5000)
            up, end = begin + boot, begin + boot + life
            times = np.sort(rng.uniform(up, end, (int(rng.integers(0, 13)), 2)), axis=1)
            uses = [
                use(f"t{int(rng.integers(6))}", float(rng.uniform(0.01, 1)), float(a), float(b))
                for a, b in times
            ]
            nodes.append(node(round(float(rng.uniform(0, 99)), 3), begin, up, end, uses, f"{k}-{i}"))
        found = ledger(nodes)
        bill = sum(one.price * (one.end - one.begin) / 3600 for one in nodes)
        assert found.total == pytest.approx(bill)
        assert found.boot + found.idle + sum(found.trials.values()) == pytest.approx(bill, abs=1e-6)
        cents = found.cents()
        assert cents["total"] == round(100 * bill)
        assert cents["total"] == sum(value for name, value in cents.items() if name != "total")


def test_cents_go_to_the_largest_remainders():
    """Three trials of a third of a dollar each: 33, 33 and 34."""
    third = [use(name, 1.0, 100 + 1000 * i, 1100 + 1000 * i) for i, name in enumerate("abc")]
    found = ledger([node(price=1.2, begin=100.0, up=100.0, end=3100.0, uses=third)]).cents()
    assert found["total"] == 100
    assert sorted(found[name] for name in "abc") == [33, 33, 34]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"up": -1.0}, "must begin, come up and end in this order"),
        ({"uses": [use("a", 1.5, 200, 300)]}, r"a share lies in \(0, 1\]"),
        ({"uses": [use("a", 0.5, 50, 300)]}, "the node is up from 100"),
    ],
)
def test_what_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        node(**changes)
