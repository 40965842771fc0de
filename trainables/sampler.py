"""Sampling from a network that a finished trial has trained, so that steps, eta and guidance can be swept in
seconds a trial: `trainable="trainables.sampler:Sampler"`.

Its trials make one report. (It has no short name: what has one trains.)
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from trainables.denoising import described, drawing, reference, samplers
from trainables.denoising.denoiser import Denoiser
from trainables.denoising.settings import refuse
from trainables.diffusion import PICTURES, Ddpm, Diffusing, Sde
from trainables.engine import Task, checkpoint, hparams, hyper, pictures
from trainables.engine.ddp import Ranks
from trainables.engine.task import Engine
from trainables.noisy_classifier import AtTimes, Classifier

FORMAT = 1
NETWORK = {
    "conditional": True, "optimizer": "adamw", "lr": 4e-3, "batch_size": 64, "ema_decay": 0.995,
    "warmup_steps": 50,
}  # fmt: skip
"""Of the `ddpm` that is trained on digits where no checkpoint is given."""
CLASSIFIER = {"optimizer": "adamw", "lr": 2e-3, "batch_size": 64, "epochs": 10, "warmup_steps": 20}
"""Of the `noisy_classifier`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How images are drawn. What may change while a trial runs counts for its next report."""

    checkpoint: str | None = hyper(
        None, "Folder of a checkpoint of ddpm or sde; None: a class-conditional ddpm of digits, which is "
        "trained on first use and kept in STARLING_CACHE.", group="model", path=True,
    )  # fmt: skip
    epochs: int = hyper(30, "Passes of that training over the images.", group="model")
    sampler: str = hyper(
        "ddim", "ddim, Heun's method for the ODE, or the reverse SDE (of a network of sde).",
        choices=samplers.SAMPLERS, group="sampler",
    )  # fmt: skip
    steps: int = hyper(
        20, "Noise levels on the way from noise to an image.", low=5, high=1000, log=True, group="sampler"
    )
    eta: float = hyper(
        0.0, "Noise that ddim adds on its way: 0 none, 1 as much as DDPM.", low=0.0, high=1.0, group="sampler"
    )
    guidance: float = hyper(
        0.0, "w of classifier-free guidance: 0 conditional, -1 unconditional, more is more typical.",
        low=0.0, high=4.0, group="sampler",
    )  # fmt: skip
    scale: float = hyper(
        0.0, "Of the gradient of a classifier of noisy images; 0: without.", low=0.0, high=10.0,
        group="sampler",
    )  # fmt: skip
    classifier: str | None = hyper(
        None, "Folder of a checkpoint of noisy_classifier, for `scale`; None: one of digits, trained on "
        "first use.", group="model", path=True,
    )  # fmt: skip
    clip: bool = hyper(
        True, "Hold guesses of the image within the range of pixels.", choices=(True, False), group="sampler"
    )
    samples: int = hyper(500, "Images drawn and judged.", low=250, high=5000, group="sampler")
    seed: int = hyper(0, "The noise follows from it.")

    def __post_init__(self) -> None:
        refuse(
            ("epochs", self.epochs, self.epochs >= 1, "at least 1"),
            ("steps", self.steps, self.steps >= 1, "at least 1"),
            ("eta", self.eta, 0 <= self.eta <= 1, "in [0, 1]"),
            ("eta", self.eta, self.sampler == "ddim" or not self.eta, f"0 for the sampler {self.sampler}"),
            ("guidance", self.guidance, self.guidance >= -1, "at least -1"),
            ("scale", self.scale, self.scale >= 0, "at least 0"),
            ("samples", self.samples, self.samples >= 100, "at least 100, to be judged"),
            ("seed", self.seed, self.seed >= 0, "at least 0"),
        )


class Sampler(Task):
    """The quality of drawn images, and `passes`: how often the network is asked for an image."""

    Config = Sampling
    metric = ("fcd", "min")
    metrics: ClassVar[tuple[str, ...]] = ("fcd", "fcd_floor", "kcd", "passes")
    beside: ClassVar[tuple[str, ...]] = ("images_per_s", "seconds")
    config: Sampling

    def setup(self) -> None:
        """Nothing: there are no data to train on."""

    def engine(self, ranks: Ranks) -> Engine:
        """One that draws."""
        return Draws(self, ranks)

    def pictures(self, model: Any, ranks: Ranks) -> Mapping[str, torch.Tensor]:
        """Images drawn; a conditional network's are 0 to 9 in turn."""
        assert isinstance(model, Networks)
        return {"samples": (model.draw(self.config, ranks, PICTURES)[0] + 1) / 2}

    @classmethod
    def reports(cls, config: Any) -> int | None:
        """One."""
        return 1

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """Folders that hold no checkpoint."""
        return [
            f"`{name}` is {folder}, which holds no {checkpoint.FILE}; give a trial's checkpoint folder."
            for name in ("checkpoint", "classifier")
            if (folder := config.get(name)) and not os.path.isfile(os.path.join(folder, checkpoint.FILE))
        ]


