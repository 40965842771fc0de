"""Learning-rate factor as a function of the step: a pure function, so nothing of it is ever saved."""

from __future__ import annotations

import math


def factor(
    name: str, step: float, total: float, warmup: float = 0, t_max: float | None = None, decay: float = 0.2
) -> float:
    """What the peak learning rate is multiplied by at `step`, in [0, 1].

    After the warm-up of linear 1/w, 2/w, ... 1 (w = `warmup` steps): constant stays at 1; linear falls to 0
    at `t_max`; cosine is (1 + cos(pi t / t_max)) / 2 (Loshchilov & Hutter 2017, eq. 5, one period); wsd
    stays at 1 and falls linearly to 0 over the last `decay` of the run (Hu et al. 2024, arXiv:2404.06395,
    with a linear end). Unlike PyTorch's CosineAnnealingLR, linear and cosine stay at 0 after `t_max` and do
    not climb back.

    Args:
        step: steps taken before this one.
        total: steps of the whole run.
        t_max: counted from step 0, warm-up included; None is `total`.
    """
    rise = min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0
    if rise < 1.0 or name == "constant":
        return rise
    if name == "wsd":
        length = max(decay * total, 1e-12)
        return min(1.0, max(0.0, (total - step) / length))
    end = total if t_max is None else t_max
    done = min(1.0, max(0.0, (step - warmup) / max(end - warmup, 1e-12)))
    return 1.0 - done if name == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
