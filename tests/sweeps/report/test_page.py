import json
import math
import re

import fsspec
import pytest

from sweeps import report
from sweeps.certify.certificate import FILE
from sweeps.certify.evidence import Record
from sweeps.certify.statement import state
from sweeps.diagnosis import Finding
from sweeps.report import browser
from sweeps.report.sections.diagnosis import told
from sweeps.results import Results

ALWAYS = {"best", "manifest"}


def page(results):
    (file,) = report.write(results.path)
    return file.read_text()


def sections(text):
    return re.findall(r'<section id="(\w+)">', text)


def figures(text):
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1])


def words(text, section):
    """The text of one section, without its tags."""
    inner = re.search(rf'<section id="{section}">(.*?)</section>', text, re.DOTALL)[1]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", inner))


def test_a_page_has_every_section_that_its_sweep_can_fill_and_a_figure_in_each(bowl_page):
    text = bowl_page.read_text()
    found = sections(text)
    expected = [
        "best",
        "history",
        "parallel",
        "importances",
        "slices",
        "contour",
        "curves",
        "timeline",
        "costs",
        "failures",
        "manifest",
    ]
    assert [name for name in found if name != "diagnosis"] == expected
    without_figure = {"best", "failures", "manifest", "diagnosis"}
    assert set(figures(text)) == set(found) - without_figure
    for name in found:
        assert f'href="#{name}"' in text


def test_the_page_needs_nothing_but_itself(bowl_page):
    text = bowl_page.read_text()
    plotly = text.index("plotly.js v")
    own = text[:plotly] + text[text.rindex("<script nonce") :]
    assert not re.findall(r'(?:src|href|action)\s*=\s*"(?!#|data:)[^"]*"', own)
    assert not re.findall(r"@import|url\((?!data:)", own)
    assert not re.findall(r'<(?:script|img|link|iframe)[^>]*\s(?:src|href)="(?:https?:)?//', text)
    assert not re.findall(r'\bsrc="https?://', text)
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'; script-src 'nonce-\S+';", text)
    assert len(re.findall(r"\* plotly\.js v\d", text)) == 1  # inlined once


def test_what_users_write_stays_words(stored):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    sweep = stored(
        "a<b>&c", metric="loss<i>", parameters={"lr": "double", f"kind{evil}": "string"},
        rest={"command": ["starling", evil]},
    )  # fmt: skip
    for i in range(10):
        config = {"lr": 0.1 * (i + 1), f"kind{evil}": evil if i % 2 else "plain"}
        sweep.trial(config, [3.0 + i, 2.0 + i], host=evil)
    sweep.trial({"lr": 0.1}, [], "failed", evil)
    results = sweep.results()
    (results.folder.local / "spec.yaml").write_text(f"trainable: {evil}\napi_key: hunter22\nlr: 1\n")
    text = page(results)
    rest = text[: text.index("plotly.js v")] + text[text.rindex("<script nonce") :]
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "<b>&c" not in text
    assert "hunter22" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert len(re.findall(r"<script[\s>]", rest)) == 3
    assert len(figures(text)["history"]["data"]) == 2  # its JSON is whole


def test_the_numbers_are_those_of_the_sweep(bowl, bowl_page):
    text, best = bowl_page.read_text(), bowl.best
    assert best.id == "00006"  # lr = 10^-2, adam
    assert f"Trial 00006, completed after 5 iterations: loss {best.value:.5g}." in words(text, "best")
    assert "12 of 12" in text
    assert all(part in text for part in ("9 completed", "2 stopped", "1 failed"))
    told = words(text, "failures")
    assert "1 trial of 12 failed." in told
    assert "00005" in told
    assert "ValueError: &lt;script&gt;alert(1)&lt;/script&gt; at step 17" in told
    assert "node-1 (1)" in told
    # 12 trials with 4 s of training, each on 2 ranks of one CPU
    assert f"{12 * 4 * 2 / 3600:.2g} CPU hours of trials" in words(text, "costs")
    assert "seed 7" in words(text, "manifest")
    # Trial i ends at 10 i s and began 4 s before; the session lasts from 0 to 130 s
    assert "12 trials on 2 machines, 2 min 10 s in all; at one time 1 trial at most." in words(
        text, "timeline"
    )


def nothing(sweep):
    return sweep


def one_trial(sweep):
    return sweep.trial({"lr": 0.1}, [1.0])


