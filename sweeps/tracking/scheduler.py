"""One of our search algorithms at the head of a sweep that `wandb agent`s run.

W&B's client 0.31 (experimental there, and so here) lets a program on the user's machine suggest the runs of a
sweep whose configuration has a `scheduler`. Its search engine is an Optuna study; ours has a sampler that
asks the search algorithm instead:

    W&B's agents <-- server <-- wandb's scheduler --> study --> `Delegate` --> search algorithm

Finished runs of before are learned from at the first suggestion. Runs that were under way when the scheduler
was started again are not: the algorithm has no suggestion that they belong to. Parameters that Optuna has no
distribution for (normal, beta, nested ones, ...) are refused, as wandb does.
"""

from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

import search_algs
from search_algs import AskTell
from sweeps.files.options import named
from sweeps.files.space_yaml import read_space

GOALS = {"minimize": "min", "maximize": "max"}


class Delegate(BaseSampler):
    """An Optuna sampler that hands out the suggestions of one of our search algorithms.

    Args:
        searcher: has its space and metrics; not asked before.
        metrics: names, in the order of the study's values.
    """

    def __init__(self, searcher: AskTell, metrics: list[str]) -> None:
        self._searcher, self._metrics = searcher, metrics
        self._ahead: Any = None
        self._asked = 0
        self._suggestions: dict[int, tuple[str, Mapping[str, Any]]] = {}

    def is_exhausted(self, study: optuna.Study) -> bool:
        """Whether there will be no further suggestion; wandb's scheduler asks before each trial."""
        if self._ahead is None:
            if not self._asked:
                self._learn(study)
            self._ahead = self._searcher.suggest(str(self._asked))
            self._asked += 1
        return bool(self._ahead == "FINISHED")

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Take a suggestion for it, unless its values are given (a run that goes on after a restart)."""
        if "fixed_params" in trial.system_attrs:
            return
        if self.is_exhausted(study) or self._ahead is None:
            raise RuntimeError("the search algorithm has nothing more to suggest")
        self._suggestions[trial.number] = (str(self._asked - 1), self._ahead)
        self._ahead = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """None: every value comes from the suggestion."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing, as there is no relative search space."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The suggestion's value."""
        return self._suggestions[trial.number][1][param_name]

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Tell the algorithm; a run that was pruned or failed gave no result."""
        if (found := self._suggestions.pop(trial.number, None)) is None:
            return
        if state == TrialState.COMPLETE and values is not None:
            self._searcher.conclude(found[0], dict(zip(self._metrics, values, strict=True)))
        else:
            self._searcher.lose(found[0])

    def _learn(self, study: optuna.Study) -> None:
        """What earlier sessions' runs gave, the best first."""
        done = [t for t in study.get_trials(states=[TrialState.COMPLETE]) if t.values is not None]
        sign = -1.0 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1.0
        for trial in sorted(done, key=lambda t: sign * t.values[0]):
            self._searcher.learn(trial.params, dict(zip(self._metrics, trial.values, strict=True)))


def study_for(
    config: Mapping[str, Any], search: str | Mapping[str, Any], *, seed: int = 0, trials: int | None = None
) -> tuple[optuna.Study, Callable[[optuna.Study], bool]]:
    """A study that our search algorithm drives, and when it is done: what W&B's `optimizer` hook returns.

    Args:
        config: of W&B's sweep.
        search: name of a search algorithm, with settings as in `--search`.
        seed: of the algorithm.
        trials: finished after so many ended runs; None: when the algorithm has no more.

    Raises:
        ValueError: the sweep has no metric, or parameters that cannot be searched here.
    """
    metrics = config.get("metrics") or ([config["metric"]] if config.get("metric") else [])
    if not metrics:
        raise ValueError("the W&B sweep has no metric; add `metric: {name: ..., goal: minimize}`.")
    problems: list[str] = []
    space = read_space(config.get("parameters"), problems, ours=False)
    if problems:
        raise ValueError("the W&B sweep's parameters cannot be searched:\n  " + "\n  ".join(problems))
    names = [metric["name"] for metric in metrics]
    goals = [metric.get("goal", "minimize") for metric in metrics]
    modes = [GOALS[goal] for goal in goals]
    name, given = named(search)
    several = len(names) > 1
    objective: dict[str, Any] = (
        {"metric": names, "mode": modes} if several else {"metric": names[0], "mode": modes[0]}
    )
    searcher = search_algs.build(name, **({"seed": seed} | objective | {"space": space} | given))
    study = optuna.create_study(
        sampler=Delegate(searcher, names), directions=goals, pruner=optuna.pruners.NopPruner()
    )

    def done(study: optuna.Study) -> bool:
        ended = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)
        return trials is not None and len(study.get_trials(deepcopy=False, states=ended)) >= trials

    return study, done


def drive(
    path: str,
    search: str,
    *,
    seed: int = 0,
    trials: int | None = None,
    at_once: int = 10,
    poll_s: float = 10.0,
) -> None:
    """Suggest the runs of a W&B sweep until it is done; Ctrl-C ends it, and it may be started again.

    Args:
        path: `entity/project/sweep`.
        search, seed, trials: as of `study_for`.
        at_once: runs that wait or run at a time.
        poll_s: seconds between two looks at the runs.

    Raises:
        ValueError: no such path, or the sweep cannot be searched.
        RuntimeError: W&B's scheduler ended with an error.
    """
    parts = path.split("/")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"the W&B sweep is {path!r}; give ENTITY/PROJECT/SWEEP, as `wandb sweep` prints it.")
    if at_once < 1 or poll_s <= 0 or (trials is not None and trials < 1):
        raise ValueError("--at-once and --trials must be 1 or more, --poll more than 0.")
    import wandb
    from wandb.sdk.sweeps.scheduler.client import run_scheduler
    from wandb.sdk.sweeps.scheduler.optuna import OptunaDeclarativeOptimizer, search_space_from_sweep_config

    trouble: list[ValueError] = []

    def make(sweep: Any) -> OptunaDeclarativeOptimizer:
        try:
            study, done = study_for(sweep.config, search, seed=seed, trials=trials)
            distributions = search_space_from_sweep_config(sweep.config["parameters"])
        except ValueError as error:
            trouble.append(error)
            raise wandb.Error(str(error)) from error
        return OptunaDeclarativeOptimizer(study, distributions, sweep, done)

    entity, project, sweep_id = parts
    try:
        run_scheduler(
            entity=entity, project=project, sweep_id=sweep_id, make_optimizer=make, batch_size=at_once,
            poll_interval=poll_s,
        )  # fmt: skip
    except wandb.Error as error:
        if trouble:
            raise trouble[0] from error
        raise RuntimeError(f"W&B's scheduler ended: {error}") from error
