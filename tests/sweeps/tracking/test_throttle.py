"""No more runs in any minute than W&B allows."""

import numpy as np
import pytest

from sweeps.tracking.throttle import Throttle, runs_per_minute


def test_fifty_at_once_and_the_next_a_minute_after_the_first():
    now = [100.0]
    throttle = Throttle(50, lambda: now[0])
    for _ in range(50):
        assert throttle.wait_s() == 0.0
        throttle.spend()
        now[0] += 0.1
    assert throttle.wait_s() == pytest.approx(55.0)
    now[0] = 160.0
    assert throttle.wait_s() == 0.0
    throttle.spend()
    assert throttle.wait_s() == pytest.approx(0.1)


def test_no_window_of_a_minute_has_more_than_allowed_whenever_runs_come():
    """A hundred random arrival patterns, seeded: an exact law, so no false alarm."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        now = [0.0]
        throttle, made = Throttle(7, lambda now=now: now[0]), []
        for gap in rng.exponential(rng.uniform(0.5, 20), 60):
            now[0] += gap + throttle.wait_s()
            assert throttle.wait_s() == 0.0
            throttle.spend()
            made.append(now[0])
        assert all(b - a >= 60.0 - 1e-9 for a, b in zip(made, made[7:], strict=False))


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5"])
def test_a_limit_that_is_none_is_refused(monkeypatch, given):
    monkeypatch.setenv("STARLING_WANDB_REQUESTS_PER_MINUTE", given)
    with pytest.raises(ValueError, match="give a whole number of requests"):
        runs_per_minute()


@pytest.mark.parametrize(("requests", "runs"), [(None, 12), ("200", 50), ("3", 1)])
def test_a_run_costs_four_requests(monkeypatch, requests, runs):
    monkeypatch.delenv("STARLING_WANDB_REQUESTS_PER_MINUTE", raising=False)
    if requests is not None:
        monkeypatch.setenv("STARLING_WANDB_REQUESTS_PER_MINUTE", requests)
    assert runs_per_minute() == runs