def all_failed(sweep):
    for _ in range(3):
        sweep.trial({"lr": 0.1}, [], "failed", "RuntimeError: no")
    return sweep


def not_a_number(sweep):
    sweep.trial({"lr": 0.1}, [1.0, math.nan], "failed", "its metric loss is nan")
    sweep.trial({"lr": 0.2}, [math.inf])
    return sweep.trial({"lr": math.nan}, [math.nan, 2.0, 3.0])


def all_the_same(sweep):
    for _ in range(12):
        sweep.trial({"lr": 0.1}, [1.0, 1.0, 1.0, 1.0])
    return sweep


def no_two_values(sweep):
    for i in range(12):
        sweep.trial({"lr": 0.1 * i}, [1.0, 1.0, 1.0, 1.0])
    return sweep


def under_way(sweep):
    sweep.event("opened", pid=1, host="head", resumed=False).trial({"lr": 0.3}, [1.0])
    return sweep.trial({"lr": 0.1}, [1.0, 0.5], "running").trial({"lr": 0.2}, [], "pending")


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (nothing, "There are no trials yet."),
        (one_trial, "There is nothing to compare it with."),
        (all_failed, "Every trial failed before it had a value"),
        (not_a_number, "Trial 00002, completed"),
        (all_the_same, "It was run with 12 seeds"),
        (no_two_values, "The lead is within chance."),
        (under_way, "Trial 00000, completed"),
    ],
)
def test_odd_sweeps_have_a_page_too(stored, write, told):
    text = page(write(stored()).results())
    assert told in words(text, "best")
    assert set(sections(text)) >= ALWAYS
    figures(text)


def test_a_sweep_that_still_runs_says_so(stored):
    sweep = under_way(stored(trials=5))
    sweep.tables.flush()
    text = page(Results(sweep.path))
    assert "still running" in text
    assert "1 of 5" in text


def test_several_metrics_have_a_pareto_front(stored):
    sweep = stored(metric=["loss", "speed"], mode=["min", "max"], parameters={"x": "double"})
    for i, point in enumerate([(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 4.0), (1.5, math.nan)]):
        sweep.trial({"x": 0.1 * i}, [point], "completed" if i < 4 else "failed")
    text = page(sweep.results())
    surpassed, front = figures(text)["pareto"]["data"]
    assert [front["x"], front["y"]] == [[1.0, 2.0, 4.0], [1.0, 3.0, 4.0]]
    assert [surpassed["x"], surpassed["y"]] == [[3.0], [2.0]]
    assert "3 trials that no other surpasses; wanted are loss small, speed large." in words(text, "pareto")


def test_mixed_kinds_constants_and_inactive_parameters_have_their_place(stored):
    sweep = stored(parameters={"kind": "string", "n": "int64", "deep": "bool", "fixed": "double"})
    for i in range(9):
        config = {"kind": [0.1, "auto", None][i % 3], "fixed": 2.0, "deep": bool(i % 2)}
        if i % 3:
            config["n"] = i
        sweep.trial(config, [float(i)])
    shown = figures(page(sweep.results()))
    names = [note["text"] for note in shown["parallel"]["layout"]["annotations"]]
    assert {"kind", "n", "deep", "loss", "inactive", "auto", "null", "true"} <= set(names)
    assert "fixed" not in names


def test_copies_of_pbt_break_the_learning_curve(stored):
    sweep = stored()
    for name, lr in (("00000", 0.1), ("00001", 0.5)):
        sweep.event("suggested", trial=name, config={"lr": lr}, memo=None)
    for step in (1, 2):
        sweep.report("00000", step, 1.0 / step)
        copy = {"trial": "00001", "copies": 1, "donor": "00000", "donor_iteration": 2, "config": {"lr": 0.2}}
        copied = {"copied": [{**copy, "path": "trials/00000/c"}]} if step == 2 else {}
        sweep.report("00001", step, 5.0 / step, **copied)
    sweep.report("00001", 3, 0.3, copies=1)
    shown = figures(page(sweep.results()))
    lines = {tuple(line["x"]): line["y"] for line in shown["curves"]["data"]}
    assert lines[1.0, 2.0, None, 3.0] == [5.0, 2.5, None, 0.3]
    assert lines[1.0, 2.0] == [1.0, 0.5]


