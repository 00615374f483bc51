"""The members that answer together as one network, and the layer fitted on frozen features."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.data.baselines import fit_probe
from engine.tasks.image.data.preprocessing import Pixels, to_network_input
from engine.tasks.image.network import ImageNetwork

Outputs = npt.NDArray[np.float32]
BATCH_ROWS = 64
HEAD_C = 10.0  # Of the linear layer, on features of about unit length.
MIN_DEVIATION = 1e-6


class EnsembleModel(nn.Module):
    """Pixels (rows, 3, side, side), 0 to 1 → the mean of the members' log probabilities, of the
    image and, when `mirrored`, of its mirror image."""

    def __init__(self, members: Mapping[str, ImageNetwork], *, mirrored: bool) -> None:
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


def compute_outputs(
    network: nn.Module, pixels: Pixels, check: Iterable[None] = (), *, mirror: bool = False
) -> Outputs:
    """The network's or backbone's outputs for each image, in batches, in float32."""
    was_training = network.training
    network.eval()
    ticks, parts = iter(check), []
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    for start in range(0, len(pixels), BATCH_ROWS):
        next(ticks, None)
        inputs = torch.from_numpy(to_network_input(pixels[start : start + BATCH_ROWS])).to(device)
        with torch.inference_mode():
            outputs = network(inputs.flip(3) if mirror else inputs)
        parts.append(outputs.float().cpu().numpy())
    network.train(was_training)
    return np.concatenate(parts)


class FeatureExtractor(nn.Module):
    """A network's features in place of its answers."""

    def __init__(self, network: ImageNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network.features(pixels)


def fit_head(
    network: ImageNetwork,
    features: Sequence[Outputs],
    labels: npt.NDArray[np.int64],
    *,
    balanced: bool,
) -> None:
    """Set the head to logistic regression on these features: one array for each view of the
    rows. Scaling is folded into the layer."""
    stacked = np.concatenate(features).astype(np.float64)
    mean, deviation = stacked.mean(0), stacked.std(0)
    scale = np.where(deviation > MIN_DEVIATION, 1 / np.maximum(deviation, MIN_DEVIATION), 0)
    scale /= np.sqrt(stacked.shape[1])
    probe = fit_probe(
        ((stacked - mean) * scale).astype(np.float32),
        np.tile(labels, len(features)),
        network.head.out_features,
        "balanced" if balanced else None,
        strength=HEAD_C,
    )
    weights = probe.weights * scale
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weights))
        network.head.bias.copy_(torch.from_numpy(probe.bias - weights @ mean))
