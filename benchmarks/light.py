"""Trainables that do nothing, so that what is measured is the driver; the same class for every contender."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ray import tune

from trainables import Program


class Reports(tune.Trainable):
    """Reports a number `reports` times and is done; keeps its process for the next trial."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """One CPU."""
        return tune.PlacementGroupFactory([{"CPU": 1}])

    def setup(self, config: dict[str, Any]) -> None:
        """Begin."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin again."""
        self.x, self.reports, self.count = new_config["x"], new_config["reports"], 0
        return True

    def step(self) -> dict[str, Any]:
        """One report."""
        self.count += 1
        return {"loss": self.x / self.count, "done": self.count >= self.reports}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """One number."""
        Path(checkpoint_dir, "count").write_text(str(self.count))

    def load_checkpoint(self, checkpoint_dir: Any) -> None:
        """Go on counting."""
        self.count = int(Path(checkpoint_dir, "count").read_text())


class Witnessed(Reports):
    """Takes `step_s` a step and writes each one down itself, so that repeated work shows, whoever drives."""

    def step(self) -> dict[str, Any]:
        """One report, and one line `x iteration time` in the file WITNESS of the config."""
        time.sleep(self.config["step_s"])
        report = super().step()
        with open(self.config["witness"], "a") as file:
            file.write(f"{self.x!r} {self.count} {time.time()!r} {os.getpid()}\n")
        return report


class Light(Program):
    """`Reports` as a program for `Sweep`, without checkpoints, as in plain Tune."""

    name = "light"
    metrics = ("loss",)
    default_metric = ("loss", "min")
    checkpoints = False

    def trainable(self, ranks: int = 1, cpus_per_rank: float = 1, gpus_per_rank: float = 0) -> Any:
        """The class."""
        return Reports


class Watched(Light):
    """`Witnessed` with a checkpoint after each report."""

    name = "watched"
    checkpoints = True

    def trainable(self, ranks: int = 1, cpus_per_rank: float = 1, gpus_per_rank: float = 0) -> Any:
        """The class."""
        return Witnessed
