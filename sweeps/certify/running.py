"""The race of a sweep's best configurations by real trials: `<sweep>/certificate/` is a sweep of its own.

Its journal is all that is kept of a race. Called again, with a greater budget or after a crash, `certify`
goes on where that ends: configurations that have had a trial stay in the race.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray import tune

from sweeps import journal
from sweeps.certify import candidates, race, statement
from sweeps.certify.candidates import DEFAULT, Configuration, Field
from sweeps.certify.certificate import FILE, Certificate
from sweeps.certify.evidence import Record, records
from sweeps.certify.searcher import Race
from sweeps.drive import SPEC
from sweeps.files import options, sweep_file
from sweeps.results import Results
from sweeps.run import continue_in
from sweeps.spec import Sweep, put
from sweeps.store.storage import Folder

FOLDER = "certificate"
KEPT = (
    "trainable", "metric", "mode", "max_iterations", "ranks", "cpus_per_rank", "gpus_per_rank",
    "max_concurrent", "retries", "seed", "address", "cluster", "prices",
)  # fmt: skip
"""Fields of the sweep that its race has too; it has no scheduler, since trials are trained in full."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a race ended."""

    certificate: Certificate
    why: str
    """finished, interrupted, ...: as of a sweep's session."""

    @property
    def exit_code(self) -> int:
        """0 there is a winner, 1 there is none, 130 interrupted."""
        if self.why == "interrupted":
            return 130
        return 0 if self.certificate.winner is not None else 1


def certify(path: str | os.PathLike[str] | Results, **arguments: Any) -> Certificate:
    """Race a sweep's best configurations on fresh seeds, and state what is known of them; see `run`.

    Raises:
        KeyboardInterrupt: Ctrl-C; the trials that ended are kept, and a further call goes on.
    """
    outcome = run(path, **arguments)
    if outcome.why == "interrupted":
        raise KeyboardInterrupt
    return outcome.certificate


def run(
    path: str | os.PathLike[str] | Results,
    *,
    top: int = 5,
    budget: int = 15,
    default: Mapping[str, Any] | None = None,
    seed_key: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    **place: Any,
) -> Outcome:
    """`certify`, and how it ended.

    Args:
        path: the sweep's folder.
        top: how many of its configurations take part.
        budget: trials of the race in all, those of earlier calls included.
        default: values of the default configuration that are other than the trainable's, by dotted name.
        seed_key: the name of the seed, where the trainable does not say.
        say: called with a line for each trial that ends.
        place: `ranks`, `cpus_per_rank`, `gpus_per_rank`, `max_concurrent`, `address`, `cluster`, `prices`,
            where other than the sweep's; None: as there.

    Raises:
        ValueError: there is nothing to race, or not so; nothing was started.
    """
    results = path if isinstance(path, Results) else Results(path)
    metric, mode = _objective(results)
    if top < 1:
        raise ValueError(f"top is {top}; it says how many configurations take part, at least 1.")
    if journal.is_running(results.folder):
        raise ValueError(f"{results.path} is running just now; certify it when it has ended.")
    sweep = _sweep_of(results)
    folder = results.folder.child(FOLDER)
    before = records(journal.read(folder), metric)
    if seed_key is None and before:
        seed_key = next(iter(before.values())).seed_key
    settled = _settled(before, default, folder)
    wanted = candidates.choose(results, sweep, top=top, default=default, settled=settled, seed_key=seed_key)
    field = _with_earlier(wanted, before, folder)
    everybody = [*field.candidates, *([field.default] if field.default else [])]
    if budget < len(everybody) + 1:
        raise ValueError(
            f"budget is {budget}; {len(field.candidates)} configurations"
            f"{' and the default' if field.default else ''} once each, and one of them again, take "
            f"{len(everybody) + 1} trials, and twice each {2 * len(everybody)}. Give more, or lower --top."
        )
    why = "finished"
    if not _over(before, field, mode, budget):
        why = _race(sweep, field, results.folder, budget, _lines(say, before, metric, mode), place)
    stated = statement.state(
        records(journal.read(folder), metric),
        sweep=results.folder.name,
        sweep_trials=len(results),
        in_sweep={trial.id: trial.value for trial in results.trials},
        metric=metric,
        mode=mode,
        default_is=field.default_is,
        budget=budget,
    )
    results.folder.put(FILE, json.dumps(stated.to_dict(), default=str, indent=1).encode())
    return Outcome(certificate=stated, why=why)


def _objective(results: Results) -> tuple[str, str]:
    objectives = results.manifest.objectives
    if len(objectives) > 1:
        raise ValueError(
            f"{results.path} improves {len(objectives)} metrics ({', '.join(objectives)}); of several there "
            "is no best configuration to certify, but a front: `starling best` shows it."
        )
    return next(iter(objectives.items()))


