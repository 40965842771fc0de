"""The three regions of a range curve, and its picture."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sweeps import cli
from sweeps.diagnosis.lr_picture import checked, write
from sweeps.diagnosis.lr_regions import DIVERGING, STEEPEST, TOO_LOW, classify, regions
from trainables.engine.lr_range import Curve

LRS = tuple(np.geomspace(1e-6, 10, 141).tolist())  # 20 a decade
RECIPE = Path(cli.__file__).parent / "recipes" / "quickstart.py"


def valley(noise=0.0):
    """2.3 up to 1e-4, down in a straight line over log lr to 0.3 at 1e-1, and up as steeply behind."""
    place = np.log10(LRS)
    losses = np.interp(place, [-6, -4, -1, 1], [2.3, 2.3, 0.3, 9.0])
    losses = losses + noise * np.random.default_rng(0).standard_normal(len(LRS))
    return Curve(LRS, tuple(losses.tolist()))


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_the_regions_of_a_valley_are_where_it_was_built(noise):
    """10 % of the fall of 2 lie .3 of 3 decades behind 1e-4, and .046 of 2 decades behind 1e-1."""
    curve = valley(noise)
    found = regions(curve.lrs, curve.losses, curve.smooth)
    assert np.log10(found.begins) == pytest.approx(-3.7, abs=0.15)
    assert np.log10(found.ends) == pytest.approx(-0.95, abs=0.15)
    assert found.begins < found.steepest < found.ends


@pytest.mark.parametrize(
    ("lr", "region"), [(1e-5, TOO_LOW), (1e-4, TOO_LOW), (1e-3, STEEPEST), (0.05, STEEPEST), (0.5, DIVERGING)]
)
def test_a_learning_rate_is_told_its_region(lr, region):
    curve = valley(0.02)
    assert classify(lr, curve.lrs, curve.losses, curve.smooth) == region


def test_the_steepest_point_is_where_it_falls_most():
    losses = np.interp(np.log10(LRS), [-6, -4, -2.2, -1.8, -1, 1], [2.3, 2.3, 2.1, 0.6, 0.3, 9.0])
    curve = Curve(LRS, tuple(losses.tolist()))
    assert 10**-2.4 < regions(curve.lrs, curve.losses, curve.smooth).steepest < 10**-1.6


def test_a_curve_that_never_fell_has_no_regions():
    flat = 2.3 + 0.05 * np.random.default_rng(0).standard_normal(141)
    assert regions(LRS, flat, np.linspace(1, 2, 141)) is None
    with pytest.raises(ValueError, match="never fell: it has no regions; try more --steps"):
        classify(1e-3, LRS, flat, np.linspace(1, 2, 141))


def test_rates_that_were_not_tried_are_refused_except_beyond_a_blow_up():
    curve = valley()
    with pytest.raises(ValueError, match=r"lr 1e-08 lies outside of 1e-06 to 10"):
        classify(1e-8, curve.lrs, curve.losses, curve.smooth)
    assert classify(100.0, curve.lrs, curve.losses, curve.smooth) == DIVERGING


def test_the_svg_has_a_band_for_each_region_and_no_address_to_fetch(tmp_path):
    text = write(valley(), str(tmp_path / "range.svg"), "a < b").read_text()
    assert re.findall(r">(too low|steepest|diverging)<", text) == [TOO_LOW, STEEPEST, DIVERGING]
    assert "a &lt; b" in text
    assert set(re.findall(r"https?://[^\s\"]+", text)) == {"http://www.w3.org/2000/svg"}
    left, right = (float(x) for x in re.search(r'<rect x="([\d.]+)" y="40" width="([\d.]+)"', text).groups())
    assert left == 64
    assert right == pytest.approx((760 - 84) * 2.3 / 7, abs=15)  # from 1e-6 to about 10**-3.7, of 7 decades


def test_the_html_holds_all_it_needs(tmp_path):
    text = write(valley(), str(tmp_path / "range.html"), "rates").read_text()
    assert "too low" in text
    assert not re.findall(r'<script[^>]+src="http', text)


@pytest.mark.parametrize(
    ("file", "match"), [("range.png", "neither .html nor .svg"), ("nowhere/range.svg", "no folder 'nowhere'")]
)
def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_measured(file, match, capsys):
    with pytest.raises(ValueError, match=match):
        checked(file)
    assert cli.main(["lr-range", str(RECIPE), "--plot", file]) == 2
    assert re.search(match, capsys.readouterr().err)


def test_the_command_prints_regions_and_writes_the_picture(tmp_path, capsys):
    words = ["lr-range", str(RECIPE), "--quiet", "--steps", "40", "--plot", str(tmp_path / "range.svg")]
    assert cli.main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    low, high = found["regions"]["begins"], found["regions"]["ends"]
    assert found["lr"][0] < low < found["regions"]["steepest"] < high < found["lr"][-1]
    assert (tmp_path / "range.svg").is_file()
