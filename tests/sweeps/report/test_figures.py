import math

import numpy as np
import pytest

from sweeps.report.bounds import bounds
from sweeps.report.material import Material
from sweeps.report.sample import best_and_even
from sweeps.report.sections.contour import GRID, smoothed
from sweeps.report.sections.failures import grouped
from sweeps.report.sections.timeline import duration


def named(figure):
    return {trace.name: trace for trace in figure.data}


def test_history_has_every_trial_and_the_best_so_far(stored):
    sweep = stored(mode="max")
    for value, state in (
        (1.0, "completed"),
        (3.0, "failed"),
        (2.0, "stopped"),
        (1.5, "completed"),
        (4.0, "completed"),
    ):
        sweep.trial({"lr": 0.1}, [value], state)
    traces = named(sweep.results().plot.history())
    assert traces["completed"].x == (0, 3, 4)
    assert tuple(traces["completed"].y) == (1.0, 1.5, 4.0)
    assert tuple(traces["failed"].y) == (3.0,)
    line = traces["best so far"]
    assert (tuple(line.x), tuple(line.y)) == ((0, 2, 4, 4), (1.0, 2.0, 4.0, 4.0))  # failed ones do not count


def test_parallel_coordinates_are_of_the_best_n_with_the_best_on_top(stored):
    sweep = stored(parameters={"lr": "double", "kind": "string"})
    for i in range(8):
        sweep.trial({"lr": float(i), "kind": "ab"[i % 2]}, [float(i)])
    results = sweep.results()
    figure = results.plot.parallel(n=3)
    assert len(figure.data) == 3
    assert figure.data[-1].y == (
        0.0,
        0.0,
        0.0,
    )  # lr lowest of its range, kind a, value the least of the three
    assert figure.data[0].y == pytest.approx((2 / 7, 0.0, 1.0))
    assert len(results.plot.parallel().data) == 8
    with pytest.raises(ValueError, match="n is 0; give how many of the best trials"):
        results.plot.parallel(0)


def test_slices_have_a_panel_for_each_parameter_that_varies(bowl):
    figure = bowl.plot.slices()
    titles = [axis.title.text for axis in figure.select_xaxes()]
    assert sorted(titles) == ["lr", "momentum", "optimizer"]
    panel = 3 * titles.index("momentum")
    shown = [x for trace in figure.data[panel : panel + 2] for x in trace.x]
    assert sorted(shown) == pytest.approx([0.05, 0.15, 0.25, 0.35, 0.45, 0.55])


def test_cells_of_the_contour_are_medians(stored):
    sweep = stored(parameters={"x": "double", "kind": "string"})
    for i in range(32):
        sweep.trial({"x": i / 31, "kind": "ab"[i % 2]}, [float(i % 2) * 10 + i / 31])
    figure = sweep.results().plot.contour()
    (cells,) = figure.data
    z = np.array(cells.z, float)
    assert z.shape == (2, 8)
    # Choice a, first eighth of x: trials 0 and 2 (3.875 steps of 1/31 in each cell)
    assert z[0, 0] == pytest.approx(1 / 31)
    assert cells.text[0][0] == "2 trials"
    assert z[1].min() > z[0].max()


