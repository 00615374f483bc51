"""Which parts of a picture made the answer, by the trained network's gradients; added up on a
grid, which is what people can see."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.explaining import PATCHES
from engine.images.preprocessing import Pixels, as_input

STEPS = 16
DIGITS = 4
STRONG = 0.98  # Share of squares that are drawn as strong as they are.
METHOD = (
    f"integrated gradients on pixels against an even grey (Sundararajan et al. 2017), {STEPS}"
    f" steps, added up on {PATCHES} by {PATCHES} squares, captum {version('captum')}"
)


def pixel_explainer(network: nn.Module) -> Callable[[Pixels, int], list[list[float]]]:
    """A function of one picture (side, side, 3) and an output's number giving a signed grid.

    `network` takes pixels from 0 to 1 on the CPU.
    """
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(network.eval())

    def explain(pixels: Pixels, target: int) -> list[list[float]]:
        images = torch.from_numpy(as_input(pixels[None]))
        found = method.attribute(
            images,
            baselines=float(images.mean()),
            target=target,
            n_steps=STEPS,
            internal_batch_size=STEPS,
        )
        return on_grid(found[0].detach().sum(0).numpy())

    return explain


def on_grid(scores: npt.NDArray[Any]) -> list[list[float]]:
    """Scores (height, width) added up on PATCHES by PATCHES squares, or fewer of a small picture;
    from -1 to 1, where the few strongest are cut off: one sharp edge must not hide the rest."""
    squares = scores.astype(np.float64)
    for axis in (0, 1):
        edges = np.linspace(0, scores.shape[axis], min(PATCHES, scores.shape[axis]) + 1)
        squares = np.add.reduceat(squares, edges[:-1].astype(int), axis=axis)
    strong = np.quantile(np.abs(squares), STRONG) or np.abs(squares).max(initial=0.0) or 1.0
    grid: list[list[float]] = np.round((squares / strong).clip(-1, 1), DIGITS).tolist()
    return grid
