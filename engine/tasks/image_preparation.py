"""From a spec to decoded pictures, a split and a base model: all before the first step."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine import catalog
from engine.device import Device, prepare_device
from engine.errors import BadTrainingData
from engine.events import Data, Reporter
from engine.goals import OneLabel
from engine.images.loading import BaseImageModel
from engine.images.network import HubBackbone, PictureNetwork, SmallResNet
from engine.images.preprocessing import Pixels
from engine.images.reading import Pictures, read_pictures
from engine.progress import JobClock
from engine.spec import ImageSpec
from engine.splitting import Split, split

ROUGH_BELOW = 100


@dataclass
class Prepared:
    """Everything known before the first step. Row numbers count usable rows."""

    spec: ImageSpec
    pictures: Pictures
    split: Split
    goal: OneLabel
    base: BaseImageModel
    device: Device
    warnings: list[str] = field(default_factory=list)
    # What the frozen base made of rows; trials of a search share it. Filled by image_fitting.
    embedded: dict[tuple[bytes, bool], Any] = field(default_factory=dict)

    @property
    def is_mirrored(self) -> bool:
        """Whether a picture's mirror image means the same, and is cheap enough to be asked too."""
        return self.base.is_scratch and self.spec.hyperparameters.augmentation != "none"

    @property
    def epochs(self) -> int:
        if self.spec.hyperparameters.method == "head":
            return 0
        return self.spec.hyperparameters.planned_epochs(len(self.split.train))

    def pixels(self, rows: npt.NDArray[np.int64]) -> Pixels:
        found: Pixels = self.pictures.pixels[rows]
        return found

    def new_network(self) -> PictureNetwork:
        """All of whose weights learn; the new ones follow from the seed."""
        hyperparameters = self.spec.hyperparameters
        torch.manual_seed(hyperparameters.seed)
        network = PictureNetwork(
            self.base.backbone(),
            self.goal.outputs,
            self.base.look,
            dropout=hyperparameters.dropout,
        )
        if hyperparameters.gradient_checkpointing:
            _save_memory(network)
        return network.to(self.device.name)

    def frozen_network(self) -> PictureNetwork:
        """A head, still to be fitted, on a backbone that never changes."""
        look = self.base.look
        if self.base.is_scratch:  # Outlines and colours read pixels as they are.
            unchanged = {"mean": (0.0, 0.0, 0.0), "deviation": (1.0, 1.0, 1.0)}
            look = look.model_copy(update=unchanged)
        network = PictureNetwork(self.base.frozen(), self.goal.outputs, look)
        return network.requires_grad_(False).to(self.device.name)


def _save_memory(network: PictureNetwork) -> None:
    backbone = network.backbone
    if isinstance(backbone, SmallResNet):
        backbone.saves_memory = True
    elif isinstance(backbone, HubBackbone) and backbone.model.supports_gradient_checkpointing:
        backbone.model.activation_checkpointing_enable({"use_reentrant": False})


def prepare(spec: ImageSpec, clock: JobClock, report: Reporter) -> Prepared:
    """Decode, divide and describe the pictures; find the base model."""
    clock.enter("loading")
    device = prepare_device(spec)
    hyperparameters = spec.hyperparameters
    base = BaseImageModel(
        catalog.find(spec.base_model),
        hyperparameters.image_size,
        on_download=lambda: clock.enter("downloading"),
    )
    if hyperparameters.precision == "auto" and device.name == "cpu" and base.kind == "resnet":
        device = Device("cpu", "fp32")  # Convolutions gain nothing from half precision here.
    clock.enter("preparing")
    pictures = read_pictures(spec, base.look, clock.advance)
    divided = split(
        pictures.digests, pictures.labels.tolist(), spec.division, pictures.split_values
    )
    _refuse_useless(divided, pictures)
    goal = OneLabel(
        pictures.labels,
        pictures.label_names,
        divided.train,
        smoothing=hyperparameters.label_smoothing,
        balanced=hyperparameters.class_weights == "balanced",
    )
    warnings = [*pictures.warnings, *divided.warnings]
    if len(divided.test) < ROUGH_BELOW:
        rough = f"Only {len(divided.test)} test pictures: the reported numbers are rough."
        warnings.append(rough)
    report(
        Data(
            train_rows=len(divided.train),
            validation_rows=len(divided.validation),
            test_rows=len(divided.test),
            labels=pictures.label_names,
            warnings=warnings,
        )
    )
    return Prepared(spec, pictures, divided, goal, base, device, warnings)


def _refuse_useless(divided: Split, pictures: Pictures) -> None:
    if not len(divided.test):
        raise BadTrainingData(
            "too_few_rows",
            "No pictures could be set aside for the test: too few different ones. Add pictures.",
        )
    untaught = set(pictures.labels.tolist()) - set(pictures.labels[divided.train].tolist())
    if untaught:
        name = pictures.label_names[min(untaught)]
        raise BadTrainingData(
            "untaught_label",
            f"The label {name!r} has no training pictures: all of them are set aside for"
            " validation or test. Change the split, or add pictures of it.",
        )
