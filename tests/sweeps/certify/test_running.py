"""Races by real trials. One Ray for all but the test that kills."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from sweeps import Results, journal
from sweeps.certify import certify, read
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import open_folder

NOISY = """
import random, time
from pathlib import Path
from ray import tune
from sweeps import Sweep

SLOW = Path(__file__).with_name("slow")


def train(config):
    time.sleep(0.7 if SLOW.exists() else 0)
    draw = random.Random(config.get("seed", 0))
    tune.report({"loss": (config["x"] - 0.3) ** 2 + 0.02 * draw.gauss(0, 1)})


def plain(config):
    tune.report({"loss": (config["x"] - 0.3) ** 2})


def picky(config):
    tune.report({"loss": float("nan") if config["x"] == 0.5 else config["x"] + 0.01 * random.random()})


SPACE = {"x": tune.uniform(0, 1)}
shared = dict(space=SPACE, metric="loss", mode="min", trials=6, search="sobol", storage="results")
"""
"""A user's file; `seed` is what the noise comes from."""

quiet = pytest.mark.filterwarnings("ignore")  # Ray's own, in its threads


@pytest.fixture
def swept(outside, starling):
    """`swept("train")`: a finished sweep of six trials of a function of the file; its folder."""

    def run(function, fixed="{}"):
        file = outside / f"{function}_sweep.py"
        line = f"sweep = Sweep(trainable={function}, name={function!r}, fixed={fixed}, **shared)\n"
        file.write_text(NOISY + line)
        assert starling("run", file, "--quiet").code == 0
        return outside / "results" / function

    return run


def trials_of(sweep):
    events = list(journal.read(sweep / "certificate"))
    return [e for e in events if e["event"] == "suggested"], [e for e in events if e["event"] == "ended"]


def cut(sweep):
    """Leave what a driver leaves that dies after its fourth suggestion: a journal, and tables behind it."""
    (segment,) = (sweep / "certificate" / "journal").glob("*.jsonl")
    lines = segment.read_text().splitlines(keepends=True)
    place = [i for i, line in enumerate(lines) if json.loads(line)["event"] == "suggested"][3]
    segment.write_text("".join(lines[: place + 1]))
    (sweep / "certificate.json").unlink()
    (sweep / "certificate" / "trials.parquet").unlink()
    shutil.rmtree(sweep / "certificate" / "metrics")


@quiet
def test_a_race_runs_on_fresh_seeds_is_stored_and_goes_on_with_a_greater_budget(small_ray, swept, starling):
    sweep = swept("train", fixed="{'seed': 1002}")
    assert Results(sweep).certificate is None
    said = starling("certify", sweep, "--top", 2, "--budget", 6)
    assert said.code == 0, said.err
    assert "winner" in said.out
    assert len([line for line in said.out.splitlines() if line.startswith("0000") and "seed" in line]) == 6
    first = Results(sweep).certificate
    given, ended = trials_of(sweep)
    seeds = [event["config"]["seed"] for event in given]
    assert sorted(seeds) == [1001, *range(1003, 1008)]  # the sweep trained with 1002
    assert len(ended) == first.trials == 6
    assert first.seed_key == "seed"
    assert first.default == "the middle of the space, as train declares no defaults"
    assert first.default_config == {"x": 0.5}
    assert 0.0005 < first.noise < 0.08  # truly 0.02: by chance beyond once in 1,600 times
    said = starling("certify", sweep, "--top", 2, "--budget", 9, "--json")
    assert said.code == 0, said.err
    second = json.loads(said.out)
    again, ended = trials_of(sweep)
    assert again[:6] == given
    assert len(ended) == second["trials"] == 9
    assert second == read(Results(sweep)).to_dict()
    table = pq.read_table(sweep / "certificate" / "trials.parquet").to_pandas()
    assert set(table["state"]) == {"completed"}
    assert table["seed"].tolist() == [event["config"]["seed"] for event in again]
    before = list(journal.read(sweep / "certificate"))
    assert certify(sweep, top=2, budget=9).to_dict() == second  # nothing is left: Ray is not started
    assert list(journal.read(sweep / "certificate")) == before
    cut(sweep)
    assert certify(sweep, top=2, budget=9, max_concurrent=1).trials == 9
    given_again, ended_again = trials_of(sweep)
    assert given_again[:4] == again[:4]
    assert len(given_again) == len(ended_again) == len({e["trial"] for e in ended_again}) == 9
    rows = pq.read_table(sweep / "certificate" / "metrics").to_pandas()
    assert sorted(rows["trial"]) == [f"{i:05d}" for i in range(9)]


