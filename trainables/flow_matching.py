"""A continuous normalising flow, trained by flow matching instead of by likelihood: `flow_matching`.

The network learns the speed eps - x_0 of the straight path from an image to noise (Lipman et al. 2023,
arXiv:2210.02747, eq. 23, with time reversed; Liu et al. 2022, arXiv:2209.03003). Integrating it from noise
gives images, and from an image, with the divergence along the way, the image's density (Chen et al. 2018,
arXiv:1806.07366, eq. 8).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from trainables.diffusion import ContinuousDiffusion, Sde
from trainables.engine import hyper
from trainables.engine.ddp import Ranks
from trainables.registry import register


@dataclass(frozen=True, kw_only=True, slots=True)
class Matching(ContinuousDiffusion):
    """Hyperparameters of `flow_matching`."""

    path: str = hyper("flow", "From data to noise in a straight line.", choices=("flow",), group="model")
    prediction: str = hyper(
        "flow", "What the network predicts: the speed itself, or the image or v, from which it follows.",
        choices=("flow", "x0", "v"), group="model",
    )  # fmt: skip
    sampler: str = hyper(
        "heun", "The flow's integration: Heun's method (two passes a step), or Euler's, which is ddim.",
        choices=("heun", "ddim"), group="sampler",
    )  # fmt: skip


@register("flow_matching")
class FlowMatching(Sde):
    """Mean squared error of the speed; images drawn and judged; at the end bits per dimension of test images,
    with those of models without learning beside them."""

    Config = Matching
    config: Matching

    def test(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """`test_bits_per_dim`, its divergence by one random probe an image, and the gates."""
        from trainables.quality import trivial

        c = self.config
        gates = trivial.bits_per_dim(c.dataset, c.data) if c.likelihood_steps else {}
        return super().test(model, ranks) | {f"{name}_bits_per_dim": bits for name, bits in gates.items()}
