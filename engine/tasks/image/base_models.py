"""The backbone of a base model and how its images are prepared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from engine.catalog import BaseModelEntry
from engine.errors import BaseModelUnavailable
from engine.tasks.image.data.preprocessing import Preprocessing
from engine.tasks.image.efficientnet import load_efficientnet, locate_efficientnet
from engine.tasks.image.handcrafted_features import HandcraftedFeatures
from engine.tasks.image.network import SmallResNet, build_small_vit, load_hub_backbone
from engine.tasks.text.base_models import locate_base_model

PROCESSOR_FILE = "preprocessor_config.json"
BICUBIC = 3  # Pillow's number for it, as preprocessor files write it.
JsonObject = dict[str, Any]  # A file of the hub, of any shape.


class BaseImageModel:
    """A catalog entry on this machine: makes fresh backbones, all with the same first weights."""

    def __init__(
        self, entry: BaseModelEntry, image_size: int, on_download: Callable[[], None]
    ) -> None:
        self.config = dict(entry.source.config)
        self.is_scratch = entry.source.kind == "scratch"
        if "kind" in self.config:
            self.kind, side = self.config.pop("kind"), self.config.pop("side")
            self.image_transform = Preprocessing(side=image_size or side)
            if self.kind == "efficientnet":
                self.folder = locate_efficientnet(entry)
                self.image_transform = Preprocessing(
                    side=image_size or side, deviation=(0.5, 0.5, 0.5)
                )
        else:
            self.kind = "hub"
            self.folder = locate_base_model(entry, on_download=on_download)
            self.image_transform = load_image_transform(self.folder, image_size)

    def build_backbone(self) -> nn.Module:
        """One that learns. From scratch its weights follow torch's seed."""
        if self.kind == "resnet":
            return SmallResNet(**self.config)
        if self.kind == "vit":
            return build_small_vit(self.config, self.image_transform.side)
        if self.kind == "efficientnet":
            return load_efficientnet(self.folder)
        return load_hub_backbone(self.folder)

    def build_frozen_backbone(self) -> nn.Module:
        """What the head method puts its linear layer on."""
        if self.is_scratch:
            return HandcraftedFeatures(self.image_transform.side)
        return self.build_backbone()

    @property
    def frozen_backbone_name(self) -> str:
        return "outlines and colours" if self.is_scratch else "frozen base model"


def load_image_transform(folder: Path, image_size: int) -> Preprocessing:
    """From the folder's preprocessor file. Raises BaseModelUnavailable when that is senseless."""
    try:
        path = folder / PROCESSOR_FILE
        processor = json.loads(path.read_text()) if path.exists() else {}
        config = json.loads((folder / "config.json").read_text())
        side = image_size or _edge_length(config.get("image_size"))
        return _parse_image_transform(processor, side)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BaseModelUnavailable(
            f"The base model folder {folder.name!r} has a {PROCESSOR_FILE} that cannot be read."
        ) from error


def _parse_image_transform(processor: JsonObject, wanted_side: int | None) -> Preprocessing:
    size = processor.get("size") or {}
    crop = processor.get("crop_size") if processor.get("do_center_crop") else None
    resize = size if isinstance(size, int) else size.get("shortest_edge")
    native = _edge_length(crop) or resize or _edge_length(size) or wanted_side or 224
    side = wanted_side or native
    is_cropped = bool(resize) and not isinstance(size, int)
    return Preprocessing(
        fit="crop" if is_cropped else "stretch",
        side=side,
        resize=max(side, round((resize or side) * side / native)) if is_cropped else 0,
        resample="bicubic" if processor.get("resample") == BICUBIC else "bilinear",
        mean=tuple(processor.get("image_mean") or (0.5, 0.5, 0.5)),
        deviation=tuple(processor.get("image_std") or (0.5, 0.5, 0.5)),
    )


def _edge_length(size: Any) -> int | None:
    """Of `224`, `[224, 224]` or `{"height": 224, "width": 224}`."""
    if isinstance(size, dict):
        size = size.get("height")
    if isinstance(size, list | tuple):
        size = size[0] if size else None
    return int(size) if size else None
