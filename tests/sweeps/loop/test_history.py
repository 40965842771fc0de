"""What the journal's events add up to."""

from sweeps.loop.history import seconds_spent


def test_the_time_of_a_sweep_is_that_of_its_sessions_without_the_pauses_between_them():
    times = [
        ("opened", 100.0), ("suggested", 101.0), ("reported", 130.0),  # killed: 30 s that are known of
        ("opened", 1000.0), ("reported", 1005.0), ("reported", 1004.0), ("closed", 1006.0),  # 5 and 2 s
        ("opened", 1500.0),
    ]  # fmt: skip
    assert seconds_spent({"event": event, "t": t} for event, t in times) == 37.0
    assert seconds_spent([]) == 0.0
