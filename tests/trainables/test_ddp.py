"""Rank processes that fail, die and hang. Real actors, conducted from the test's own process."""

import os
import signal
import threading
import time

import pytest
import ray
import torch

from trainables.engine import Task
from trainables.engine.ddp import TrialFailed


class Slow(Task):
    """A linear fit with slow steps, which fails on request."""

    def setup(self):
        self.train = self.val = (torch.randn(4000, 2),)

    def build(self):
        return torch.nn.Linear(2, 1)

    def loss(self, model, batch):
        time.sleep(0.02)
        if torch.distributed.get_rank() == 1 and self.config.seed == 13:
            raise KeyError("no such pixel")
        return model(batch[0]).square().mean()

    def evaluate(self, model, ranks):
        return {"threads": float(torch.get_num_threads())}


LONG = {"report_every": 100_000, "batch_size": 4, "epochs": 10_000}


def gone(pids, within_s=5.0):
    """Whether all processes end in time (an ended one may linger as a zombie of Ray's)."""
    until = time.monotonic() + within_s

    def running(pid):
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False

    while time.monotonic() < until:
        if not any(running(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def signalled_in_mid_step(crew, rank, number):
    """Train, send the signal to one rank's process after half a second, and give the error with its delay."""
    pid = crew.places[rank][1]
    sent = []

    def send():
        sent.append(time.monotonic())
        os.kill(pid, number)

    timer = threading.Timer(0.5, send)
    timer.start()
    try:
        with pytest.raises(TrialFailed) as raised:
            crew.all("advance")
    finally:
        timer.join()
    return str(raised.value), time.monotonic() - sent[0]


def test_a_killed_rank_is_an_error_with_its_reason_within_seconds_and_takes_the_others_along(new_crew):
    crew = new_crew(Slow, ranks=2)
    crew.all("build", LONG)
    pids = [pid for _, pid in crew.places]
    reason, delay = signalled_in_mid_step(crew, 1, signal.SIGKILL)
    assert f"rank 1 of 2 (pid {pids[1]} on " in reason
    assert "died" in reason
    assert "(in `advance`)" in reason
    assert delay < 10
    assert gone(pids)


def test_a_hung_rank_is_an_error_after_the_watchdogs_time(new_crew):
    crew = new_crew(Slow, ranks=2, watchdog_s=2)
    crew.all("build", LONG)
    pids = [pid for _, pid in crew.places]
    reason, delay = signalled_in_mid_step(crew, 1, signal.SIGSTOP)
    assert f"Slow: rank 1 of 2 (pid {pids[1]} on " in reason  # rank 0, which waits for it, is not blamed
    assert "made no step for 2 s" in reason
    assert 1.5 < delay < 20
    assert gone(pids)


def test_one_ranks_exception_is_the_trials_with_its_type_and_words(new_crew):
    crew = new_crew(Slow, ranks=2)
    crew.all("build", LONG | {"seed": 13})
    with pytest.raises(TrialFailed, match=r"rank 1 of 2 \(pid \d+ on .*\) raised KeyError: 'no such pixel'"):
        crew.all("advance")
    assert gone([pid for _, pid in crew.places])


def test_one_crew_outlives_configs_and_long_work_and_stops_at_once_in_mid_step(new_crew):
    crew = new_crew(Slow, ranks=2, cpus_per_rank=1, watchdog_s=2.5)
    before = list(crew.places)
    crew.all("build", LONG | {"report_every": 200})
    assert crew.all("advance")[0]["steps"] == 200  # at least 4 s: steps keep the watchdog asleep
    crew.all("build", LONG | {"batch_size": 8, "report_every": 1})
    assert crew.all("advance")[1]["steps"] == 1
    assert crew.all("evaluate")[0]["threads"] == 1
    assert crew.all("place") == before

    crew.all("build", LONG)
    pending = [actor.obey.remote("advance") for actor in crew.actors]
    ray.wait(pending, timeout=0.3)
    crew.stop()
    assert gone([pid for _, pid in before], 3.0)
    assert not os.path.exists(crew.folder)
