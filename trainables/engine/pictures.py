"""Images to look at, as one PNG."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = 8
LEAST = 32
"""Pixels of an image's side in the grid at least: smaller ones are enlarged, each pixel to a square."""


def grid(images: Tensor) -> bytes:
    """A PNG of images side by side, eight in a row.

    Args:
        images: shape (n, channels, height, width), one or three channels, from 0 to 1; beyond is cut off.
    """
    import torch
    from PIL import Image

    n, channels, height, width = images.shape
    if channels not in (1, 3) or n == 0:
        raise ValueError(f"the pictures have shape {tuple(images.shape)}; give (n, 1 or 3, height, width).")
    scale = math.ceil(LEAST / max(height, width))
    rows, columns = math.ceil(n / COLUMNS), min(n, COLUMNS)
    sheet = torch.ones(rows * columns, channels, height, width)
    sheet[:n] = images.detach().float().clamp(0, 1).cpu()
    sheet = sheet.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    sheet = torch.nn.functional.pad(sheet, (0, 2, 0, 2), value=1.0)
    sheet = sheet.view(rows, columns, channels, *sheet.shape[2:]).permute(0, 3, 1, 4, 2)
    pixels = (sheet.reshape(rows * sheet.shape[1], -1, channels) * 255).round().byte().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]).save(buffer, "PNG")
    return buffer.getvalue()


def compared(images: Tensor, others: Tensor) -> Tensor:
    """Both in one, each row of the grid followed by the others' row; shapes (n, channels, height, width).

    n must be a multiple of a row's length.
    """
    import torch

    rows = [each.reshape(-1, COLUMNS, *each.shape[1:]) for each in (images, others)]
    return torch.stack(rows, 1).flatten(0, 2)
