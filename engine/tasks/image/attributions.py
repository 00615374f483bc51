"""Which parts of an image made the answer, by the trained network's gradients, added up on a grid
of squares."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.analysis.attributions import PATCHES_PER_SIDE
from engine.tasks.image.data.preprocessing import Pixels, to_network_input

INTEGRATION_STEPS = 16
DIGITS = 4
CLIP_QUANTILE = 0.98  # Share of squares that are drawn as strong as they are.
IMAGE_ATTRIBUTION_METHOD = (
    "integrated gradients on pixels against an even grey (Sundararajan et al. 2017),"
    f" {INTEGRATION_STEPS} steps, added up on {PATCHES_PER_SIDE} by {PATCHES_PER_SIDE} squares,"
    f" captum {version('captum')}"
)


def make_pixel_explainer(network: nn.Module) -> Callable[[Pixels, int], list[list[float]]]:
    """A function of one image (side, side, 3) and an output's index giving a signed grid.

    `network` takes pixels from 0 to 1 on the CPU.
    """
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(network.eval())

    def explain(pixels: Pixels, target: int) -> list[list[float]]:
        images = torch.from_numpy(to_network_input(pixels[None]))
        attributions = method.attribute(
            images,
            baselines=float(images.mean()),
            target=target,
            n_steps=INTEGRATION_STEPS,
            internal_batch_size=INTEGRATION_STEPS,
        )
        return sum_on_grid(attributions[0].detach().sum(0).numpy())

    return explain


def sum_on_grid(scores: npt.NDArray[Any]) -> list[list[float]]:
    """Scores (height, width) added up on PATCHES_PER_SIDE squares each way, or fewer of a small
    image; from -1 to 1, where the few strongest are clipped: one sharp edge must not hide the
    rest."""
    squares = scores.astype(np.float64)
    for axis in (0, 1):
        edges = np.linspace(0, scores.shape[axis], min(PATCHES_PER_SIDE, scores.shape[axis]) + 1)
        squares = np.add.reduceat(squares, edges[:-1].astype(int), axis=axis)
    strong = np.quantile(np.abs(squares), CLIP_QUANTILE) or np.abs(squares).max(initial=0.0) or 1.0
    grid: list[list[float]] = np.round((squares / strong).clip(-1, 1), DIGITS).tolist()
    return grid
