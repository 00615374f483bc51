"""The members that answer together as one network, and the layer fitted on frozen features."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional

from engine.baselines import fit_probe
from engine.images.network import PictureNetwork
from engine.images.preprocessing import Pixels, as_input

Outputs = npt.NDArray[np.float32]
ROWS_AT_ONCE = 64
ROWS_FOR_THREADS = 2000
STRENGTH = 10.0  # Of the linear layer, on features of about unit length.
SMALLEST_DEVIATION = 1e-6


class AnsweringModel(nn.Module):
    """Pixels (rows, 3, side, side), 0 to 1 → the mean of the members' log probabilities, of the
    picture and, when `mirrored`, of its mirror image."""

    def __init__(self, members: Mapping[str, PictureNetwork], *, mirrored: bool) -> None:
        super().__init__()
        self.members = nn.ModuleDict(members)
        self.mirrored = mirrored

    def forward(self, pixels: Tensor) -> Tensor:
        views = [pixels, pixels.flip(3)] if self.mirrored else [pixels]
        logs = [
            functional.log_softmax(member(view).float(), dim=1)
            for member in self.members.values()
            for view in views
        ]
        return torch.stack(logs).mean(0)


def outputs_of(
    network: nn.Module, pixels: Pixels, check: Iterable[None] = (), *, mirror: bool = False
) -> Outputs:
    """What a network or backbone gives for each picture, a few at a time, in float32."""
    was_training = network.training
    network.eval()
    ticks, parts = iter(check), []
    device = next((one.device for one in network.parameters()), torch.device("cpu"))
    for start in range(0, len(pixels), ROWS_AT_ONCE):
        next(ticks, None)
        inputs = torch.from_numpy(as_input(pixels[start : start + ROWS_AT_ONCE])).to(device)
        with torch.inference_mode():
            outputs = network(inputs.flip(3) if mirror else inputs)
        parts.append(outputs.float().cpu().numpy())
    network.train(was_training)
    return np.concatenate(parts)


class FeatureView(nn.Module):
    """A network's features in place of its answers."""

    def __init__(self, network: PictureNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network.features(pixels)


def few_threads(rows: int) -> Any:
    """One thread for few rows: waiting for each other costs the threads more than they win,
    tenfold on a busy machine."""
    return threadpool_limits(1 if rows < ROWS_FOR_THREADS else None, user_api="blas")


def fit_head(
    network: PictureNetwork,
    features: Sequence[Outputs],
    labels: npt.NDArray[np.int64],
    *,
    balanced: bool,
) -> None:
    """Set the head to logistic regression on these features: one array for each view of the
    rows. Scaling is folded into the layer."""
    stacked = np.concatenate(features).astype(np.float64)
    middle, spread = stacked.mean(0), stacked.std(0)
    scale = np.where(spread > SMALLEST_DEVIATION, 1 / np.maximum(spread, SMALLEST_DEVIATION), 0)
    scale /= np.sqrt(stacked.shape[1])
    with few_threads(len(stacked)):
        probe = fit_probe(
            ((stacked - middle) * scale).astype(np.float32),
            np.tile(labels, len(features)),
            network.head.out_features,
            "balanced" if balanced else None,
            strength=STRENGTH,
        )
    weights = probe.weights * scale
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weights))
        network.head.bias.copy_(torch.from_numpy(probe.bias - weights @ middle))
