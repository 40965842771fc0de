"""A small convolutional variational autoencoder: images to smaller images of latents, and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """After Kingma & Welling 2014 (arXiv:1312.6114), laid out as images (Rombach et al. 2022,
    arXiv:2112.10752).

    Args:
        channels: of the images, whose side must be divisible by 2^halvings.
        latent_channels: of the latents.
        width: channels at the full side, a multiple of 8; they double with each halving.
    """

    def __init__(self, channels: int, latent_channels: int, width: int, halvings: int) -> None:
        super().__init__()
        inwards: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), *_layers(width, width)]
        outwards: list[nn.Module] = []
        for i in range(halvings):
            small, large = width * 2**i, width * 2 ** (i + 1)
            inwards += [nn.Conv2d(small, large, 3, 2, padding=1), *_layers(large, large)]
            grown = [*_layers(large, small), nn.Upsample(scale_factor=2.0), *_layers(small, small)]
            outwards = [*grown, *outwards]
        top = width * 2**halvings
        self.encoder = nn.Sequential(*inwards, nn.Conv2d(top, 2 * latent_channels, 1))
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, top, 1), *outwards, nn.GroupNorm(8, width), nn.SiLU(),
            nn.Conv2d(width, channels, 3, padding=1),
        )  # fmt: skip

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the latents of images (n, channels, side, side)."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance.clamp(-20, 5)

    def encode(self, x: Tensor) -> Tensor:
        """The latents' means, shape (n, latent_channels, side / 2^halvings, same)."""
        return self.distribution(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Images of latents, not yet held within [-1, 1]."""
        found: Tensor = self.decoder(z)
        return found


def _layers(before: int, after: int) -> list[nn.Module]:
    return [nn.GroupNorm(8, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1)]


@torch.no_grad()
def freeze(module: nn.Module) -> nn.Module:
    """The module itself with its parameters turned into buffers: saved with it, and never trained."""
    for part in module.modules():
        for name, p in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, p.detach())
    return module.eval()
