"""Features of an image that need no training: outlines and colours.

Outlines are histograms of oriented gradients (Dalal and Triggs 2005) with soft bins and blocks
normalised by their length. Written in torch, so that they are exported with the layer on top.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

HOG_CELLS = 8  # Each way.
HOG_DIRECTIONS = 9
HOG_BLOCK = 2  # Cells each way that are normalised together.
HOG_CLIP = 0.5  # Of one direction in its block, so that one strong edge does not drown all.
COLOR_GRID, COLOR_BINS = 4, 6


class HogFeatures(nn.Module):
    """Pixels (rows, 3, side, side), 0 to 1 → (rows, BLOCK² · HOG_DIRECTIONS · (HOG_CELLS - 1)²)."""

    directions: Tensor
    gradient: Tensor
    luminance: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.cell = side // HOG_CELLS
        angles = torch.arange(HOG_DIRECTIONS) * math.pi / HOG_DIRECTIONS
        directions = torch.stack([angles.cos(), angles.sin()], 1)[:, :, None, None]
        across = torch.zeros(1, 1, 3, 3)
        across[0, 0, 1] = torch.tensor([-1.0, 0.0, 1.0])
        self.register_buffer("directions", directions)
        self.register_buffer("gradient", torch.cat([across, across.transpose(2, 3)]))
        self.register_buffer("luminance", torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        grey = (pixels * self.luminance).sum(1, keepdim=True)
        gradient = functional.conv2d(
            functional.pad(grey, (1, 1, 1, 1), mode="replicate"), self.gradient
        )
        strength = (gradient.pow(2).sum(1, keepdim=True) + 1e-8).sqrt()
        cosine = functional.conv2d(gradient, self.directions) / strength
        # cos 2d falls to this at the neighbouring direction, where a bin ends.
        edge = math.cos(2 * math.pi / HOG_DIRECTIONS)
        shares = functional.relu(2 * cosine.pow(2) - 1 - edge)
        shares = shares / (shares.sum(1, keepdim=True) + 1e-6) * strength
        cells = functional.avg_pool2d(shares, self.cell)[:, :, :HOG_CELLS, :HOG_CELLS]
        energy = functional.avg_pool2d(cells.pow(2).sum(1, keepdim=True), HOG_BLOCK, 1)
        length = (energy + 1e-4).sqrt()
        last = HOG_CELLS - HOG_BLOCK + 1
        blocks = [
            (cells[:, :, down : down + last, right : right + last] / length).clamp(max=HOG_CLIP)
            for down in range(HOG_BLOCK)
            for right in range(HOG_BLOCK)
        ]
        return torch.cat(blocks, 1).flatten(1)


class ColorHistogram(nn.Module):
    """Histograms of brightness, two hues and saturation in each part of a grid."""

    centres: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.part = side // COLOR_GRID
        self.register_buffer("centres", torch.linspace(0, 1, COLOR_BINS).view(1, 1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        red, green, blue = pixels[:, 0], pixels[:, 1], pixels[:, 2]
        opponents = torch.stack(
            [
                (red + green + blue) / 3,
                (red - green) / 2 + 0.5,
                (red + green - 2 * blue) / 4 + 0.5,
                pixels.amax(1) - pixels.amin(1),
            ],
            1,
        )
        distance = (opponents[:, :, None] - self.centres).abs() * (COLOR_BINS - 1)
        shares = functional.relu(1 - distance).flatten(1, 2)
        return functional.avg_pool2d(shares, self.part).sqrt().flatten(1)


class HandcraftedFeatures(nn.Module):
    """A frozen backbone that needs no weights; `width` numbers for each image."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.outlines, self.colours = HogFeatures(side), ColorHistogram(side)
        with torch.inference_mode():
            self.width = int(self(torch.zeros(1, 3, side, side)).shape[1])

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.cat([self.outlines(pixels), self.colours(pixels)], 1)
