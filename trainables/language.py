"""A language model of characters: what follows each one of a text, in bits a character.

The text is that of scikit-learn's descriptions of its data sets, 43,000 characters of English and tables
(no download), or a file of yours.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.engine import Task, Training, hyper
from trainables.engine.ddp import Ranks
from trainables.nets import layers, transformer
from trainables.registry import register

HELD_OUT = 0.1
"""Share of the text, its end, that is held out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Language(Training):
    """Hyperparameters of a small causal transformer."""

    data: str | None = hyper(
        None, "A text file in UTF-8; None: scikit-learn's descriptions of its data sets.",
        group="data", path=True,
    )  # fmt: skip
    length: int = hyper(
        64, "Characters that it looks back on at most.", low=16, high=256, log=True, group="model"
    )
    embedding: int = hyper(
        64, "Numbers that stand for a character.", choices=(16, 32, 64, 128, 256, 512), group="model"
    )
    heads: int = hyper(4, "Of the attention, sharing the embedding.", choices=(1, 2, 4, 8), group="model")
    depth: int = hyper(2, "Layers.", low=1, high=6, group="model")
    activation: str = hyper("gelu", "In the layers.", choices=layers.ACTIVATIONS, group="model")
    norm_eps: float = hyper(
        1e-5, "Added to a normalisation's variance.", low=1e-8, high=1e-2, log=True, group="model"
    )
    dropout: float = hyper(
        0.0, "Rate behind embedding, attention and perceptron.", low=0.0, high=0.5, group="reg", mutable=True
    )

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        wrong = [
            f"`{name}` is {value}; it must be {rule}."
            for name, value, fine, rule in (
                ("length", self.length, self.length >= 2, "at least 2"),
                ("depth", self.depth, self.depth >= 1, "at least 1"),
                ("norm_eps", self.norm_eps, self.norm_eps > 0, "above 0"),
                ("dropout", self.dropout, 0 <= self.dropout < 1, "in [0, 1)"),
                (
                    "embedding",
                    self.embedding,
                    self.embedding % self.heads == 0,
                    f"a multiple of the {self.heads} heads",
                ),
            )
            if not fine
        ]
        if wrong:
            raise ValueError(" ".join(wrong))


@register("language")
class LanguageModel(Task):
    """Cross-entropy of the next character; `val_bpc` in bits, beside that of pairs of characters alone."""

    Config = Language
    metric = ("val_bpc", "min")
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "val_bpc", "bigram_bpc")
    config: Language

    def setup(self) -> None:
        """Cut the text into windows: overlapping ones to train on, each character once to be judged by."""
        numbers, self._characters = _read(self.config.data)
        end, length = round(len(numbers) * (1 - HELD_OUT)), self.config.length
        if min(end, len(numbers) - end) <= length + 1:
            raise ValueError(
                f"the text has {len(numbers)} characters, of which a tenth is held out; that must be more "
                f"than length + 1 = {length + 1}. Give a longer text or a smaller `length`."
            )
        self._bigram_bpc = bigram_bpc(numbers[:end], numbers[end:], self._characters)
        self.train = Windows(numbers[:end], length, max(1, length // 8))
        self.val = Windows(numbers[end:], length, length)

    def build(self) -> nn.Module:
        """A causal transformer."""
        c = self.config
        style = layers.Style(activation=c.activation, norm_eps=c.norm_eps)
        return transformer.CharacterModel(
            self._characters, c.length, c.embedding, c.heads, c.depth, c.dropout, style
        )

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Mean over all places of all windows, in nats."""
        text, following = batch
        return F.cross_entropy(model(text).flatten(0, 1), following.flatten())

    def evaluate(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """On the end of the text."""
        found = ranks.mean(self.val, lambda batch: {"val_loss": self.held_out(model, batch)}, batch_size=64)
        return found | {"val_bpc": found["val_loss"] / math.log(2), "bigram_bpc": self._bigram_bpc}

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """No such file, or not a text."""
        given = config.get("data")
        if given is None:
            return []
        try:
            Path(given).read_text(encoding="utf8")
        except (OSError, UnicodeDecodeError) as error:
            return [f"data: {given!r} cannot be read as text ({error})."]
        return []


class Windows:
    """Pieces of a text: (characters' numbers, those one further), each (n, length) int64."""

    def __init__(self, numbers: Any, length: int, step: int) -> None:
        self.text = torch.from_numpy(numbers)
        self.starts = np.arange(0, len(numbers) - length, step)
        self.offsets = torch.arange(length + 1)

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, indices: Any, bits: Any, device: torch.device) -> tuple[Tensor, Tensor]:
        """The windows with these numbers."""
        places = torch.from_numpy(self.starts[indices])[:, None] + self.offsets
        text = self.text[places].to(device)
        return text[:, :-1], text[:, 1:]


@functools.cache
def _read(path: str | None) -> tuple[Any, int]:
    """The text as numbers, and how many different characters it has."""
    if path is None:
        folder = resources.files("sklearn.datasets") / "descr"
        names = sorted(one.name for one in folder.iterdir() if one.name.endswith(".rst"))
        text = "".join((folder / name).read_text(encoding="utf8") for name in names)
    else:
        text = Path(path).read_text(encoding="utf8")
    known = {character: number for number, character in enumerate(sorted(set(text)))}
    return np.array([known[character] for character in text], dtype=np.int64), len(known)


def bigram_bpc(seen: Any, unseen: Any, characters: int) -> float:
    """Bits a character of `unseen` under counts of pairs in `seen`, one added to each (Laplace's rule)."""
    counts = np.ones((characters, characters))
    np.add.at(counts, (seen[:-1], seen[1:]), 1)
    chances = counts / counts.sum(1, keepdims=True)
    return float(-np.log2(chances[unseen[:-1], unseen[1:]]).mean())
