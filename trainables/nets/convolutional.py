"""Convolutional networks for small images, from the documents' SimpleCNN to stages of blocks.

Images (n, channels, height, width) to class scores (n, classes).
"""

from __future__ import annotations

from torch import Tensor, cat, nn

from trainables.nets.layers import Style

CONNECTIONS = ("residual", "plain", "dense")
CLASSES = 10


def conv(channels: int, width: int, depth: int, dropout: float, style: Style) -> nn.Module:
    """Convolutions of `width` and then 2 `width` channels, max-pooled in between, mean, linear."""
    k, pad = style.kernel_size, style.kernel_size // 2
    layers: list[nn.Module] = [nn.Conv2d(channels, width, k, padding=pad), style.act(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(width, 2 * width, k, padding=pad), style.act()]
    for _ in range(depth - 1):
        layers += [nn.Conv2d(2 * width, 2 * width, k, padding=pad), style.act()]
    layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(dropout), nn.Linear(8 * width, CLASSES)]
    return nn.Sequential(*layers)


def simple_cnn(dropout: float, style: Style) -> nn.Module:
    """For 32x32 colour images: two convolutions of 5x5, linear layers of 120, 84 and 10, as in PyTorch's
    tutorial."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), style.act(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), style.act(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), style.act(), nn.Linear(120, 84), style.act()),
        *(nn.Dropout(dropout), nn.Linear(84, CLASSES)),
    )


def stages(
    channels: int, width: int, depth: int, dropout: float, connection: str, style: Style
) -> nn.Module:
    """Three stages of `depth` blocks with 1, 2 and 4 `width` channels, the image halved between them.

    With residual connections the network of He et al. (2016, arXiv:1512.03385), section 4.2; with plain ones
    the same without shortcuts; with dense ones each block adds `width` channels to all before it (Huang et
    al. 2017, arXiv:1608.06993), and a 1x1 convolution ends a stage.
    """
    layers: list[nn.Module] = [style.conv(channels, width), style.normalise(width), style.act()]
    before = width
    for stage in range(3):
        after = width * 2**stage
        if stage:
            layers.append(style.halve())
        stride = 2 if stage and style.pooling == "stride" else 1
        for block in range(depth):
            if connection == "dense":
                layers.append(Dense(before, width, stride if not block else 1, style))
                before += width
            else:
                layers.append(Block(before, after, stride if not block else 1, connection, style))
                before = after
        if connection == "dense":
            layers += [nn.Conv2d(before, after, 1), style.normalise(after), style.act()]
            before = after
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(before, CLASSES)
    )


class Block(nn.Module):
    """Two convolutions, and with a residual connection a shortcut round them, 1x1 where the shape changes."""

    def __init__(self, before: int, after: int, stride: int, connection: str, style: Style) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *(style.conv(before, after, stride), style.normalise(after), style.act()),
            *(style.conv(after, after), style.normalise(after)),
        )
        self.act = style.act()
        self.shortcut: nn.Module | None = None
        if connection == "residual":
            self.shortcut = nn.Identity()
            if before != after or stride > 1:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(before, after, 1, stride, bias=False), style.normalise(after)
                )

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, before, h, w) to (n, after, h / stride, w / stride)."""
        found: Tensor = self.main(x)
        return self.act(found if self.shortcut is None else found + self.shortcut(x))


class Dense(nn.Module):
    """A convolution whose `growth` new channels stand beside the old ones; with stride 2 both are halved."""

    def __init__(self, before: int, growth: int, stride: int, style: Style) -> None:
        super().__init__()
        self.main = nn.Sequential(style.conv(before, growth, stride), style.normalise(growth), style.act())
        self.kept = nn.Identity() if stride == 1 else nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, before, h, w) to (n, before + growth, h / stride, w / stride)."""
        return cat([self.kept(x), self.main(x)], dim=1)
