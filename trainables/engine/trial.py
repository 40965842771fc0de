"""One Tune trial: a class Trainable that conducts the ranks. It imports no torch, to start quickly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

import ray
from ray import tune
from ray.util.placement_group import get_current_placement_group

from trainables.engine import checkpoint
from trainables.engine.ddp import Crew, Plan, TrialFailed
from trainables.engine.output import on_disk

FOLDERS = frozenset({"STARLING_DATA", "STARLING_CACHE"})


class Trial(tune.Trainable):
    """Five verbs to all ranks. Ranks and their process group outlive a change of config
    (`reuse_actors=True`).

    A new config is only noted by `reset_config`: the next `step` builds a new model for it, and a
    `load_checkpoint` before that (a copy in population-based training) changes the running model in place
    where it can.
    """

    plan: ClassVar[Plan]

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """An empty head bundle for this process and one bundle a rank."""
        return tune.PlacementGroupFactory(cls.plan.bundles(), strategy="PACK")

    def setup(self, config: dict[str, Any]) -> None:
        """Start the ranks; nothing waits for them yet."""
        self._wanted: dict[str, Any] = dict(config)
        self._built: dict[str, Any] | None = None
        self._fresh = True
        self._crew: Crew | None = self._new_crew()

    def step(self) -> dict[str, Any]:
        """Train up to the next report and evaluate.

        Raises:
            TrialFailed: with the reason, if a rank fails or hangs or a metric is missing. (Where one is not
                finite, the report says why in `fault`, and is the last.)
        """
        if self._fresh:
            self._build()
        metrics = self._all("advance")[0] | self._all("evaluate")[0]
        return {name: _plain(value) for name, value in metrics.items()}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """One file with the state of all ranks, which is the same on each, and the task's pictures."""
        if self._fresh:
            self._build()
        checkpoint.write(checkpoint_dir, self._all("state_dict")[0])
        for name, image in self._all("pictures")[0].items() if self.plan.pictures else ():
            checkpoint.write(checkpoint_dir, image, f"{name}.png")

    def load_checkpoint(self, checkpoint_dir: Any) -> None:
        """Go on from a checkpoint of this or another trial, under this trial's config."""
        state = checkpoint.read(checkpoint_dir)
        if self._built is not None and self._crew is not None and self._differences() <= self.plan.mutable:
            self._all("mutate", self._wanted)
            self._built, self._fresh = self._wanted, False
        else:
            self._build()
        self._all("load_state_dict", ray.put(state))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Note the config of the next trial; never refuses, since Tune would count that as an error."""
        self._wanted, self._fresh = dict(new_config), True
        return True

    def cleanup(self) -> None:
        """Kill the ranks, once what they printed has gone to a store."""
        if self._crew is not None:
            if self._crew.prints_to and not on_disk(self._filesystem):
                with suppress(TrialFailed):
                    self._crew.all("keep_output")
            self._crew.stop()
            self._crew = None

    def _new_crew(self) -> Crew:
        group = get_current_placement_group()
        if group is None:
            raise TrialFailed(
                "the trial runs outside a placement group. Give Tune the class that `Program.trainable` "
                "returns, without other resources around it."
            )
        return Crew(self.plan, group)

    def _differences(self) -> set[str]:
        built = self._built or {}
        return {n for n in {*built, *self._wanted} if built.get(n, _ABSENT) != self._wanted.get(n, _ABSENT)}

    def _build(self) -> None:
        """A new model for the wanted config, by a new crew if a rank has died since the last report."""
        if self._built is not None and self._crew is not None:
            try:
                self._crew.all("place")
            except TrialFailed:
                self._crew = None
        if self._crew is None:
            self._crew = self._new_crew()
        self._built = None
        self._all("build", self._wanted)
        self._built, self._fresh = self._wanted, False

    @property
    def _filesystem(self) -> Any:
        return self._storage.storage_filesystem if self._storage is not None else None

    def _all(self, verb: str, *args: Any) -> list[Any]:
        assert self._crew is not None  # _build comes first
        try:
            self._crew.join()
            if self._storage is not None:  # Ray has no public name for it
                self._crew.print_to(self._filesystem, self._storage.trial_fs_path)
            return self._crew.all(verb, *args)
        except TrialFailed:
            self._crew, self._built, self._fresh = None, None, True  # the crew has stopped itself
            raise


_ABSENT = object()


def _plain(value: Any) -> int | float | str:
    return value if isinstance(value, int | str) else float(value)


def trial_class(plan: Plan) -> type[Trial]:
    """The Trainable to give to `tune.Tuner`, named after the trainable."""
    return type(plan.name.replace("-", "_"), (Trial,), {"plan": plan, "__doc__": f"Trials of {plan.name}."})


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Those variables of the driver that ranks on other machines need as well.

    Paths become absolute: a rank may run in another folder than the driver.
    """
    return {
        name: os.path.abspath(os.path.expanduser(value)) if name in FOLDERS and value else value
        for name, value in variables.items()
        if name.startswith("STARLING_")
    }
