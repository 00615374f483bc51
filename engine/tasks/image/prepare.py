"""From a spec to decoded images, a split and a base model: all before the first step."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from engine import catalog
from engine.data.splitting import split_rows
from engine.events import Reporter
from engine.loop.device import Device, prepare_device
from engine.prediction_heads import MultiClass
from engine.progress import ProgressTracker
from engine.spec import ImageSpec
from engine.tasks.image.base_models import BaseImageModel
from engine.tasks.image.data.labels import require_usable_split
from engine.tasks.image.data.preprocessing import Pixels
from engine.tasks.image.data.reader import ImageDataset, read_images
from engine.tasks.image.network import HubBackbone, ImageNetwork, SmallResNet
from engine.tasks.shared import PreparedJob, Rows

FEW_TEST_ROWS = 100


@dataclass
class PreparedImages(PreparedJob[ImageSpec]):
    """Decoded images and the base model that reads them."""

    images: ImageDataset
    prediction_head: MultiClass
    base: BaseImageModel
    # Features of the frozen backbone by rows and mirroring; the trials of a search share them.
    embedding_cache: dict[tuple[bytes, bool], npt.NDArray[np.float32]] = field(default_factory=dict)

    @property
    def is_mirrored(self) -> bool:
        """Whether an image's mirror image means the same, and is cheap enough to predict too."""
        return self.base.is_scratch and self.spec.hyperparameters.augmentation != "none"

    @property
    def epochs(self) -> int:
        if self.spec.effective_method == "head":
            return 0
        return self.spec.hyperparameters.planned_epochs(len(self.split.train))

    def pixels(self, rows: Rows) -> Pixels:
        return np.asarray(self.images.pixels[rows])

    def create_network(self) -> ImageNetwork:
        """A network all of whose weights learn; new weights follow from the seed."""
        hyperparameters = self.spec.hyperparameters
        torch.manual_seed(hyperparameters.seed)
        backbone = self.base.build_backbone()
        if hyperparameters.gradient_checkpointing:
            if isinstance(backbone, SmallResNet):
                backbone.gradient_checkpointing = True
            elif (
                isinstance(backbone, HubBackbone) and backbone.model.supports_gradient_checkpointing
            ):
                backbone.model.activation_checkpointing_enable({"use_reentrant": False})
        network = ImageNetwork(
            backbone,
            self.prediction_head.outputs,
            self.base.image_transform,
            dropout=hyperparameters.dropout,
        )
        return network.to(self.device.name)

    def create_frozen_network(self) -> ImageNetwork:
        """A head, still to be fitted, on a backbone that never changes."""
        transform = self.base.image_transform
        if self.base.is_scratch:  # Handcrafted features read pixels as they are.
            unchanged = {"mean": (0.0, 0.0, 0.0), "deviation": (1.0, 1.0, 1.0)}
            transform = transform.model_copy(update=unchanged)
        backbone = self.base.build_frozen_backbone()
        network = ImageNetwork(backbone, self.prediction_head.outputs, transform)
        return network.requires_grad_(False).to(self.device.name)


def prepare(spec: ImageSpec, progress: ProgressTracker, report: Reporter) -> PreparedImages:
    """Decode, split and describe the images; find the base model."""
    progress.start_phase("loading")
    device = prepare_device(spec)
    hyperparameters = spec.hyperparameters
    base = BaseImageModel(
        catalog.get_base_model(spec.base_model),
        hyperparameters.image_size,
        on_download=lambda: progress.start_phase("downloading"),
    )
    if hyperparameters.precision == "auto" and device.name == "cpu" and base.kind == "resnet":
        device = Device("cpu", "fp32")  # Convolutions gain nothing from half precision here.
    progress.start_phase("preparing")
    images = read_images(spec, base.image_transform, progress.advance)
    split = split_rows(
        images.digests, images.labels.tolist(), spec.effective_split, images.split_values
    )
    require_usable_split(split, images.labels, images.label_names)
    warnings = [*images.warnings, *split.warnings]
    if (tested := len(split.test)) < FEW_TEST_ROWS:
        warnings.append(
            f"Only {'1 test picture' if tested == 1 else f'{tested} test pictures'}: where it is"
            " quick, the model is fitted again to other pictures, so that figures rest on more."
        )
    head = MultiClass(
        images.labels,
        images.label_names,
        split.train,
        smoothing=hyperparameters.label_smoothing,
        balanced=hyperparameters.class_weights == "balanced",
    )
    prepared = PreparedImages(
        spec=spec,
        split=split,
        device=device,
        warnings=warnings,
        images=images,
        prediction_head=head,
        base=base,
    )
    prepared.report_dataset(report, images.label_names, images.labels)
    return prepared
