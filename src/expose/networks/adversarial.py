"""Small generators and discriminators, for rows of a table and for images."""

from __future__ import annotations

from torch import Tensor, nn

from expose.encoders.layout import Layout
from expose.networks.perceptron import Perceptron

SLOPE = 0.2


class Generator(nn.Module):
    """From noise ``(B, latent)`` to encoded rows ``(B, D)``; values of images lie in (0, 1).

    Images grow from a quarter of their size in two steps and are cut to size.

    Examples
    --------
    >>> import torch
    >>> Generator(Layout("image", (3, 9, 8)), latent=4, width=8)(torch.zeros(5, 4)).shape
    torch.Size([5, 216])
    """

    def __init__(self, layout: Layout, latent: int, width: int) -> None:
        super().__init__()
        self.layout = layout
        if layout.form != "image":
            self.body: nn.Module = Perceptron([latent, width, width, layout.n_values])
            return
        channels, height, width_in_pixels = layout.shape
        start = (width, -(-height // 4), -(-width_in_pixels // 4))
        self.body = nn.Sequential(
            nn.Linear(latent, start[0] * start[1] * start[2]),
            nn.Unflatten(1, start),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width // 2, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width // 2, channels, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Make rows, ``(B, latent)`` to ``(B, D)``."""
        made: Tensor = self.body(noise)
        if self.layout.form == "image":
            made = made[:, :, : self.layout.shape[1], : self.layout.shape[2]].flatten(1)
        return made


class Discriminator(nn.Module):
    """From encoded rows ``(B, D)`` to how real they look, ``(B,)``, as a logit.

    Examples
    --------
    >>> import torch
    >>> Discriminator(Layout("image", (3, 9, 8)), width=8)(torch.zeros(5, 216)).shape
    torch.Size([5])
    """

    def __init__(self, layout: Layout, width: int) -> None:
        super().__init__()
        self.layout = layout
        if layout.form == "image":
            channels, height, width_in_pixels = layout.shape
            fields = -(-height // 4) * -(-width_in_pixels // 4)
            self.body = nn.Sequential(
                nn.Conv2d(channels, width // 2, 3, stride=2, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(width // 2, width, 3, stride=2, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Flatten(),
                nn.Linear(width * fields, 1),
            )
        else:
            layers = [nn.Linear(layout.n_values, width), nn.LeakyReLU(SLOPE), nn.Linear(width, width)]
            self.body = nn.Sequential(*layers, nn.LeakyReLU(SLOPE), nn.Linear(width, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """Judge rows, ``(B, D)`` to ``(B,)``."""
        judged: Tensor = self.body(self.layout.unfold(rows))
        return judged.squeeze(1)
