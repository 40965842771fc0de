"""A sweep online: W&B's real client against a server on loopback."""

import time

import pytest


def test_a_sweep_is_made_and_every_trial_is_a_run_of_it_with_its_rows_once(
    story, server, key, steps, wait_until
):
    tracker = story.track()
    story.suggest("00000", "00001", "00002", net={"width": 8})
    for trial in ("00000", "00001", "00002"):
        story.report(trial, *range(1, 21), acc=0.5, _step=99)
    wait_until(lambda: [len(run.rows) for run in server.runs.values()] == [20] * 3)  # while the sweep runs
    (sweep,) = server.sweeps.values()
    assert sweep.state == "RUNNING"
    assert (sweep.entity, sweep.project) == ("flock", "p")
    assert sweep.config["parameters"] == {"lr": {"distribution": "uniform", "min": 0.0, "max": 1.0}}
    assert sweep.config["method"] == "custom"
    assert tracker.url == f"{server.url}/flock/p/sweeps/{sweep.name}"
    story.end("00000")
    story.end("00001", "failed", "Traceback\n  ...\nValueError: planted")
    story.end("00002", "stopped")
    story.close()
    runs = server.trials()
    assert {trial: run.exit_code for trial, run in runs.items()} == {"00000": 0, "00001": 1, "00002": 0}
    for trial, run in runs.items():
        assert steps(run.rows) == list(range(1, 21))
        assert [row["loss"] for row in run.rows] == [1 / step for step in range(1, 21)]
        assert (run.sweep, run.group, run.display_name) == (sweep.name, "s", trial)
        assert run.config == {"lr": 0.1, "net": {"width": 8}}
        assert (run.summary["loss"], run.summary["acc"]) == (1 / 20, 0.5)
    assert {trial: run.summary["trial_state"] for trial, run in runs.items()} == {
        "00000": "completed", "00001": "failed", "00002": "stopped",
    }  # fmt: skip
    assert runs["00001"].summary["trial_reason"] == "ValueError: planted"
    assert sweep.states == ["FINISHED"]
    assert tracker.next_command is None
    assert server.keys == {key}  # logged in, and:
    files = [path for path in story.path.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path for path in files if key.encode() in path.read_bytes()] == []


def test_a_resumed_sweep_goes_on_with_its_runs_on_its_page(story, server, steps, wait_until):
    story.track()
    story.suggest("00000", "00001")
    story.report("00000", 1, 2, 3)
    story.report("00001", 1, 2)
    wait_until(lambda: len(server.runs) == 2)
    story.end("00001")
    story.close("interrupted")
    (sweep,) = server.sweeps.values()
    assert sweep.state == "PAUSED"
    assert server.trials()["00000"].exit_code == 255  # killed: may be resumed
    made = server.count("UpsertBucket")
    later = story.again()
    later.track()
    later.report("00000", 4, 5)
    later.end("00000")
    later.suggest("00002")
    later.report("00002", 1)
    later.end("00002")
    later.close()
    assert len(server.sweeps) == 1
    assert sweep.states == ["PAUSED", "RUNNING", "FINISHED"]
    assert {trial: steps(run.rows) for trial, run in server.trials().items()} == {
        "00000": [1, 2, 3, 4, 5], "00001": [1, 2], "00002": [1],
    }  # fmt: skip
    assert {run.exit_code for run in server.runs.values()} == {0}
    assert {run.sweep for run in server.runs.values()} == {sweep.name}
    opened = server.count("UpsertBucket") - made
    assert opened <= 4  # two runs, each made and updated: the one that was whole is left alone


def test_a_trial_that_another_was_copied_over_goes_on_in_its_run_with_the_new_configuration(story, server):
    story.track()
    story.suggest("00000", "00001")
    story.report("00001", 1, 2, 3, 4)
    donor = {"donor": "00001", "donor_iteration": 2, "config": {"lr": 0.7}, "path": "x"}
    copied = {"trial": "00000", "copies": 1, **donor}
    story.report("00000", 1, 2)
    metrics = {"loss": 0.1}
    story.journal.append(
        "reported", trial="00000", copies=0, iteration=3, metrics=metrics, decision="NOOP", copied=[copied]
    )
    story.report("00000", 3, 4, copies=1)
    story.end("00000")
    story.end("00001")
    story.close()
    run = server.trials()["00000"]
    assert [row["training_iteration"] for row in run.rows] == [1, 2, 3, 3, 4]
    assert [row.get("copies") for row in run.rows] == [None, None, None, 1, 1]
    assert run.config == {"lr": 0.7}


def test_runs_are_made_no_faster_than_allowed_and_sync_makes_the_rest(
    story, server, monkeypatch, told, starling
):
    monkeypatch.setenv("STARLING_WANDB_REQUESTS_PER_MINUTE", "12")
    story.track(warn=told.append)
    trials = [f"{i:05d}" for i in range(5)]
    story.suggest(*trials)
    for trial in trials:
        story.report(trial, 1, 2)
        story.end(trial)
    began = time.monotonic()
    story.close()
    assert time.monotonic() - began < 30  # it does not wait for the next minute
    assert sorted(server.trials()) == trials[:3]
    assert server.count("UpsertBucket|RunResumeStatus|CreateRunFiles") == 12
    assert told == [f"W&B lacks something of 2 runs; starling sync {story.path} sends it."]
    assert server.sweeps["sw000000"].state == "RUNNING"  # more is to come
    monkeypatch.setenv("STARLING_WANDB_REQUESTS_PER_MINUTE", "400")
    answer = starling("sync", story.path)
    assert answer.code == 0, answer.err
    assert f"all 5 runs are on W&B: {server.url}/flock/p/sweeps/sw000000" in answer.out
    assert [len(run.rows) for _, run in sorted(server.trials().items())] == [2] * 5
    assert server.sweeps["sw000000"].state == "FINISHED"


def test_pictures_of_a_trials_newest_checkpoint_are_in_its_last_row(story, server):
    from PIL import Image

    story.track()
    story.suggest("00000")
    for step in (1, 2):
        story.report("00000", step)
        folder = story.path / "trials" / "00000" / f"checkpoint_{step:06d}"
        folder.mkdir(parents=True)
        Image.new("RGB", (4, 4), (step, 0, 0)).save(folder / "samples.png")
        path = str(folder.relative_to(story.path))
        story.journal.append("checkpointed", trial="00000", copies=0, iteration=step, path=path)
    story.end("00000")
    story.close()
    run = server.trials()["00000"]
    assert [row["training_iteration"] for row in run.rows] == [1, 2, 2]
    image = run.rows[-1]["samples"]
    assert image["_type"] == "image-file"
    assert run.files[image["path"]] == (folder / "samples.png").read_bytes()


@pytest.mark.parametrize("project", ["a/b/c#", "", "x/", "a:b"])
def test_impossible_projects_are_refused_before_anything_starts(story, project):
    with pytest.raises(ValueError, match=r"give PROJECT or ENTITY/PROJECT"):
        story.track(project=project)
    assert not (story.path / "wandb").exists()


def test_impossible_modes_are_refused(story):
    with pytest.raises(ValueError, match="mode is 'onlin'; choose online, offline, disabled"):
        story.track(mode="onlin")
