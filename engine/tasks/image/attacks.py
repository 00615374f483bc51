"""Gradient-based attacks on pixels: FGSM and PGD, and the accuracy of an image model under them.

Every pixel may move by a few of its 256 steps, which people hardly see. The gradients come from
the trained network; the served file computes the same.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.analysis.adversarial_attacks import accuracy_with_interval
from engine.evaluation.schema import AttackReport, AttackResult
from engine.metrics.paired import mcnemar_test_of_correctness
from engine.tasks.image.data.preprocessing import Pixels, to_network_input

EPSILONS = (2, 8)  # Of the 255 steps between black and white.
PGD_STEPS = 3
MAX_ROWS = 64  # An attack with all its strengths costs a dozen passes each way.
BATCH_ROWS = 16
ATTACK_METHOD = (
    "FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018) on pixels; no pixel moves further"
    f" than the strength; {PGD_STEPS} steps for PGD"
)
Truth = npt.NDArray[np.int64]


def evaluate_attacks(network: nn.Module, pixels: Pixels, true: Truth) -> AttackReport:
    """Accuracy of `network` (pixels from 0 to 1 to logits, on the CPU) on the first MAX_ROWS,
    without and under attack."""
    network.eval()
    rows, truth = pixels[:MAX_ROWS], true[:MAX_ROWS]
    clean = _correct_under_attack(network, rows, truth, 0.0, 0)
    results: list[AttackResult] = []
    for epsilon in EPSILONS:
        for name, steps in (("FGSM", 1), ("PGD", PGD_STEPS)):
            right = _correct_under_attack(network, rows, truth, epsilon / 255, steps)
            results.append(
                {
                    "attack": name,
                    "epsilon": epsilon / 255,
                    **accuracy_with_interval(right),
                    "shown": f"{epsilon} of 255",
                    "significance": mcnemar_test_of_correctness(right, clean, "accuracy"),
                }
            )
    return {
        "rows": len(rows),
        "clean": accuracy_with_interval(clean),
        "attacks": results,
        "method": ATTACK_METHOD,
        "what": "pixels",
    }


def _correct_under_attack(
    network: nn.Module, pixels: Pixels, true: Truth, epsilon: float, steps: int
) -> Any:
    """Which rows are classified right after the attack."""
    is_right = []
    for start in range(0, len(pixels), BATCH_ROWS):
        images = torch.from_numpy(to_network_input(pixels[start : start + BATCH_ROWS]))
        labels = torch.from_numpy(true[start : start + BATCH_ROWS])
        moved = perturb(network, images, labels, epsilon=epsilon, steps=steps)
        with torch.inference_mode():
            is_right.append((network(moved).argmax(dim=1) == labels).numpy())
    return np.concatenate(is_right)


def perturb(
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
