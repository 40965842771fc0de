from sweeps.report.stretches import Stretch, whereabouts


def told(*events):
    return whereabouts({"t": t, "event": kind, **fields} for t, kind, fields in events)


def report(trial, total=None, **more):
    metrics = {} if total is None else {"time_total_s": total}
    return {"trial": trial, "host": "a", "metrics": metrics, "decision": "CONTINUE"} | more


def test_a_stretch_begins_as_long_before_its_report_as_it_has_trained():
    found = told(
        (100.0, "opened", {}),
        (101.0, "suggested", {"trial": "0"}),
        (120.0, "reported", report("0", 15.0)),
        (140.0, "reported", report("0", 30.0)),
        (141.0, "ended", {"trial": "0", "state": "completed"}),
        (150.0, "closed", {}),
    )
    assert found.stretches == [Stretch("0", "a", 105.0, 141.0, "completed")]
    assert (found.sessions, found.seconds, found.ended) == ([(100.0, 150.0)], 50.0, {"0": 141.0})


def test_a_trial_that_is_paused_or_fails_goes_on_in_a_stretch_of_its_own():
    found = told(
        (0.0, "opened", {}),
        (10.0, "reported", report("0", 8.0, decision="PAUSE")),
        (50.0, "reported", report("0", 20.0, host="b")),
        (55.0, "failed", {"trial": "0", "again": True}),
        (90.0, "reported", report("0", 50.0)),  # would have begun at 60
        (95.0, "ended", {"trial": "0", "state": "stopped"}),
        (96.0, "closed", {}),
    )
    assert found.stretches == [
        Stretch("0", "a", 2.0, 10.0, "paused"),
        Stretch("0", "b", 38.0, 55.0, "failed"),
        Stretch("0", "a", 60.0, 95.0, "stopped"),
    ]


def test_a_killed_driver_ends_its_stretches_at_its_last_event():
    found = told(
        (0.0, "opened", {}),
        (10.0, "reported", report("0", 5.0)),
        (20.0, "reported", report("1", 5.0)),
        (100.0, "opened", {}),
        (130.0, "reported", report("0", 60.0)),  # not before its session
    )
    assert found.stretches == [
        Stretch("0", "a", 5.0, 20.0, ""),
        Stretch("1", "a", 15.0, 20.0, ""),
        Stretch("0", "a", 100.0, 130.0, ""),
    ]
    assert found.sessions == [(0.0, 20.0), (100.0, 130.0)]


def test_on_a_cluster_with_prices_a_trial_is_where_it_was_placed_on_every_node():
    found = told(
        (0.0, "opened", {}),
        (1.0, "node", {"node": "n1", "state": "starting", "type": "gpu", "price": 2.0}),
        (5.0, "node", {"node": "n1", "state": "up", "type": "gpu", "price": 2.0}),
        (5.0, "node", {"node": "n2", "state": "up", "type": "gpu", "price": 2.0}),
        (6.0, "placed", {"trial": "0", "shares": {"n1": 0.5, "n2": 0.5}}),
        (9.0, "reported", report("0", 1.0)),
        (12.0, "moved", {"trial": "0", "iteration": 1}),
        (13.0, "node", {"node": "n2", "state": "gone"}),
        (14.0, "placed", {"trial": "0", "shares": {"n1": 0.5}}),
        (20.0, "ended", {"trial": "0", "state": "completed"}),
        (30.0, "closed", {}),
    )
    assert found.stretches == [
        Stretch("0", "n1", 6.0, 12.0, "moved"),
        Stretch("0", "n2", 6.0, 12.0, "moved"),
        Stretch("0", "n1", 14.0, 20.0, "completed"),
    ]
    assert [(n.name, n.begin, n.up, n.end) for n in found.nodes] == [
        ("n1", 1.0, 5.0, 30.0),
        ("n2", 5.0, 5.0, 13.0),
    ]


def test_a_journal_without_sessions_has_no_time():
    found = told((1.0, "suggested", {"trial": "0"}))
    assert (found.stretches, found.begin, found.seconds) == ([], None, 0.0)
