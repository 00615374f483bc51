"""Augments training images otherwise in each epoch: mirrored, cropped, rotated, coloured.

Every draw follows from (seed, epoch, row) alone, so that a resumed job draws the same.
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
MIN_CROP_AREA = {"light": 0.7, "strong": 0.4}
MAX_ASPECT_RATIO = 4 / 3
COLOR_JITTER = 0.4  # Largest change of brightness, contrast and saturation, as a share.
MAX_ROTATION = math.radians(12)


@dataclass(frozen=True)
class AugmentationParams:
    """For each row: an affine map of the image plane, and three colour factors."""

    affine_matrices: npt.NDArray[np.float32]  # (rows, 2, 3)
    color_factors: npt.NDArray[np.float32]  # (rows, 3): brightness, contrast, saturation


def sample_params(
    rows: npt.NDArray[np.int64], *, seed: int, epoch: int, kind: Augmentation
) -> AugmentationParams:
    samples = [_sample_row(np.random.default_rng((seed, epoch, int(row))), kind) for row in rows]
    return AugmentationParams(
        np.stack([sample[0] for sample in samples]), np.stack([sample[1] for sample in samples])
    )


def _sample_row(
    rng: np.random.Generator, kind: Augmentation
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    area = rng.uniform(MIN_CROP_AREA[kind], 1.0)
    ratio = math.exp(rng.uniform(-1, 1) * math.log(MAX_ASPECT_RATIO))
    width, height = min(1.0, math.sqrt(area * ratio)), min(1.0, math.sqrt(area / ratio))
    right, down = rng.uniform(-1, 1) * (1 - width), rng.uniform(-1, 1) * (1 - height)
    angle = rng.uniform(-MAX_ROTATION, MAX_ROTATION) if kind == "strong" else 0.0
    side = -1.0 if rng.random() < 0.5 else 1.0
    cosine, sine = math.cos(angle), math.sin(angle)
    matrix = [
        [side * width * cosine, -height * sine, right],
        [side * width * sine, height * cosine, down],
    ]
    colors = np.ones(3)
    if kind == "strong":
        colors = 1 + rng.uniform(-COLOR_JITTER, COLOR_JITTER, 3)
    return np.asarray(matrix, dtype=np.float32), colors.astype(np.float32)


def sample_mixup(
    rows: npt.NDArray[np.int64], *, seed: int, epoch: int, alpha: float
) -> tuple[npt.NDArray[np.int64], float]:
    """Which picture of the batch each one is blended with, and the share that it keeps (Zhang et
    al. 2018, "mixup: Beyond Empirical Risk Minimization"): Beta(alpha, alpha), at least a half."""
    rng = np.random.default_rng((seed, epoch, *map(int, rows)))
    share = float(rng.beta(alpha, alpha))
    return rng.permutation(len(rows)), max(share, 1 - share)


def augment(pixels: Tensor, params: AugmentationParams) -> Tensor:
    """(rows, 3, side, side), 0 to 1, in and out."""
    maps = torch.from_numpy(params.affine_matrices).to(pixels.device)
    grid = functional.affine_grid(maps, list(pixels.shape), align_corners=False)
    warped = functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    factors = torch.from_numpy(params.color_factors).to(pixels.device)[:, :, None, None, None]
    brighter = warped * factors[:, 0]
    mean_brightness = brighter.mean((1, 2, 3), keepdim=True)
    contrasted = mean_brightness + (brighter - mean_brightness) * factors[:, 1]
    grey = contrasted.mean(1, keepdim=True)
    return (grey + (contrasted - grey) * factors[:, 2]).clamp(0, 1)