def _sweep_of(results: Results) -> Sweep:
    """The sweep as its file says, but for how it searched: that may be an object, which no file holds."""
    content = results.folder.read(SPEC)
    if content is None:
        raise ValueError(f"{results.path} has no {SPEC}, so that nobody knows what its trials train.")
    written = options.read_yaml(content.decode())
    reasons = [one for one in written.pop("cannot_resume", ()) if not one.startswith("its search ")]
    more: dict[str, Any] = {"cannot_resume": reasons} if reasons else {}
    more |= {"search": "random", "scheduler": "fifo", "warm_start": []}
    return sweep_file.parse(options.write_yaml(more | {k: v for k, v in written.items() if k not in more}))


def _settled(
    before: Mapping[str, Record], default: Mapping[str, Any] | None, folder: Folder
) -> Configuration | None:
    """The default configuration of an earlier call, which `default` must not change."""
    if DEFAULT not in before:
        return None
    record = before[DEFAULT]
    had: dict[str, Any] = json.loads(json.dumps(record.config))
    changed = json.loads(json.dumps(had))
    for name, value in (default or {}).items():
        put(changed, name, value)
    if changed != had:
        raise ValueError(
            f"default: this race's default configuration is {had}; begin anew without {folder.uri}, or "
            "leave it as it was."
        )
    return Configuration(name=DEFAULT, config=record.config, what=record.what)


def _with_earlier(wanted: Field, before: Mapping[str, Record], folder: Folder) -> Field:
    """The field with those who have had trials in an earlier call, as they were."""
    for record in before.values():
        if record.seed_key != wanted.seed_key:
            raise ValueError(
                f"seed-key: this race gave its seeds to {record.seed_key!r}; begin anew without {folder.uri}"
                ", or leave it as it was."
            )
    raced = {name: Configuration(name=name, config=one.config) for name, one in before.items()}
    names = [one.name for one in wanted.candidates]
    earlier = [one for name, one in raced.items() if name not in names and name != DEFAULT]
    return Field(
        candidates=[raced.get(one.name, one) for one in wanted.candidates] + earlier,
        default=wanted.default,
        default_is=wanted.default_is,
        seed_key=wanted.seed_key,
        used=wanted.used,
    )


def _over(before: Mapping[str, Record], field: Field, mode: str, budget: int) -> bool:
    """Whether no trial is left to run."""
    if any(record.running for record in before.values()):
        return False
    if sum(len(record.trials) for record in before.values()) >= budget:
        return True
    empty = {one.name: Record(one.name, {}, None) for one in field.candidates}
    arms = [before.get(name, one).arm(mode) for name, one in empty.items()]
    default = before.get(DEFAULT, Record(DEFAULT, {}, None)).arm(mode) if field.default else None
    return race.next_arm(arms, default) is None


def _race(
    sweep: Sweep,
    field: Field,
    parent: Folder,
    budget: int,
    told: Callable[[int, str, int | None, float | None], None],
    place: Mapping[str, Any],
) -> str:
    """Run the trials that are left, beside those of the sweep in `parent`; why it ended."""
    space: dict[str, Any] = {}
    if field.seed_key is not None:
        put(space, field.seed_key, tune.randint(0, 2**31 - 1))
    constants = sweep.search_space().constants
    kept = {name: getattr(sweep, name) for name in KEPT} | {k: v for k, v in place.items() if v is not None}
    run = Sweep(
        **kept,
        space=space,
        fixed={name: value for name, value in constants.items() if name != field.seed_key},
        search=Race(field.candidates, field.default, field.seed_key, field.used, told),
        trials=budget,
        storage=parent.uri,
        name=FOLDER,
        quiet=True,
    )
    again = f"it is the race of a certificate; `starling certify {parent.uri} --budget N` goes on with it"
    spec = options.read_yaml(sweep_file.dump(run)) | {"search": "random", "cannot_resume": [again]}
    return continue_in(run, parent.child(FOLDER), options.write_yaml(spec)).why


def _lines(
    say: Callable[[str], None], before: Mapping[str, Record], metric: str, mode: str
) -> Callable[[int, str, int | None, float | None], None]:
    """Says each result that is new, in a line."""
    known = {
        trial
        for record in before.values()
        for trial, value in zip(record.trials, record.values, strict=True)
        if value is not None
    }
    failed = {name: len(record.reasons) for name, record in before.items()}

    def told(number: int, name: str, seed: int | None, loss: float | None) -> None:
        trial = f"{number:05d}"
        if trial in known:
            return
        if loss is None and failed.get(name, 0):
            failed[name] -= 1
            return
        value = "failed" if loss is None else f"{metric} {-loss if mode == 'max' else loss:.5g}"
        say(f"{trial}  {name:<8}  {f'seed {seed}  ' if seed is not None else ''}{value}")

    return told
