"""Learning curves with known labels: each family draws its shape, scale, length and noise from one generator.

    family, reports = draw("overfit", np.random.default_rng(3), n=40)

What is drawn at random is what differs between trainings of one kind; the ranges were written down before any
detector was tuned.
"""

import numpy as np

CALM = (0.002, 0.02)
"""Noise of a report, as a share of the fall."""


def draw(family, rng, n):
    """Keyword arguments of `Curve.of`."""
    curve = FAMILIES[family](rng, n)
    scale, kind = 10 ** rng.uniform(-2, 2), rng.integers(3)
    shift = 0.0 if kind else -rng.uniform(0, 2) * scale  # a third may go below 0, as likelihoods do
    for name in ("train_loss", "val_loss"):
        if name in curve:
            curve[name] = curve[name] * scale + shift
    curve["config"] = {"lr": 0.1, "batch_size": 32, "width": 16, **curve.get("config", {})}
    return curve


def log_uniform(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def decay(rng, n, rate, floor):
    """From about 1 to `floor`; `rate`: time constants within the run, or a power law that falls as far."""
    t = np.arange(1, n + 1) / n
    if rng.random() < 0.5:
        return floor + (1 - floor) * np.exp(-rate * t)
    return floor + (1 - floor) * (1 + rate * t * 2) ** -rng.uniform(0.8, 1.5)


def jitter(rng, n, curve, amount=None):
    """White noise, a share of the fall."""
    amount = log_uniform(rng, *CALM) if amount is None else amount
    return curve + amount * max(np.ptp(curve), 1e-3) * rng.standard_normal(n)


def pair(rng, train, gap=None):
    """The held-out loss above it by a gap that opens as the training loss falls."""
    gap = rng.uniform(0.02, 0.25) if gap is None else gap
    return train + gap * (train[0] - train) * 0.4


def healthy(rng, n):
    train = decay(rng, n, rng.uniform(2.5, 5.5), rng.uniform(0.0, 0.06))
    val = pair(rng, train)
    return {"train_loss": jitter(rng, n, train), "val_loss": jitter(rng, n, val)}


def diverged(rng, n):
    kind = rng.integers(4)
    start = max(2, int(n * rng.uniform(0.15, 0.7)))
    train = decay(rng, n, rng.uniform(3, 10), rng.uniform(0.05, 0.4))
    after = np.arange(n) - start
    late = after >= 0
    if kind == 0:  # exponential
        grow = np.minimum(np.exp(rng.uniform(0.3, 1.5) * np.maximum(after + 1, 0)), 1e12) - 1
        train = train + np.where(late, grow, 0)
    elif kind == 1:  # jumps back to chance and stays
        level = rng.uniform(0.95, 1.3)
        train = np.where(late, level, train)
    elif kind == 2:  # not finite in the end
        train = np.where(late, train * 10.0 ** np.minimum(after + 1, 6), train)
        train[min(n - 1, start + 1) :] = rng.choice([np.nan, np.inf])
    else:  # from the first report on
        train = 1 + rng.uniform(0.3, 2.0) * np.arange(n) * (1 + 0.02 * np.arange(n))
    val = train * rng.uniform(1.0, 1.1)
    with np.errstate(invalid="ignore"):
        shaken = 0.02 * np.abs(train) * rng.standard_normal(n)
        return {"train_loss": train + shaken, "val_loss": val + shaken}


def lr_too_low(rng, n):
    if rng.random() < 0.25:  # it does not move
        train = 1 - rng.uniform(0, 0.012) * np.arange(n) / n
        noise = rng.uniform(0.0002, 0.004)
        return {
            "train_loss": train + noise * rng.standard_normal(n),
            "val_loss": train + noise * rng.standard_normal(n),
        }
    rate = rng.uniform(0.05, 0.7)
    train = np.exp(-rate * np.arange(1, n + 1) / n)
    val = pair(rng, train, 0.05)
    amount = log_uniform(rng, 0.001, 0.01)
    return {"train_loss": jitter(rng, n, train, amount), "val_loss": jitter(rng, n, val, amount)}


def overfit(rng, n):
    train = decay(rng, n, rng.uniform(2.5, 6), rng.uniform(0.0, 0.05))
    turn = rng.uniform(0.15, 0.6)
    t = np.arange(1, n + 1) / n
    height = rng.uniform(0.3, 1.2)
    val = pair(rng, train, 0.2) + height * np.maximum(0, t - turn) ** rng.uniform(0.8, 1.3)
    return {"train_loss": jitter(rng, n, train), "val_loss": jitter(rng, n, val)}


def plateau(rng, n):
    """The held-out loss stops early and high, the training loss lower down."""
    fast = rng.uniform(15, 50)
    level = rng.uniform(0.35, 0.6)
    t = np.arange(1, n + 1) / n
    val = level + (1 - level) * np.exp(-fast * (t - 1 / n))
    low = level * rng.uniform(0.4, 0.65)
    train = low + (1 - low) * np.exp(-fast * (t - 1 / n))
    if rng.random() < 0.5:  # the training loss goes on a little
        train = train - 0.3 * low * t
    return {"train_loss": jitter(rng, n, train), "val_loss": jitter(rng, n, val)}


def capacity(rng, n):
    fast, level = rng.uniform(12, 50), rng.uniform(0.4, 0.8)
    t = np.arange(1, n + 1) / n
    train = level + (1 - level) * np.exp(-fast * (t - 1 / n))
    val = train + rng.uniform(-0.02, 0.04) * (1 - level)
    return {"train_loss": jitter(rng, n, train), "val_loss": jitter(rng, n, val)}


def noisy(rng, n):
    train = decay(rng, n, rng.uniform(2.5, 5.5), rng.uniform(0.0, 0.06))
    shaken = rng.uniform(0.12, 0.35) * (train[0] - train[-1])
    own, common = rng.standard_normal(n), rng.standard_normal(n)
    val = pair(rng, train)
    curve = {
        "train_loss": train + shaken * (0.6 * own + 0.8 * common),
        "val_loss": val + shaken * (0.3 * rng.standard_normal(n) + 0.7 * common),
    }
    if rng.random() < 0.5:
        scale = 32 * rng.uniform(4, 100)
        square = train**2 * np.exp(0.5 * rng.standard_normal(n))
        curve |= {"grad_square": square, "grad_variance": scale * square.mean() * np.ones(n)}
    return curve


def validation_noise(rng, n):
    train = decay(rng, n, rng.uniform(2.5, 6), rng.uniform(0.02, 0.1))
    val = pair(rng, train, 0.05)
    shaken = rng.uniform(0.1, 0.3) * (train[0] - train[-1])
    calm = rng.uniform(0.05, 0.2) * shaken
    return {
        "train_loss": train + calm * rng.standard_normal(n),
        "val_loss": val + shaken * rng.standard_normal(n),
    }


def escape(rng, n):
    """Flat for a third or more, after a first fall or none, then down within a few reports."""
    t = np.arange(1, n + 1) / n
    when, first = rng.uniform(0.35, 0.75), rng.uniform(0.0, 0.3)
    sharp = rng.uniform(60, 200)
    high = 1 - first * (1 - np.exp(-25 * t))
    low = rng.uniform(0.05, 0.3)
    part = 1 / (1 + np.exp(-sharp * (t - when)))
    train = high * (1 - part) + low * part
    val = train + 0.05 * (1 - train)
    return {"train_loss": jitter(rng, n, train), "val_loss": jitter(rng, n, val)}


FAMILIES = {
    f.__name__: f
    for f in (
        healthy, diverged, lr_too_low, overfit, plateau, capacity, noisy, validation_noise, escape,
    )
}  # fmt: skip