def test_the_contour_of_two_numbers_is_a_mean_of_what_is_near(stored):
    sweep = stored(parameters={"a": "double", "b": "double"})
    for a, b, value in ((0.0, 0.0, 1.0), (0.0, 0.0, 3.0), (1.0, 0.0, 5.0), (1.0, 2.0, 9.0)):
        for _ in range(3):
            sweep.trial({"a": a, "b": b}, [value])
    surface, dots = sweep.results().plot.contour().data
    heights = np.array(surface.z, float)
    assert heights.shape == (GRID, GRID)
    assert len(dots.x) == 12
    corners = [heights[i, j] for i in (0, -1) for j in (0, -1)]  # which axis is which, the importances say
    assert sorted(c for c in corners if not math.isnan(c)) == pytest.approx([2.0, 5.0, 9.0])
    assert sum(map(math.isnan, corners)) == 1  # no trial is there
    assert math.isnan(heights[GRID // 2, GRID // 2])


def test_smoothing_weighs_by_a_bell_curve_of_the_distance():
    points, steps = np.array([[0.5, 0.56], [0.5, 0.5]]), np.array([0.5])
    found = smoothed(points, np.array([0.0, 1.0]), steps)
    weight = math.exp(-0.5)  # one standard deviation away
    assert found == pytest.approx(np.array([[weight / (1 + weight)]]))


def test_curves_are_grouped_by_how_far_they_came(stored):
    sweep = stored()
    for length, state in ((1, "stopped"), (3, "stopped"), (9, "completed"), (9, "completed"), (2, "failed")):
        sweep.trial({"lr": 0.1}, [1.0 + 0.1 * length / (k + 1) for k in range(length)], state)
    names = {trace.name for trace in sweep.results().plot.curves().data}
    assert names == {"best", "ended at iteration 1", "ended at iteration 3", "ended at iteration 9", "failed"}


def test_the_timeline_has_a_line_for_each_trial_at_a_time(stored):
    sweep = stored().event("opened", pid=1, host="h", resumed=False)
    for i, begin in enumerate((0, 0, 20)):
        name = f"{i:05d}"
        sweep.event("suggested", trial=name, config={"lr": 0.1}, memo=None)
        sweep.at(begin + 10).report(name, 1, 1.0, host="h", metrics={"time_total_s": 10.0})
        sweep.event("ended", trial=name, state="completed", reason=None)
    (bars,) = sweep.at(40).results().plot.timeline().data
    assert sorted(zip(bars.text, bars.y, bars.x, strict=True)) == [
        ("00000", 0, 10_000), ("00001", 1, 10_000), ("00002", 0, 10_000),
    ]  # fmt: skip


def test_costs_are_what_trials_held_for_how_long(stored):
    sweep = stored(rest={"resources": {"ranks": 2, "cpus_per_rank": 3, "gpus_per_rank": 0}})
    sweep.trial({"lr": 0.1}, [2.0], metrics={"time_total_s": 3600.0})
    sweep.trial({"lr": 0.1}, [1.0], "stopped", metrics={"time_total_s": 1800.0})
    bars, line = sweep.results().plot.costs().data
    assert dict(zip(bars.y, bars.x, strict=True)) == {"completed trials": 6.0, "stopped trials": 3.0}
    assert (line.x, line.y) == ((6.0, 9.0, 9.0), (2.0, 1.0, 1.0))


def test_costs_in_dollars_are_the_bills(stored):
    sweep = stored().event("opened", pid=1, host="h", resumed=False)
    sweep.event("node", node="n", state="starting", type="gpu", price=36.0)
    sweep.at(100).event("node", node="n", state="up", type="gpu", price=36.0)
    sweep.event("suggested", trial="00000", config={"lr": 0.1}, memo=None)
    sweep.event("placed", trial="00000", shares={"n": 1.0})
    sweep.at(300).report("00000", 1, 1.0)
    sweep.event("ended", trial="00000", state="completed", reason=None)
    sweep.at(350)
    bars, _ = sweep.results().plot.costs().data  # a cent a second: 200 s of the trial, 100 s boot, 50 s idle
    assert dict(zip(bars.y, bars.x, strict=True)) == pytest.approx(
        {"completed trials": 2.0, "nodes starting": 1.0, "nodes idle": 0.5}
    )


@pytest.mark.parametrize(
    "name", ["history", "importances", "slices", "contour", "curves", "timeline", "costs", "pareto"]
)
def test_every_figure_of_a_sweep_without_trials_is_empty_and_no_error(stored, name):
    assert getattr(stored().results().plot, name)() is not None


def test_failures_that_differ_in_numbers_alone_are_one(stored):
    sweep = stored()
    for error in ("Error: 17 MiB at 0x7f", "Error: 400 MiB at 0x1c", "Trace\n  line\nOther: no", None):
        sweep.trial({"lr": 0.1}, [], "failed", error)
    found = grouped(Material(sweep.results()))
    assert found == {"Error: # MiB at #": [0, 1], "Other: no": [2], "without a reason": [3]}


def test_a_sample_is_the_best_and_others_evenly():
    assert best_and_even(range(10), 2, 4) == [0, 1, 3, 5, 7, 9]
    assert best_and_even(range(6), 2, 4) == list(range(6))
    assert best_and_even([], 2, 4) == []


def test_bounds_leave_out_only_what_is_far_off():
    ordinary = np.linspace(0, 1, 20)
    assert bounds(ordinary, 1) is None
    low, high = bounds(np.append(ordinary, [1e9, math.nan]), 1)
    assert low < 0
    assert 1 < high < 2
    assert bounds(-np.append(ordinary, 1e9), -1) == [-high, -low]
    assert bounds(np.array([1.0, 1e9]), 1) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.42, "0.4 s"), (59.6, "1 min"), (123, "2 min 3 s"), (7500, "2 h 5 min"), (90000, "1 d 1 h")],
)
def test_durations_are_told_in_two_units(seconds, words):
    assert duration(seconds) == words
