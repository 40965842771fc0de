"""From a race's trials to the certificate: who is chosen, how sure that is, what is gained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sweeps.certify import intervals, race
from sweeps.certify.arm import Arm, noise
from sweeps.certify.candidates import DEFAULT
from sweeps.certify.certificate import Certificate
from sweeps.certify.evidence import Record
from sweeps.certify.posterior import posterior

CONFIDENCE = 0.95


def state(
    records: Mapping[str, Record],
    *,
    sweep: str,
    sweep_trials: int,
    in_sweep: Mapping[str, float | None],
    metric: str,
    mode: str,
    default_is: str,
    budget: int,
    confidence: float = CONFIDENCE,
) -> Certificate:
    """The certificate of a race as it stands.

    Args:
        records: what was raced, the default configuration as `default`.
        sweep, sweep_trials, in_sweep: the sweep's name, its number of trials, and their values.
        metric, mode: what counts.
        default_is: what the default configuration is, or why there is none.
        budget: trials that the race was given.
        confidence: of the intervals.
    """
    arms = {name: record.arm(mode) for name, record in records.items()}
    default = arms.get(DEFAULT)
    candidates = [arm for name, arm in arms.items() if name != DEFAULT]
    fit = [arm for arm in candidates if arm.losses and not arm.unreliable]
    beside = default if default is not None and default.losses and not default.unreliable else None
    kept = race.still_in(candidates)
    chosen = race.winner(candidates)
    variance, degrees = noise(fit)
    deterministic = race.decided(candidates, default) and bool(fit)
    expected, chance = _beliefs(fit, beside)
    sign = -1.0 if mode == "max" else 1.0
    found: dict[str, Any] = {}
    if chosen is not None:
        bounds: Any = (chosen.mean, chosen.mean) if deterministic else None
        found["winner_config"] = records[chosen.name].config
        found["winner_in_sweep"] = in_sweep.get(chosen.name)
        found["winner_value"] = sign * expected[chosen.name]
        found["probability_best"] = chance.get(chosen.name)
        bounds = bounds or intervals.of_loss(chosen, fit, confidence)
        found["winner_low"], found["winner_high"] = _ordered(bounds, sign)
        if beside is not None:
            difference: Any = (chosen.mean - beside.mean,) * 2 if deterministic else None
            difference = difference or intervals.of_difference(chosen, fit, beside, confidence)
            found["gain"] = beside.mean - expected[chosen.name]
            found["gain_low"], found["gain_high"] = _ordered(difference, -1.0)
    if DEFAULT in records:
        found["default_config"] = records[DEFAULT].config
    if beside is not None:
        found["default_value"] = sign * beside.mean
    rows = [
        _row(records[arm.name], arm, in_sweep, sign * arm.mean if arm.losses else None,
             sign * expected[arm.name] if arm.name in expected else None, chance.get(arm.name), arm in kept)
        for arm in arms.values()
    ]  # fmt: skip
    rows.sort(key=lambda row: (row["expected"] is None, sign * (row["expected"] or 0.0)))
    return Certificate(
        sweep=sweep,
        sweep_trials=sweep_trials,
        metric=metric,
        mode=mode,
        winner=None if chosen is None else chosen.name,
        default=default_is,
        confidence=confidence,
        noise=math.sqrt(variance) if degrees else None,
        noise_degrees=degrees,
        seed_key=next((record.seed_key for record in records.values()), None),
        deterministic=deterministic,
        budget=budget,
        trials=sum(len(arm.losses) + arm.failed for arm in arms.values()),
        failed=sum(arm.failed for arm in arms.values()),
        notes=_notes(records, arms, chosen, beside, deterministic, found, chance),
        configurations=rows,
        **found,
    )


def _beliefs(fit: list[Arm], beside: Arm | None) -> tuple[dict[str, float], dict[str, float]]:
    """Expected loss and probability to be the best, by name."""
    expected, chance = {}, {}
    if fit:
        believed = posterior(fit, beside)
        names = [arm.name for arm in fit]
        expected = dict(zip(names, map(float, believed.means), strict=True))
        chance = dict(zip([*names, DEFAULT], map(float, believed.best), strict=False))
    if beside is not None:
        expected[DEFAULT] = beside.mean
    return expected, chance


def _ordered(bounds: tuple[float, float] | None, sign: float) -> tuple[float | None, float | None]:
    if bounds is None:
        return None, None
    low, high = sorted(sign * bound for bound in bounds)
    return low, high


def _row(
    record: Record, arm: Arm, in_sweep: Mapping[str, float | None],
    mean: float | None, expected: float | None, chance: float | None, kept: bool,
) -> dict[str, Any]:  # fmt: skip
    return {
        "configuration": record.name,
        "config": record.config,
        "in_sweep": in_sweep.get(record.name),
        "mean": mean,
        "expected": expected,
        "probability_best": chance,
        "still_in": kept or record.name == DEFAULT,
        "unreliable": arm.unreliable,
        "trials": len(arm.losses) + arm.failed,
        "failed": arm.failed,
        "values": [value for value in record.values if value is not None],
        "seeds": record.seeds,
        "trial_ids": record.trials,
    }


def _notes(
    records: Mapping[str, Record], arms: Mapping[str, Arm], chosen: Arm | None, beside: Arm | None,
    deterministic: bool, found: Mapping[str, Any], chance: Mapping[str, float],
) -> list[str]:  # fmt: skip
    """What a reader must know beside the numbers, a sentence each."""
    notes = []
    key = next((record.seed_key for record in records.values()), None)
    if deterministic:
        notes.append(
            "every repeat gave the same value to the last digit: nothing here is left to chance, and one "
            "training of each says all"
            if key is not None
            else "every repeat gave the same value to the last digit, and no hyperparameter is known to be "
            "the seed: if there is one, name it with --seed-key"
        )
    elif key is None:
        notes.append(
            "no hyperparameter is known to be the seed, so that repeats differ by what is random of itself; "
            "if there is one, name it with --seed-key"
        )
    if chosen is not None and not deterministic and found.get("winner_low") is None:
        notes.append("too few repeats tell the noise, so that no interval is stated; give a greater --budget")
    if chosen is None:
        notes.append("no candidate ended well in the race")
    for name, arm in arms.items():
        if arm.failed:
            last = records[name].reasons[-1].strip().splitlines()[-1:]
            total = arm.failed + len(arm.losses)
            out = " and is out" if arm.unreliable else "; its values are of the others"
            notes.append(f"{name} failed in {arm.failed} of {total} trials{out}: {' '.join(last)}")
    if DEFAULT not in arms or beside is None:
        notes.append("no gain is stated, as there is no value of a default configuration")
    elif chosen is not None and chance.get(DEFAULT, 0.0) > chance.get(chosen.name, 0.0):
        notes.append("the default configuration looks better than all that the sweep found")
    return notes
