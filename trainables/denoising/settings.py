"""Hyperparameters that generative models share: images, the network that sees them, what it draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainables.denoising.datasets import SHAPES
from trainables.engine import Training, cifar10, hyper


@dataclass(frozen=True, kw_only=True, slots=True)
class OnImages(Training):
    """The images."""

    dataset: str = hyper(
        "digits", "8x8 grey digits or 32x32 photographs.", choices=tuple(SHAPES), group="data"
    )
    data: str | None = hyper(
        None, "Folder of the CIFAR-10 Parquet files; None is STARLING_DATA.", group="data", path=True
    )

    @property
    def side(self) -> int:
        """Of an image; the digits' where the dataset is unknown, which `check` complains of."""
        return SHAPES.get(self.dataset, SHAPES["digits"]).side


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone(OnImages):
    """The network that sees noised images."""

    width: int = hyper(
        16, "Channels at the full side, a multiple of 8.", low=16, high=128, log=True, group="model"
    )
    multipliers: str = hyper(
        "1,2", "Channels at each level as multiples of `width`; the side halves in between.", group="model"
    )
    blocks: int = hyper(1, "Residual blocks at each level.", low=1, high=3, group="model")
    attention: int = hyper(
        4, "Largest side at which pixels attend to one another; 0: never.", choices=(0, 4, 8, 16),
        group="model",
    )  # fmt: skip
    dropout: float = hyper(0.0, "Rate in every block.", low=0.0, high=0.3, group="reg", mutable=True)

    def __post_init__(self) -> None:
        OnImages.__post_init__(self)
        words = self.multipliers.split(",")
        whole = all(word.strip().isdigit() and int(word) > 0 for word in words)
        refuse(
            ("width", self.width, self.width >= 8 and self.width % 8 == 0, "a multiple of 8"),
            ("multipliers", repr(self.multipliers), whole, "whole numbers with commas, such as 1,2,2"),
            (
                "multipliers",
                repr(self.multipliers),
                self.side % 2 ** (len(words) - 1) == 0,
                f"a list for a side of {self.side}, which is halved from each to the next",
            ),
            ("blocks", self.blocks, self.blocks >= 1, "at least 1"),
            ("dropout", self.dropout, 0 <= self.dropout < 1, "in [0, 1)"),
        )

    def channel_multipliers(self) -> list[int]:
        """`multipliers` as numbers."""
        return [int(word) for word in self.multipliers.split(",")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing(Backbone):
    """The images that it draws at each report."""

    samples: int = hyper(128, "Images drawn and judged at each report.", low=128, high=5000, group="sampler")
    steps: int = hyper(
        8, "Noise levels on the way from noise to an image.", low=5, high=1000, log=True, group="sampler"
    )
    guidance: float = hyper(
        0.0, "w of classifier-free guidance: 0 conditional, -1 unconditional, more is more typical.",
        low=0.0, high=4.0, group="sampler",
    )  # fmt: skip

    def __post_init__(self) -> None:
        Backbone.__post_init__(self)
        refuse(
            ("samples", self.samples, self.samples >= 100, "at least 100, to be judged"),
            ("steps", self.steps, self.steps >= 1, "at least 1"),
            ("guidance", self.guidance, self.guidance >= -1, "at least -1"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Diffusion(Drawing):
    """What all diffusion of pixels has in common."""

    conditional: bool = hyper(
        False, "Tell the network the class of an image.", choices=(False, True), group="model"
    )
    label_drop: float = hyper(
        0.1, "Share of images whose class is kept from a conditional network, so that `guidance` works.",
        low=0.05, high=0.3, group="reg", mutable=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        Drawing.__post_init__(self)
        refuse(
            ("label_drop", self.label_drop, 0 <= self.label_drop <= 1, "in [0, 1]"),
            (
                "guidance",
                self.guidance,
                self.conditional or not self.guidance,
                "0 where the network is not `conditional`",
            ),
        )


def refuse(*rules: tuple[str, Any, bool, str]) -> None:
    """Raise ValueError for what breaks a rule: name, value, whether it is fine, what it must be."""
    wrong = [f"`{name}` is {value}; it must be {rule}." for name, value, fine, rule in rules if not fine]
    if wrong:
        raise ValueError(" ".join(wrong))


def halvable(times: int, side: int) -> tuple[str, int, bool, str]:
    """The rule of `halvings` for `refuse`: how often an image's side is halved."""
    fine = times >= 0 and side % 2**times == 0
    return "halvings", times, fine, f"a number of times that a side of {side} can be halved"


def missing_data(config: Mapping[str, Any]) -> list[str]:
    """What a task says of CIFAR-10's files where it needs them and they are not there."""
    if config.get("dataset") != "cifar10":
        return []
    try:
        cifar10.locate(config.get("data"))
    except ValueError as error:
        return [str(error)]
    return []
