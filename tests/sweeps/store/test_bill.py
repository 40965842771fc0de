"""The bill of a sweep, from events whose dollars are worked out by hand."""

import pytest

from cluster.ledger import Ledger
from sweeps.store.bill import Bill, read


def events(*told):
    """(seconds, kind, fields) as the journal has them."""
    return [{"t": t, "event": kind, **fields} for t, kind, fields in told]


def node(name, state, price=None):
    return {"node": name, "state": state} | ({"type": "gpu", "price": price} if price else {})


ONE = events(
    (0, "opened", {}),
    (0, "node", node("a", "starting", 3.6)),  # 0.1 cents a second
    (100, "node", node("a", "up", 3.6)),
    (200, "placed", {"trial": "00000", "shares": {"a": 0.5}}),
    (300, "placed", {"trial": "00001", "shares": {"a": 0.25}}),
    (400, "ended", {"trial": "00000"}),
    (500, "ended", {"trial": "00001"}),
    (600, "node", node("a", "gone")),
    (700, "closed", {}),
)


def dollars(ledger):
    return pytest.approx(ledger.total), pytest.approx(ledger.boot), pytest.approx(ledger.idle), ledger.trials


def test_boot_trials_and_idle_time_of_one_node_add_up_to_its_price_times_its_time():
    total, boot, idle, trials = dollars(read(ONE))
    assert (total, boot) == (0.6, 0.1)
    assert trials == {"00000": pytest.approx(0.1), "00001": pytest.approx(0.05)}
    assert idle == 0.35


@pytest.mark.parametrize("cut", range(1, len(ONE)))
def test_the_bill_at_any_moment_adds_up(cut):
    bill = Bill()
    for event in ONE[:cut]:
        bill.fold(event)
    ledger = bill.until()
    assert ledger == read(ONE[:cut])
    assert bill.total(ONE[cut - 1]["t"]) == pytest.approx(ledger.total)
    assert ledger.total == pytest.approx(ledger.boot + ledger.idle + sum(ledger.trials.values()))
    assert ledger.total == pytest.approx(0.001 * min(ONE[cut - 1]["t"], 600))


def test_a_running_sweeps_bill_goes_on_between_events():
    bill = Bill()
    for event in ONE[:4]:
        bill.fold(event)
    assert bill.until(260).trials == {"00000": pytest.approx(0.03)}
    assert bill.until(260).total == pytest.approx(0.26)
    assert bill.total(260) == pytest.approx(0.26)


@pytest.mark.parametrize(
    "leaves",
    [("failed", {"again": True}), ("moved", {"iteration": 1}), ("reported", {"decision": "PAUSE"})],
)
def test_a_trial_that_leaves_its_node_costs_no_more_until_it_is_placed_again(leaves):
    kind, fields = leaves
    ledger = read(
        events(
            (0, "opened", {}),
            (0, "node", node("a", "up", 3.6)),
            (0, "node", node("b", "up", 36.0)),
            (0, "placed", {"trial": "t", "shares": {"a": 1.0}}),
            (100, kind, {"trial": "t", **fields}),
            (200, "placed", {"trial": "t", "shares": {"b": 1.0}}),
            (210, "ended", {"trial": "t"}),
            (210, "closed", {}),
        )
    )
    assert ledger.trials == {"t": pytest.approx(0.1 + 0.1)}
    assert ledger.total == pytest.approx(0.21 + 2.1)


def test_ranks_on_two_nodes_are_paid_on_both():
    ledger = read(
        events(
            (0, "opened", {}),
            (0, "node", node("a", "up", 3.6)),
            (0, "node", node("b", "up", 7.2)),
            (0, "placed", {"trial": "t", "shares": {"a": 1.0, "b": 0.5}}),
            (100, "ended", {"trial": "t"}),
        )
    )
    assert ledger.trials == {"t": pytest.approx(0.1 + 0.1)}


def test_nothing_is_paid_between_two_sessions_and_a_killed_one_ends_with_its_last_event():
    before = events(
        (0, "opened", {}),
        (0, "node", node("a", "up", 3.6)),
        (50, "placed", {"trial": "t", "shares": {"a": 1.0}}),
        (100, "reported", {"trial": "t", "decision": "CONTINUE"}),  # killed at 100 or later
        (5000, "opened", {}),
        (5000, "node", node("a", "up", 3.6)),
        (5010, "placed", {"trial": "t", "shares": {"a": 1.0}}),
        (5100, "ended", {"trial": "t"}),
        (5100, "closed", {}),
    )
    ledger = read(before)
    assert ledger.total == pytest.approx(0.1 + 0.1)
    assert ledger.trials == {"t": pytest.approx(0.05 + 0.09)}


def test_a_sweep_without_prices_has_no_bill():
    bill = Bill()
    bill.fold({"t": 0, "event": "opened"})
    bill.fold({"t": 9, "event": "ended", "trial": "t"})
    assert not bill.known
    assert bill.until() == Ledger(trials={})
