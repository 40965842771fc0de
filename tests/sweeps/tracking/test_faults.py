"""W&B's servers failing in every way: nothing that was reported is lost, nothing is there twice."""

import time

import pytest

ROWS = 30


def tell(story, first: int, last: int) -> None:
    for trial in ("00000", "00001"):
        story.report(trial, *range(first, last + 1))


def assert_whole(server, steps, last: int = ROWS) -> None:
    assert {trial: steps(run.rows) for trial, run in sorted(server.trials().items())} == {
        "00000": list(range(1, last + 1)), "00001": list(range(1, last + 1)),
    }  # fmt: skip
    assert {run.summary["trial_state"] for run in server.runs.values()} == {"completed"}
    assert {run.exit_code for run in server.runs.values()} == {0}


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("file_stream", 0),
        pytest.param("file_stream", 500, marks=pytest.mark.slow),
        pytest.param("file_stream", 429, marks=pytest.mark.slow),
        pytest.param("UpsertBucket", 500, marks=pytest.mark.slow),
        pytest.param("UpsertBucket", 0, marks=pytest.mark.slow),
    ],
)
def test_a_server_that_fails_for_a_while_in_mid_sweep_gets_every_row_once_without_a_word(
    story, server, steps, wait_until, what, status
):
    """Status 0: the connection breaks after the request was carried out, so that it is sent again."""
    story.track()
    story.suggest("00000")
    story.report("00000", 1)
    wait_until(lambda: server.trials().get("00000") and server.trials()["00000"].rows)
    server.fail(what, status, times=2, retry_after=1)
    story.suggest("00001")
    story.report("00000", *range(2, ROWS // 2))
    story.report("00001", *range(1, ROWS // 2))
    wait_until(lambda: [len(run.rows) for run in server.runs.values()] == [ROWS // 2 - 1] * 2)
    tell(story, ROWS // 2, ROWS)
    story.end("00000")
    story.end("00001")
    story.close()
    assert_whole(server, steps)


@pytest.mark.slow
def test_too_many_requests_wait_as_long_as_the_server_asks(story, server, wait_until):
    story.track()
    server.fail("UpsertBucket", 429, times=1, retry_after=4)
    story.suggest("00000")
    story.report("00000", 1)
    wait_until(lambda: server.trials().get("00000") and server.trials()["00000"].rows)
    asked = [when for when, name in server.requests if name == "UpsertBucket"]
    assert asked[1] - asked[0] >= 4
    story.close()


@pytest.mark.parametrize("status", [403, pytest.param(500, marks=pytest.mark.slow)])
def test_a_server_that_makes_no_runs_means_one_warning_offline_logs_and_a_sync_afterwards(
    story, server, told, steps, wait_until, starling, status, monkeypatch
):
    monkeypatch.setattr("sweeps.tracking.tracker.CTRL_C_S", 60.0)  # a machine with much else to do
    story.track(warn=told.append)
    wait_until(lambda: story.tracker.mode == "online")
    server.fail("UpsertBucket", status)
    story.suggest("00000", "00001")
    tell(story, 1, ROWS)
    wait_until(lambda: {trial: len(rows) for trial, (_, rows) in story.told().items()} == {
        "00000": ROWS, "00001": ROWS,
    })  # fmt: skip
    story.end("00000")
    story.end("00001")
    story.close()
    (message,) = told
    assert message.startswith("W&B fails (")
    assert message.endswith(f"logging goes on offline. Afterwards: starling sync {story.path}")
    assert story.tracker.next_command == f"starling sync {story.path}"
    offline = story.told()
    assert {trial: steps(rows) for trial, (_, rows) in offline.items()} == {
        "00000": list(range(1, ROWS + 1)), "00001": list(range(1, ROWS + 1)),
    }  # fmt: skip
    assert {run.sweep_id for run, _ in offline.values()} == set(server.sweeps)
    server.heal()
    assert starling("sync", story.path).code == 0
    assert_whole(server, steps)
    asked = len(server.requests)
    again = starling("sync", story.path)
    assert again.code == 0
    assert "all 2 runs are on W&B" in again.out
    assert [name for _, name in server.requests[asked:] if "Bucket" in name or "file_stream" in name] == []
    assert_whole(server, steps)


@pytest.mark.slow
def test_a_server_gone_in_mid_sweep_gets_the_rest_from_sync_and_nothing_twice(
    story, server, told, steps, wait_until, starling
):
    story.track(warn=told.append)
    story.suggest("00000", "00001")
    tell(story, 1, 10)
    wait_until(lambda: [len(run.rows) for run in server.runs.values()] == [10, 10])
    server.stop()
    tell(story, 11, ROWS)
    story.end("00000")
    began = time.monotonic()
    story.close("interrupted")
    assert time.monotonic() - began < 11
    assert len(told) == 1
    assert f"starling sync {story.path}" in told[0]
    first = starling("sync", story.path)  # still gone
    assert first.code == 1
    assert "nobody answers at" in first.out
    assert [len(run.rows) for run in server.runs.values()] == [10, 10]
    server.start()
    assert starling("sync", story.path).code == 0
    runs = server.trials()
    assert {trial: steps(run.rows) for trial, run in runs.items()} == {
        "00000": list(range(1, ROWS + 1)), "00001": list(range(1, ROWS + 1)),
    }  # fmt: skip
    assert (runs["00000"].exit_code, runs["00001"].exit_code) == (0, 255)
    assert server.sweeps["sw000000"].state == "PAUSED"


@pytest.mark.parametrize("what", [".", pytest.param("file_stream", marks=pytest.mark.slow)])
def test_ctrl_c_ends_within_ten_seconds_though_the_server_hangs(story, server, told, wait_until, what):
    story.track(warn=told.append)
    story.suggest("00000", "00001")
    tell(story, 1, 5)
    wait_until(lambda: [len(run.rows) for run in server.runs.values()] == [5, 5])
    server.fail(what, -1)
    story.suggest("00002")
    story.report("00002", 1)
    tell(story, 6, ROWS)
    began = time.monotonic()
    story.close("interrupted")
    assert time.monotonic() - began < 10
    assert len(told) == 1
    assert f"starling sync {story.path}" in told[0]


def test_a_server_that_takes_no_rows_for_good_is_found_out_and_sync_repairs_it(
    story, server, told, steps, wait_until, starling
):
    """A refused upload ends the client's uploading, and its `finish` says nothing of it."""
    story.track(warn=told.append)
    story.suggest("00000", "00001")
    tell(story, 1, 5)
    wait_until(lambda: [len(run.rows) for run in server.runs.values()] == [5, 5])
    server.fail("file_stream", 400)
    tell(story, 6, ROWS)
    story.end("00000")
    story.end("00001")
    story.close()
    assert told == [f"W&B lacks something of 2 runs; starling sync {story.path} sends it."]
    server.heal()
    assert starling("sync", story.path).code == 0
    assert_whole(server, steps)


def test_no_network_from_the_start_means_one_warning_and_offline_logs(
    story, told, steps, key, monkeypatch, wait_until
):
    monkeypatch.setenv("WANDB_API_KEY", key)  # logged in, at an address where nobody listens
    story.track(warn=told.append)
    story.suggest("00000")
    story.report("00000", 1, 2)
    wait_until(lambda: "00000" in story.told() and len(story.told()["00000"][1]) == 2)
    story.end("00000")
    story.close()
    (message,) = told
    assert message.startswith("W&B fails (nobody answers at http://127.0.0.1:9: Connection refused)")
    assert story.tracker.mode == "offline"
    assert steps(story.told()["00000"][1]) == [1, 2]
    assert [
        path for path in story.path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()
    ] == []