def test_pictures_of_the_best_trials_are_in_the_page(stored):
    sweep = stored()
    for i in range(6):
        name = f"{i:05d}"
        sweep.trial({"lr": 0.1}, [float(i)])
        place = sweep.path / "trials" / name / "c"
        place.mkdir(parents=True)
        (place / "samples.png").write_bytes(b"\x89PNG" + bytes([i]))
        sweep.event("checkpointed", trial=name, copies=0, iteration=1, path=f"trials/{name}/c")
    text = page(sweep.results())
    assert text.count('<img src="data:image/png;base64,') == 4
    assert "samples of 00000, loss 0" in words(text, "pictures")
    assert "samples of 00004" not in text


def test_a_certificate_is_told_in_sentences_and_drawn_trial_by_trial(stored):
    results = stored().trial({"lr": 0.1}, [1.0]).trial({"lr": 0.2}, [1.4]).results()
    assert not results.plot.certificate().data
    raced = {
        name: Record(name, {"lr": lr}, "seed", seeds=[1001, 1002, 1003], values=values)
        for name, lr, values in (
            ("00000", 0.1, [1.0, 1.2, 1.1]), ("00001", 0.2, [1.6, 1.3, 1.5]),
            ("default", 0.5, [3.0, 2.6, 3.1]),
        )
    }  # fmt: skip
    raced["00001"].values.append(None)
    raced["00001"].reasons.append("ValueError: <it> broke")
    found = state(
        raced, sweep="s", sweep_trials=2, in_sweep={"00000": 1.0, "00001": 1.4}, metric="loss", mode="min",
        default_is="as declared", budget=10,
    )  # fmt: skip
    (results.folder.local / FILE).write_text(json.dumps(found.to_dict()))
    text = page(results)
    said = words(text, "certificate")
    assert f"winner 00000, the best with probability {found.probability_best:.2f}: lr=0.1" in said
    assert f"gain over the default configuration {found.gain:+.4g} (95 %: " in said
    assert "00001 4 1.4667" in said
    assert "Note: 00001 failed in 1 of 4 trials" in said
    assert "<it>" not in text
    fresh, before, interval, expected = Results(results.path).plot.certificate().data
    assert sorted(fresh.x) == sorted(v for one in raced.values() for v in one.values if v is not None)
    assert "seed 1002" in fresh.text
    assert list(before.x) == [1.0, 1.4]
    assert list(interval.x) == [found.winner_low, found.winner_high]
    assert list(expected.y) == ["00000", "00001", "default"]


def test_findings_are_shown_with_their_numbers():
    finding = Finding(
        trial="00000", label="lr_too_high", confidence=0.8, evidence={"slope": 1.23456}, text="It <rises>.",
        next_step="Try a tenth.",
    )  # fmt: skip
    shown = told([finding], 1)
    assert "It &lt;rises&gt;." in shown.body
    assert "lr too high" in shown.body
    assert "(80% sure)" in shown.body
    assert "1.235" in shown.body
    assert told([], 1) is None


def test_the_page_is_beside_the_sweep_or_here_or_where_one_says(bowl, tmp_path, monkeypatch, starling):
    results = bowl
    monkeypatch.chdir(tmp_path)
    said = starling("report", results.path)
    assert (said.code, said.out.strip()) == (0, f"{results.path}/report.html")
    said = starling("report", results.path, "--out", "deep/page.html")
    assert said.out.strip() == str(tmp_path / "deep" / "page.html")
    assert (tmp_path / "deep" / "page.html").read_text().startswith("<!doctype html>")
    said = starling("report", results.path, "--out", tmp_path)
    assert said.code == 2
    assert "is a folder; give a file, for example" in said.err
    assert "holds no sweep" in starling("report", tmp_path).err
    assert "cannot be written" in starling("report", results.path, "--out", tmp_path / "deep/page.html/x").err


def test_a_sweep_in_a_store_has_its_page_in_the_current_folder(bowl, tmp_path, monkeypatch):
    memory = fsspec.filesystem("memory")
    memory.put(bowl.path, "/sweeps/bowl", recursive=True)
    monkeypatch.chdir(tmp_path)
    (file,) = report.write("memory://sweeps/bowl")
    assert file == tmp_path / "bowl-report.html"
    assert "00006" in file.read_text()


def test_a_picture_without_a_browser_says_what_to_install(bowl, tmp_path, monkeypatch, starling):
    monkeypatch.setattr(browser, "NAMES", ("no-such-browser",))
    said = starling("report", bowl.path, "--png", "--out", tmp_path / "page.html")
    assert said.code == 2
    assert "apt-get install chromium" in said.err
    assert not (tmp_path / "page.html").exists()