class Networks:
    """The denoiser, and the classifier once it is needed."""

    def __init__(self, config: Sampling, ranks: Ranks) -> None:
        def alive() -> None:
            ranks.beats += 1

        if config.checkpoint is None:
            settings = NETWORK | {"epochs": config.epochs}
            task, model = reference.trained(Ddpm, settings, ranks.device, alive)
        else:
            task, model = described.load(config.checkpoint, {"ddpm": Ddpm, "sde": Sde})
        assert isinstance(task, Diffusing)
        assert isinstance(model, Denoiser)
        self.task, self.denoiser = task, model.to(ranks.device)
        self.classifier: AtTimes | None = None
        if config.scale:
            of_path = {"dataset": task.config.dataset, "path": _path_of(task)}
            if config.classifier is None:
                _, found = reference.trained(Classifier, CLASSIFIER | of_path, ranks.device, alive)
            else:
                of, found = described.load(config.classifier, {"noisy_classifier": Classifier})
                differ = [n for n, value in of_path.items() if getattr(of.config, n) != value]
                if differ:
                    raise ValueError(
                        f"the classifier in {config.classifier} was trained for another "
                        f"{' and '.join(differ)} than the network; train one with "
                        f"{', '.join(f'{name}={of_path[name]}' for name in differ)}."
                    )
            assert isinstance(found, AtTimes)
            self.classifier = found.to(ranks.device)
        if config.guidance not in (0, -1) and not task.config.conditional:
            raise ValueError(
                f"`guidance` is {config.guidance}, and the network in {config.checkpoint} knows no classes; "
                "train it with conditional=true."
            )

    def draw(self, config: Sampling, ranks: Ranks, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """So many images with the values that pixels can have, and the classes asked for."""
        settings = drawing.Settings(
            sampler=config.sampler, steps=config.steps, eta=config.eta, guidance=config.guidance,
            clip=config.clip, seed=config.seed,
        )  # fmt: skip
        by = None if self.classifier is None else self.classifier.log_probability
        with torch.no_grad():
            return self.task.draw(self.denoiser, ranks, count, settings, by, config.scale)


class Draws:
    """The five verbs where nothing is trained: one report, of images drawn anew."""

    def __init__(self, task: Sampler, ranks: Ranks) -> None:
        self.task, self.ranks = task, ranks
        self.networks = Networks(task.config, ranks)
        self.reports = 0

    def advance(self) -> dict[str, float]:
        """Draw."""
        start, config = time.perf_counter(), self.task.config
        self.images, self.labels = self.networks.draw(config, self.ranks, config.samples)
        self._seconds = time.perf_counter() - start
        self.reports += 1
        each = 2 * config.steps - 1 if config.sampler == "heun" else config.steps
        guided = config.guidance not in (0, -1)
        return {"images_per_s": config.samples / self._seconds, "passes": each * (1 + guided)}

    def evaluate(self) -> dict[str, Any]:
        """Judge; the trial is complete."""
        from trainables.quality import distances

        trained = self.networks.task.config
        asked = (trained.conditional and self.task.config.guidance != -1) or self.task.config.scale > 0
        found = distances.quality(self.images, self.labels if asked else None, trained.dataset)
        return {**found, "seconds": self._seconds, "done": True}

    def pictures(self) -> dict[str, bytes]:
        """The task's pictures as PNG."""
        found = self.task.pictures(self.networks, self.ranks)
        return {name: pictures.grid(images) for name, images in found.items()}

    def state_dict(self) -> dict[str, Any]:
        """How many reports there were; the network is its own trial's."""
        return {"format": FORMAT, "reports": self.reports}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.reports = state["reports"]

    def mutate(self, config: Mapping[str, Any]) -> None:
        """Take over changed values; none may change."""
        self.task.config = hparams.mutated(self.task.config, config)


def _path_of(task: Diffusing) -> str:
    """As `noisy_classifier` calls it."""
    c = task.config
    return f"{c.noise_schedule}_steps" if isinstance(task, Ddpm) else str(c.path)
