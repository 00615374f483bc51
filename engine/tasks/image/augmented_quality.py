"""What augmentation gave: how well networks read validation pictures that are all changed."""

import numpy as np
import torch

from engine.tasks.image.data import augmentation
from engine.tasks.image.data.preprocessing import Pixels, to_network_input
from engine.tasks.image.ensemble import compute_outputs
from engine.tasks.image.network import ImageNetwork
from engine.tasks.image.prepare import PreparedImages
from engine.tasks.shared import Rows

MAX_MEASURED_ROWS = 300
BATCH_ROWS = 50
MEASURED_EPOCH = 10**9  # None that training reaches: it never saw these changes.


def measure_augmented_quality(
    prepared: PreparedImages, networks: list[ImageNetwork]
) -> list[float]:
    """The accuracy of each network on the same changed validation rows; nothing without
    augmentation or validation rows."""
    rows = prepared.split.validation[:MAX_MEASURED_ROWS]
    kind = prepared.spec.hyperparameters.augmentation
    if kind == "none" or not len(rows):
        return []
    changed = np.concatenate(
        [
            _change(prepared, rows[start : start + BATCH_ROWS], kind)
            for start in range(0, len(rows), BATCH_ROWS)
        ]
    )
    return [
        prepared.prediction_head.quality(compute_outputs(network, changed), rows)
        for network in networks
    ]


def _change(prepared: PreparedImages, rows: Rows, kind: augmentation.Augmentation) -> Pixels:
    params = augmentation.sample_params(
        rows, seed=prepared.spec.hyperparameters.seed, epoch=MEASURED_EPOCH, kind=kind
    )
    pixels = torch.from_numpy(to_network_input(prepared.pixels(rows)))
    changed: Pixels = (augmentation.augment(pixels, params) * 255).round().byte().numpy()
    return changed.transpose(0, 2, 3, 1)


def describe_gain(quality: list[float]) -> str:
    """What augmentation gave, in words, by the accuracies of the layer on frozen features and of
    the network; empty where nothing was measured."""
    if not quality:
        return ""
    frozen, trained = quality
    return (
        "The network was trained with augmentation. On validation pictures that were all changed in"
        f" the same ways its accuracy is {trained:.1%}; the linear layer on frozen features, which"
        f" saw no picture cropped, reaches {frozen:.1%}."
    )
