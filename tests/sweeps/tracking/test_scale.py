"""A thousand runs in one process."""

import os
import time
from pathlib import Path

import pytest

RUNS, AT_ONCE = 1000, 100


def tree(pid):
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def resident_mib(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_thousand_runs_of_which_a_hundred_are_open_need_two_processes(
    story, server, monkeypatch, wait_until, mode
):
    """Prints what docs/wandb.md states."""
    monkeypatch.setenv("STARLING_WANDB_REQUESTS_PER_MINUTE", "100000")
    tracker = story.track(mode=mode)
    wait_until(lambda: tracker.mode)
    began = time.monotonic()
    peak, most = 0.0, 0
    for first in range(0, RUNS, AT_ONCE):
        trials = [f"{i:05d}" for i in range(first, first + AT_ONCE)]
        story.suggest(*trials)
        for step in range(1, 11):
            for trial in trials:
                story.report(trial, step)
        wait_until(lambda: len(open_runs(story, server, mode)) >= first + AT_ONCE, 300)  # noqa: B023
        pids = tree(tracker._process.pid)
        peak, most = max(peak, sum(map(resident_mib, pids))), max(most, len(pids))
        for trial in trials:
            story.end(trial)
    story.close()
    seconds = time.monotonic() - began
    print(f"\n{mode}: {RUNS} runs, {AT_ONCE} open: {seconds:.0f} s, {peak:.0f} MiB, {most} processes")
    assert most == 2
    assert peak < 1500
    if mode == "online":
        assert [len(run.rows) for run in server.runs.values()] == [10] * RUNS
        assert {run.exit_code for run in server.runs.values()} == {0}
    else:
        got = story.told()
        assert len(got) == RUNS
        assert {len(rows) for _, rows in got.values()} == {10}
        assert {run.exit_code for run, _ in got.values()} == {0}


def open_runs(story, server, mode):
    if mode == "online":
        return server.runs
    return list((story.path / "wandb").glob("*run-*"))
