"""Image networks: a small ResNet, and any image classifier of transformers.

Each is a backbone, giving `width` features of normalised pixels, and a linear head.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from engine.errors import BaseModelUnavailable
from engine.network_loading import one_network_at_a_time
from engine.tasks.image.data.preprocessing import Preprocessing

GROUPS = 8


class ResidualBlock(nn.Module):
    """Two convolutions around a short cut (He et al. 2015), with group norm (Wu and He 2018):
    its statistics are of one image, so that batches of any size give the same."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(GROUPS, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(GROUPS, outputs)
        self.cut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        nn.init.zeros_(self.second_norm.weight)

    def forward(self, signal: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(signal)))
        return functional.relu(self.second_norm(self.second(inner)) + self.cut(signal))


class SmallResNet(nn.Module):
    """Normalised pixels (rows, 3, side, side) → (rows, width)."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 5, 2, padding=2, bias=False)
        self.norm = nn.GroupNorm(GROUPS, widths[0])
        ins = [widths[0], *widths[:-1]]
        self.stages = nn.ModuleList(
            ResidualBlock(inputs, outputs, stride=2)
            for inputs, outputs in zip(ins, widths, strict=True)
        )
        self.width = widths[-1]
        self.gradient_checkpointing = False

    def forward(self, pixels: Tensor) -> Tensor:
        signal = functional.relu(self.norm(self.stem(pixels)))
        for stage in self.stages:
            if self.gradient_checkpointing and self.training:
                signal = checkpoint(stage, signal, use_reentrant=False)
            else:
                signal = stage(signal)
        return signal.mean((2, 3))


class HubBackbone(nn.Module):
    """An image classifier of transformers without its last layer: the head's input."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.width = _remove_classifier(model)

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.model(pixel_values=pixels).logits
        return features.flatten(1)


def _remove_classifier(model: Any) -> int:
    """Replace the classifier's last linear layer by nothing; returns the number of its inputs."""
    classifier = getattr(model, "classifier", None)
    if isinstance(classifier, nn.Linear):
        model.classifier = nn.Identity()
        return classifier.in_features
    layers = list(classifier or [])
    if not layers or not isinstance(layers[-1], nn.Linear):
        raise BaseModelUnavailable(
            f"The base model's architecture ({model.config.model_type}) has no classifier that can"
            " be replaced. Choose another one."
        )
    classifier[-1] = nn.Identity()  # type: ignore[index]
    return int(layers[-1].in_features)


class ImageNetwork(nn.Module):
    """Pixels (rows, 3, side, side) from 0 to 1 → logits (rows, labels)."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, backbone: nn.Module, labels: int, transform: Preprocessing, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(backbone.width), labels)  # type: ignore[arg-type]
        self.register_buffer("mean", torch.tensor(transform.mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(transform.deviation).view(1, 3, 1, 1))

    def features(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.backbone((pixels - self.mean) / self.deviation)
        return features

    def forward(self, pixels: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.dropout(self.features(pixels)))
        return outputs


@one_network_at_a_time()
def build_small_vit(config: Mapping[str, Any], side: int) -> HubBackbone:
    """Random weights in the shape of transformers' ViT."""
    from transformers import AutoModelForImageClassification, ViTConfig

    shape = ViTConfig(image_size=side, num_labels=2, attn_implementation="eager", **config)
    return HubBackbone(AutoModelForImageClassification.from_config(shape))


@one_network_at_a_time()
def load_hub_backbone(folder: Path) -> HubBackbone:
    """Pretrained weights: safetensors alone, and no code of the repository's."""
    from transformers import AutoModelForImageClassification

    try:
        model = AutoModelForImageClassification.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            num_labels=2,
            ignore_mismatched_sizes=True,
        )
    except (OSError, ValueError, KeyError) as error:
        raise BaseModelUnavailable(
            f"The base model folder {folder.name!r} cannot be read: it needs config.json and"
            " safetensors weights of an image architecture that transformers knows."
        ) from error
    return HubBackbone(model)
