"""What a certificate is worth where the truth is known: simulated sweeps whose trials have seed noise.

A sweep is `pso` over 50 trials of a problem with noise; its best 5 configurations by their single values
and the middle of the space as the default are raced with 15 trials by the code that `starling certify`
runs (one worker). Then the truth is asked for. Beside it, at the same number of trials: 15 more of the
search, and the best single value of all 65; each of the 5 three times, and the best mean. Regret is the
true loss of what is chosen, 0 at the optimum and 1 at the median of random configurations.

`python -m benchmarks.certify [--sweeps 500]`; LCBench (see `arena.lcbench`) where its data is, else
functions alone. Scenes: the noise is normal with a standard deviation that is a share of the scale of
regret; `growing` has it proportional to the root of the regret (so that the default is noisier than what
was found) and the heavy tails of Student's t with 5 degrees of freedom.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

import search_algs
from benchmarks.arena import lcbench, synthetic
from benchmarks.arena.problem import Problem
from benchmarks.table import markdown
from search_algs.space import Space
from sweeps.certify import race, statement
from sweeps.certify.arm import Arm
from sweeps.certify.candidates import DEFAULT
from sweeps.certify.evidence import Record

TRIALS, TOP, BUDGET = 50, 5, 15
LEVELS = (0.90, 0.95)


@dataclass(frozen=True, slots=True)
class Scene:
    """A kind of problem with a kind of noise."""

    name: str
    problems: Callable[[int], Problem]
    """One for each sweep."""

    share: float
    """Standard deviation of the noise, as a share of the scale of regret."""

    growing: bool = False

    def noise(self, regret: float, rng: np.random.Generator) -> float:
        """A draw, on the scale of regret."""
        if not self.growing:
            return float(self.share * rng.standard_normal())
        return float(self.share * math.sqrt(max(regret, 0.0)) * rng.standard_t(5) / math.sqrt(5 / 3))


@dataclass(slots=True)
class Tally:
    """What came out of all sweeps of a scene, one entry a sweep."""

    regret: dict[str, list[float]] = field(default_factory=dict)
    covered: dict[tuple[str, float], list[bool]] = field(default_factory=dict)
    chance: list[float] = field(default_factory=list)
    best: list[bool] = field(default_factory=list)
    luck: dict[str, list[float]] = field(default_factory=dict)


def scenes() -> list[Scene]:
    """Those that can be played here."""
    try:
        lcbench.data()
        import onnxruntime  # noqa: F401 - the surrogate's

        tasks = lcbench.HELD_OUT
        one: Callable[[int], Problem] = lambda i: lcbench.lcbench(tasks[i % len(tasks)])  # noqa: E731
        found = [Scene(f"LCBench, noise {share:g}", one, share) for share in (0.03, 0.1, 0.3)]
        found.append(Scene("LCBench, noise 0.1, growing", one, 0.1, growing=True))
    except (FileNotFoundError, ImportError) as error:
        print(f"LCBench is left out: {error}\n")
        found = []
    for name in ("sphere-5", "mixed-8"):
        found.append(Scene(f"{name}, noise 0.1", lambda i, name=name: synthetic.synthetic(name, i % 20), 0.1))
    return found


def swept(problem: Problem, scene: Scene, number: int) -> tuple[list[float], list[float]]:
    """(true regrets, reported regrets) of TRIALS + BUDGET trials of a search."""
    rng = np.random.default_rng([17, number])
    searcher = search_algs.build("pso", seed=number)
    searcher.set_search_properties("loss", "min", dict(problem.space))
    true: list[float] = []
    seen: list[float] = []
    for i in range(TRIALS + BUDGET):
        config = searcher.suggest(f"{i:05d}")
        true.append(problem.regret(float(problem.train([config])[0].losses[-1])))
        seen.append(true[-1] + scene.noise(true[-1], rng))
        searcher.conclude(f"{i:05d}", {"loss": seen[-1], "training_iteration": 1})
    return true, seen


def play(scene: Scene, number: int, tally: Tally) -> None:
    """One simulated sweep and its certificate."""
    problem = scene.problems(number)
    true, seen = swept(problem, scene, number)
    rng = np.random.default_rng([19, number])
    top = [int(i) for i in np.argsort(seen[:TRIALS])[:TOP]]
    space = Space(problem.space)
    middle = problem.regret(float(problem.train([space.decode(np.full(len(space), 0.5))])[0].losses[-1]))
    truth = {f"{i:05d}": true[i] for i in top} | {DEFAULT: middle}
    records = {name: Record(name, {}, "seed") for name in truth}
    for name in _turns(records):
        records[name].trials.append("")
        records[name].values.append(truth[name] + scene.noise(truth[name], rng))
    for level in LEVELS:
        certificate = statement.state(
            records, sweep="", sweep_trials=TRIALS, in_sweep={f"{i:05d}": seen[i] for i in top},
            metric="loss", mode="min", default_is="", budget=BUDGET, confidence=level,
        )  # fmt: skip
        winner = certificate.winner
        assert winner is not None
        for what, low, high, real in (
            ("gain", certificate.gain_low, certificate.gain_high, middle - truth[winner]),
            ("value", certificate.winner_low, certificate.winner_high, truth[winner]),
        ):
            assert low is not None
            assert high is not None
            tally.covered.setdefault((what, level), []).append(low <= real <= high)
    means = {i: np.mean([true[i] + scene.noise(true[i], rng) for _ in range(BUDGET // TOP)]) for i in top}
    row = next(one for one in certificate.configurations if one["configuration"] == winner)
    for what, value in (
        ("certificate", truth[winner]),
        ("more search", true[int(np.argmin(seen))]),
        ("three each", true[min(means, key=lambda i: means[i])]),
        ("no more trials", true[top[0]]),
    ):
        tally.regret.setdefault(what, []).append(value)
    for what, value in (
        ("in the sweep", certificate.winner_in_sweep), ("mean", row["mean"]), ("expected", row["expected"]),
    ):  # fmt: skip
        tally.luck.setdefault(what, []).append(float(value) - truth[winner])  # type: ignore[arg-type]
    tally.chance.append(float(certificate.probability_best or 0.0))
    tally.best.append(truth[winner] <= min(truth.values()))


def _turns(records: dict[str, Record]) -> Iterator[str]:
    """Whose turn it is, until the budget is spent or nothing is left to know."""
    for _ in range(BUDGET):
        arms: dict[str, Arm] = {name: record.arm("min") for name, record in records.items()}
        default = arms.pop(DEFAULT)
        chosen = race.next_arm(list(arms.values()), default)
        if chosen is None:
            return
        yield chosen.name


def share(hits: Sequence[bool]) -> str:
    """A percentage with its standard error."""
    p = float(np.mean(hits))
    return f"{100 * p:.1f} ± {100 * math.sqrt(p * (1 - p) / len(hits)):.1f}"


def ratio(a: Sequence[float], b: Sequence[float]) -> str:
    """Mean of a over mean of b, with the 95 % interval of 2,000 resamples of the sweeps."""
    x, y = np.array(a), np.array(b)
    pick = np.random.default_rng(0).integers(0, len(x), (2000, len(x)))
    low, high = np.quantile(x[pick].mean(axis=1) / y[pick].mean(axis=1), [0.025, 0.975])
    return f"{x.mean() / y.mean():.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.certify")
    parser.add_argument("--sweeps", type=int, default=500, help="of each scene (default 500)")
    given = parser.parse_args()
    against = ("more search", "three each", "no more trials")
    regrets, covers = [], []
    for scene in scenes():
        tally = Tally()
        for number in range(given.sweeps):
            play(scene, number, tally)
        certified = tally.regret["certificate"]
        regrets.append([
            scene.name, f"{np.mean(certified):.4f}",
            *(ratio(certified, tally.regret[what]) for what in against),
        ])  # fmt: skip
        luck = [f"{np.mean(tally.luck[what]):+.4f}" for what in ("in the sweep", "mean", "expected")]
        covers.append([
            scene.name,
            *(share(tally.covered[what, level]) for what in ("gain", "value") for level in LEVELS),
            f"{np.mean(tally.chance):.2f}, {np.mean(tally.best):.2f}", *luck,
        ])  # fmt: skip
    print(f"{given.sweeps} simulated sweeps a scene: {TRIALS} trials of `pso`, top {TOP}, budget {BUDGET}.\n")
    print(markdown(["scene", "regret", *(f"to {what}" for what in against)], regrets))
    print(
        "\nCovered, % (± standard error); the winner's P(best) on average and how often it was; error of:\n"
    )
    percents = [f"{what}, {100 * level:.0f} %" for what in ("gain", "value") for level in LEVELS]
    print(markdown(["scene", *percents, "P(best), is", "in the sweep", "mean", "expected"], covers))


if __name__ == "__main__":
    main()
