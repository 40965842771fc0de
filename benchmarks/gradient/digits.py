"""Few digits, 30 % of them mislabelled, by a smooth network: 4, 20 or 100 hyperparameters that each matter.

    4    learning rate, momentum, weight decay, label smoothing
    20   learning rates of 5 parts of the run, weight decay of 3 layers, Gaussian dropout of 2 layers, noise
         on the pixels, shifts, contrast, weights of 5 runs of training images (the last are mislabelled)
    100  learning rates of 10 parts of the run and momenta of 5, weight decay of 6 tensors, label smoothing
         and weights of 10 classes, noise on 8 rows of pixels, weights of 47 runs of training images

Everything is a function of (parameters, hyperparameters, step, seed) alone, as `unrolled.Run` wants it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from ray import tune
from torch import Tensor
from torch.nn import functional as F

from benchmarks.gradient.problem import Slopes, each, flat, hyper
from trainables.engine import parts
from trainables.hypergrad.unrolled import Run, backward, train
from trainables.hypergrad.updates import Settings, Sgd, Tensors

SAMPLES, HELD_OUT, MISLABELLED = 400, 600, 0.3
"""Training images, held-out ones (what is left judges), and the share with random labels."""
STEPS, BATCH, WIDTH = 60, 40, 32
JUDGES = 4
"""Fresh training seeds over which a configuration's test loss is averaged."""
LR, MOMENTUM, DECAY = tune.loguniform(3e-3, 1.0), tune.uniform(0.0, 0.95), tune.loguniform(1e-5, 1e-1)
SMOOTHING, NOISE, WEIGHT = tune.uniform(0.0, 0.4), tune.uniform(0.0, 1.0), tune.uniform(0.0, 1.0)
SPACES: dict[int, dict[str, Any]] = {
    4: {"lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY, "label_smoothing": SMOOTHING},
    20: {
        "lr": each(5, LR),
        "momentum": MOMENTUM,
        "weight_decay": each(3, DECAY),
        "label_smoothing": SMOOTHING,
        "dropout": each(2, NOISE),
        "input_noise": NOISE,
        "shift": NOISE,
        "contrast": NOISE,
        "data_weight": each(5, WEIGHT),
    },
    100: {
        "lr": each(10, LR),
        "momentum": each(5, MOMENTUM),
        "weight_decay": each(6, DECAY),
        "label_smoothing": each(10, SMOOTHING),
        "dropout": each(2, NOISE),
        "input_noise": each(8, NOISE),
        "shift": NOISE,
        "contrast": NOISE,
        "class_weight": each(10, WEIGHT),
        "data_weight": each(47, WEIGHT),
    },
}
SHAPES = [(WIDTH, 64), (WIDTH,), (WIDTH, WIDTH), (WIDTH,), (10, WIDTH), (10,)]
"""Weights and biases of two hidden layers and the last."""
SIZES = [math.prod(shape) for shape in SHAPES]
OWNER = torch.tensor([i for i, size in enumerate(SIZES) for _ in range(size)])


class Digits:
    """One split of the digits, one set of wrong labels."""

    def __init__(self, k: int, seed: int, dtype: torch.dtype = torch.float32, steps: int = STEPS) -> None:
        self.space, self._dtype, self._steps = SPACES[k], dtype, steps
        self._augments = "shift" in self.space
        g = torch.Generator().manual_seed(seed)
        pixels, labels = _images()
        order = torch.randperm(len(labels), generator=g)
        pixels, labels = pixels[order].to(dtype), labels[order]
        self._x, self._y = pixels[:SAMPLES], labels[:SAMPLES].clone()
        wrong = round(MISLABELLED * SAMPLES)
        self._y[-wrong:] = torch.randint(10, (wrong,), generator=g)
        self._moved = _moved(self._x)
        ends = SAMPLES + HELD_OUT
        self._held_out = pixels[SAMPLES:ends], labels[SAMPLES:ends]
        self._test = pixels[ends:], labels[ends:]

    def loss(self, config: Mapping[str, Any], seed: int) -> float:
        """Cross-entropy of the held-out images."""
        return self._after(config, seed, self._held_out)

    def slopes(self, config: Mapping[str, Any], seed: int) -> Slopes:
        """Through the whole training, backwards."""
        found = backward(self.run(seed), self.start(seed), hyper(config, self._dtype))
        return Slopes(flat(found.gradient), found.growth)

    def judge(self, config: Mapping[str, Any]) -> float:
        """Mean cross-entropy of the test images over fresh training seeds."""
        return sum(self._after(config, -1 - i, self._test) for i in range(JUDGES)) / JUDGES

    def start(self, seed: int) -> Tensors:
        """All weights and biases as one tensor: a step of so small a network costs what its operations do."""
        g = torch.Generator().manual_seed(2 * seed + 2**40)
        weights = [torch.randn(s, generator=g, dtype=self._dtype) / s[1] ** 0.5 for s in SHAPES[::2]]
        both = [p.reshape(-1) for w in weights for p in (w, torch.zeros(len(w), dtype=self._dtype))]
        return (torch.cat(both),)

    def run(self, seed: int) -> Run:
        """One training."""
        g = torch.Generator().manual_seed(2 * seed + 1 + 2**40)
        drawn = torch.randn(self._steps, BATCH, 66 + 2 * WIDTH, generator=g, dtype=self._dtype)
        rows = torch.randint(SAMPLES, (self._steps, BATCH), generator=g)
        side = torch.randint(4, rows.shape, generator=g)
        x, y = self._x[rows], self._y[rows]
        away = self._moved[side, rows] - x if self._augments else x
        size = (drawn[:, :, 0:1] / 2**0.5).erf().abs()  # uniform in (0, 1)

        def loss(params: Tensors, h: Mapping[str, Tensor], step: int) -> Tensor:
            image, draws = x[step], drawn[step]
            scales: tuple[Any, Any] = (1.0, 1.0)
            if self._augments:
                image = torch.addcmul(image, h["shift"] * size[step], away[step])
                image = (image + 1) * torch.exp(h["contrast"] * draws[:, 1:2]) - 1
                noise = _spread(h["input_noise"], 64)
                image = image + noise * draws[:, 2:66]
                first, second = h["dropout"]
                scales = (1 + first * draws[:, 66 : 66 + WIDTH], 1 + second * draws[:, 66 + WIDTH :])
            logs = F.log_softmax(_logits(params[0], image, *scales), dim=1)
            smooth = h["label_smoothing"]
            smooth = smooth[y[step]] if smooth.ndim else smooth
            losses = (smooth - 1) * logs.gather(1, y[step][:, None])[:, 0] - smooth * logs.mean(1)
            if not self._augments:
                return losses.mean()
            weight = h["data_weight"][rows[step] * len(h["data_weight"]) // SAMPLES]
            if "class_weight" in h:
                weight = weight * h["class_weight"][y[step]]
            return torch.dot(weight, losses) / (weight.sum() + 1e-3)

        return Run(
            loss=loss,
            update=Sgd(),
            settings=self._settings,
            validation=lambda params, h: _cross_entropy(params[0], self._held_out),
            steps=self._steps,
        )

    def _after(self, config: Mapping[str, Any], seed: int, data: tuple[Tensor, Tensor]) -> float:
        (params,) = train(self.run(seed), self.start(seed), hyper(config, self._dtype))
        return float(_cross_entropy(params, data))

    def _settings(self, h: Mapping[str, Tensor], step: int) -> Settings:
        done = step / self._steps
        now = {name: h[name][parts.place(done, len(h[name]))] if h[name].ndim else h[name]
               for name in ("lr", "momentum")}  # fmt: skip
        decay = h["weight_decay"]
        if decay.ndim:  # one for each weight, which counts as one for each tensor
            decay = _spread(decay, len(SHAPES))[OWNER][None]
        return now | {"weight_decay": decay}


def _spread(values: Tensor, count: int) -> Tensor:
    return values.repeat_interleave(count // len(values)) if values.ndim else values


def _cross_entropy(params: Tensor, data: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(_logits(params, data[0]), data[1])


def _logits(params: Tensor, x: Tensor, first: Any = 1.0, second: Any = 1.0) -> Tensor:
    a, b, c, d, e, f = (p.view(s) for p, s in zip(params.split(SIZES), SHAPES, strict=True))
    x = torch.addmm(b, x, a.T).tanh() * first
    x = torch.addmm(d, x, c.T).tanh() * second
    return torch.addmm(f, x, e.T)


@cache
def _images() -> tuple[Tensor, Tensor]:
    """Pixels in [-1, 1], shape (1797, 64), and labels."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels / 8 - 1), torch.tensor(labels)


def _moved(x: Tensor) -> Tensor:
    """Images moved by a pixel to each of four sides, shape (4, n, 64); beyond the border lies background."""
    wide = F.pad(x.view(-1, 8, 8), (1, 1, 1, 1), value=-1.0)
    places = ((0, 1), (2, 1), (1, 0), (1, 2))
    return torch.stack([wide[:, i : i + 8, j : j + 8].reshape(-1, 64) for i, j in places])
