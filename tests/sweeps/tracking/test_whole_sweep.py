"""Whole sweeps on Ray, seen by W&B's server."""

import json

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, in its threads


def test_a_sweep_its_extension_and_its_export_are_pages_with_every_row_once(
    outside, bowl_text, starling, server, steps, small_ray
):
    (outside / "bowl.py").write_text(bowl_text)
    ran = starling("run", "bowl.py", "--wandb", "flock/bowl", "--name", "bowl")
    assert ran.code == 0, ran.err
    (sweep,) = server.sweeps.values()
    url = f"{server.url}/flock/bowl/sweeps/{sweep.name}"
    assert url in ran.out
    assert "starling sync" not in ran.out
    assert sweep.config["parameters"] == {
        "x": {"distribution": "uniform", "min": 0.0, "max": 1.0},
        "kind": {"values": ["a", "b"]},
    }
    assert sweep.config["metric"] == {"name": "loss", "goal": "minimize"}
    assert sweep.state == "FINISHED"
    assert starling("resume", "results/bowl", "--extend", "1").code == 0
    assert sweep.states == ["FINISHED", "RUNNING", "FINISHED"]
    best = json.loads(starling("best", "results/bowl", "--json").out)
    assert len(server.runs) == 5
    for trial, run in server.trials().items():
        assert steps(run.rows) == [1, 2, 3], trial
        assert run.exit_code == 0
        assert run.sweep == sweep.name
    found = server.trials()[best[0]["id"] if isinstance(best, list) else best["id"]]
    assert found.summary["loss"] == min(run.summary["loss"] for run in server.runs.values())
    rows = {name: run.rows for name, run in server.runs.items()}
    asked = len(server.requests)
    assert starling("export", "results/bowl", "--to", "wandb").code == 0  # it is there already
    assert [name for _, name in server.requests[asked:] if "file_stream" in name or "Bucket" in name] == []
    assert {name: run.rows for name, run in server.runs.items()} == rows
    server.runs.clear()
    assert starling("export", "results/bowl", "--to", "wandb", "--project", "flock/other").code == 0
    assert sorted(run.project for run in server.runs.values()) == ["other"] * 5
    assert len(server.sweeps) == 2
    assert {name: [row["loss"] for row in run.rows] for name, run in server.runs.items()} == {
        name: [row["loss"] for row in kept] for name, kept in rows.items()
    }
