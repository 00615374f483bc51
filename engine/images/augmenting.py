"""Training pictures seen another way each epoch: mirrored, cut, coloured.

Every draw follows from (seed, epoch, row) alone, so that a resumed job sees what it would have.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Augmentation = Literal["none", "light", "strong"]
SMALLEST_AREA = {"light": 0.7, "strong": 0.4}
STRETCH = 4 / 3
COLOUR = 0.4  # Largest change of brightness, contrast and saturation, as a share.
TILT = math.radians(12)


@dataclass(frozen=True)
class Draws:
    """For each row: an affine map of the picture's plane, and three colour factors."""

    maps: npt.NDArray[np.float32]  # (rows, 2, 3)
    colours: npt.NDArray[np.float32]  # (rows, 3): brightness, contrast, saturation


def draw(rows: npt.NDArray[np.int64], *, seed: int, epoch: int, kind: Augmentation) -> Draws:
    found = [_draw_one(np.random.default_rng((seed, epoch, int(row))), kind) for row in rows]
    return Draws(np.stack([one[0] for one in found]), np.stack([one[1] for one in found]))


def _draw_one(
    dice: np.random.Generator, kind: Augmentation
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    area = dice.uniform(SMALLEST_AREA[kind], 1.0)
    ratio = math.exp(dice.uniform(-1, 1) * math.log(STRETCH))
    wide, high = min(1.0, math.sqrt(area * ratio)), min(1.0, math.sqrt(area / ratio))
    right, down = dice.uniform(-1, 1) * (1 - wide), dice.uniform(-1, 1) * (1 - high)
    angle = dice.uniform(-TILT, TILT) if kind == "strong" else 0.0
    side = -1.0 if dice.random() < 0.5 else 1.0
    cosine, sine = math.cos(angle), math.sin(angle)
    plane = [[side * wide * cosine, -high * sine, right], [side * wide * sine, high * cosine, down]]
    colours = np.ones(3)
    if kind == "strong":
        colours = 1 + dice.uniform(-COLOUR, COLOUR, 3)
    return np.asarray(plane, dtype=np.float32), colours.astype(np.float32)


def apply(pixels: Tensor, draws: Draws) -> Tensor:
    """(rows, 3, side, side), 0 to 1, in and out."""
    maps = torch.from_numpy(draws.maps).to(pixels.device)
    grid = functional.affine_grid(maps, list(pixels.shape), align_corners=False)
    turned = functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    factors = torch.from_numpy(draws.colours).to(pixels.device)[:, :, None, None, None]
    brighter = turned * factors[:, 0]
    middle = brighter.mean((1, 2, 3), keepdim=True)
    contrasted = middle + (brighter - middle) * factors[:, 1]
    grey = contrasted.mean(1, keepdim=True)
    return (grey + (contrasted - grey) * factors[:, 2]).clamp(0, 1)
