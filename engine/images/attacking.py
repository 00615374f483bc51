"""Gradient-based attacks on pixels: FGSM and PGD, and the accuracy of a picture model then.

Every pixel may move by a few of its 256 steps, which people hardly see. The gradients come from
the trained network; the file that is served computes the same.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.attacking import accuracy_of
from engine.images.preprocessing import Pixels, as_input
from engine.metrics.paired import compare_right

EPSILONS = (2, 8)  # Of the 255 steps between black and white.
PGD_STEPS = 3
MOST_ROWS = 64  # An attack with all its strengths costs a dozen passes each way.
ROWS_AT_ONCE = 16
METHOD = (
    "FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018) on pixels; no pixel moves further"
    f" than the strength; {PGD_STEPS} steps for PGD"
)
Truth = npt.NDArray[np.int64]


def attack(network: nn.Module, pixels: Pixels, true: Truth) -> dict[str, Any]:
    """Accuracy of `network` (pixels from 0 to 1 to logits, on the CPU) on the first MOST_ROWS,
    without and under attack."""
    network.eval()
    rows, truth = pixels[:MOST_ROWS], true[:MOST_ROWS]
    clean = _right(network, rows, truth, 0.0, 0)
    results = []
    for epsilon in EPSILONS:
        for name, steps in (("FGSM", 1), ("PGD", PGD_STEPS)):
            right = _right(network, rows, truth, epsilon / 255, steps)
            found = {"attack": name, "epsilon": epsilon / 255, **accuracy_of(right)}
            significance = compare_right(right, clean, "accuracy")
            results.append(found | {"shown": f"{epsilon} of 255", "significance": significance})
    return {
        "rows": len(rows),
        "clean": accuracy_of(clean),
        "attacks": results,
        "method": METHOD,
        "what": "pixels",
    }


def _right(network: nn.Module, pixels: Pixels, true: Truth, epsilon: float, steps: int) -> Any:
    """Which rows are answered right once moved."""
    found = []
    for images, labels in _batches(pixels, true):
        moved = perturbed(network, images, labels, epsilon=epsilon, steps=steps)
        with torch.inference_mode():
            found.append((network(moved).argmax(dim=1) == labels).numpy())
    return np.concatenate(found)


def _batches(pixels: Pixels, true: Truth) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(pixels), ROWS_AT_ONCE):
        images = torch.from_numpy(as_input(pixels[start : start + ROWS_AT_ONCE]))
        yield images, torch.from_numpy(true[start : start + ROWS_AT_ONCE])


def perturbed(
    network: nn.Module, images: Tensor, labels: Tensor, *, epsilon: float, steps: int
) -> Tensor:
    """Images (rows, 3, side, side) moved by at most epsilon at each pixel so that the loss grows
    most: one step is FGSM, several are PGD."""
    stride = epsilon if steps == 1 else 1.5 * epsilon / max(1, steps)
    moved = images.clone()
    for _ in range(steps):
        moved = moved.detach().requires_grad_(True)
        loss = functional.cross_entropy(network(moved), labels)
        (slope,) = torch.autograd.grad(loss, moved)
        moved = (moved + stride * slope.sign()).detach()
        moved = images + (moved - images).clamp(-epsilon, epsilon)
        moved = moved.clamp(0, 1)
    return moved.detach()