@quiet
def test_a_deterministic_function_ends_its_race_early(small_ray, swept, starling):
    sweep = swept("plain")
    for wrong, answer in (
        (("--top", 0), "top is 0"),
        (("--top", 3, "--budget", 4), "take 5 trials, and twice each 8"),
    ):
        said = starling("certify", sweep, *wrong)
        assert said.code == 2
        assert answer in said.err
    assert not (sweep / "certificate").exists()
    words = ("certify", sweep, "--top", 2, "--budget", 20, "--max-concurrent", 1)
    said = starling(*words, "--default", "x=0.9")
    assert said.code == 0, said.err
    assert "no hyperparameter is known to be the seed" in said.out
    found = Results(sweep).certificate
    assert (found.trials, found.deterministic, found.default_config) == (6, True, {"x": 0.9})
    assert found.gain == found.gain_low == pytest.approx(0.36 - (found.winner_config["x"] - 0.3) ** 2)
    assert starling(*words).code == 0  # the default is settled
    assert Results(sweep).certificate == found
    said = starling(*words, "--default", "x=0.8")
    assert said.code == 2
    assert "this race's default configuration is {'x': 0.9}" in said.err
    said = starling("resume", sweep / "certificate")
    assert said.code == 2
    assert "starling certify" in said.err


@quiet
def test_a_default_that_diverges_ends_nothing(small_ray, swept):
    found = certify(swept("picky"), top=2, budget=7, max_concurrent=1)
    assert found.winner is not None
    assert (found.trials, found.failed, found.gain) == (7, 2, None)
    assert any("default failed in 2 of 2 trials" in note and "loss is nan" in note for note in found.notes)


def test_a_sweep_with_several_metrics_is_refused(tmp_path, starling):
    several = Manifest(metric=["loss", "cost"], mode=["min", "min"], parameters={})
    write_manifest(open_folder(tmp_path), several, "/")
    said = starling("certify", tmp_path)
    assert said.code == 2
    assert "improves 2 metrics (loss, cost)" in said.err


@quiet
@pytest.mark.slow  # docs/certificate.md's commands certify a sweep on digits every time
def test_a_sweep_on_digits_is_certified_by_real_trainings(small_ray, outside, starling):
    (outside / "digits.py").write_text(
        "from ray import tune\nfrom sweeps import Sweep\n"
        "space = {'lr': tune.loguniform(1e-2, 1.0), 'width': tune.choice([8, 16])}\n"
        "sweep = Sweep(trainable='classify', space=space,"
        " fixed={'dataset': 'digits', 'model': 'mlp', 'epochs': 1}, metric='val_accuracy', mode='max',"
        " search='sobol', trials=3, storage='results', name='digits')\n"
    )
    assert starling("run", "digits.py", "--quiet").code == 0
    said = starling("certify", "results/digits", "--top", 1, "--budget", 4)
    assert said.code == 0, said.err
    assert "the declared defaults of classify" in said.out
    found = Results("results/digits").certificate
    assert found.winner == Results("results/digits").best.id
    assert found.trials == 4
    assert found.noise > 0
    values = [value for row in found.configurations for value in row["values"]]
    assert len(set(values)) > 2  # other seeds, other networks
    assert found.gain_low < found.gain < found.gain_high
    assert starling("certify", "results/digits", "--top", 1, "--budget", 5).code == 0
    assert Results("results/digits").certificate.trials == 5


@quiet
@pytest.mark.slow  # it starts Ray twice; the first test here goes on from a journal that ends in mid-race
def test_a_race_that_was_killed_runs_nothing_twice(swept, command, outside):
    """Its driver dies by SIGKILL after its third trial; the second call runs what is left of seven."""
    sweep = swept("train", fixed="{'seed': 0}")
    (outside / "slow").touch()
    words = ("certify", sweep, "--top", 2, "--budget", 7, "--max-concurrent", 1)
    killed = command(*words)

    def three_ended():
        return journal.exists(sweep / "certificate") and len(trials_of(sweep)[1]) >= 3

    killed.until(three_ended)
    killed.kill()
    given, ended = trials_of(sweep)
    assert len(ended) < 7
    assert not (sweep / "certificate.json").exists()
    assert command(*words).wait() == 0  # what the killed one left does not disturb it
    again, all_ended = trials_of(sweep)
    assert again[: len(given)] == given
    assert all_ended[: len(ended)] == ended
    assert len(again) == len(all_ended) == Results(sweep).certificate.trials == 7
    assert len({event["config"]["seed"] for event in again}) == 7
    rows = pq.read_table(sweep / "certificate" / "metrics").to_pandas()
    assert not rows.duplicated(["trial", "iteration"]).any()
