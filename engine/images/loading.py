"""The backbone of a base model and how it wants pictures to be prepared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from engine import loading
from engine.catalog import BaseModelEntry
from engine.errors import BaseModelUnavailable
from engine.images.features import OutlinesAndColours
from engine.images.network import SmallResNet, load_hub, small_vit
from engine.images.preprocessing import Preprocessing

PROCESSOR = "preprocessor_config.json"
BICUBIC = 3  # Pillow's number for it, as preprocessor files write it.


class BaseImageModel:
    """A catalog entry on this machine: makes fresh backbones, all with the same first weights."""

    def __init__(
        self, entry: BaseModelEntry, image_size: int, on_download: Callable[[], None]
    ) -> None:
        self.config = dict(entry.source.config)
        self.is_scratch = entry.source.kind == "scratch"
        if self.is_scratch:
            self.kind, side = self.config.pop("kind"), self.config.pop("side")
            self.look = Preprocessing(side=image_size or side)
        else:
            self.kind, self.folder = "hub", loading.locate(entry, on_download=on_download)
            self.look = read_look(self.folder, image_size)

    def backbone(self) -> nn.Module:
        """One that learns. From scratch its weights follow torch's seed."""
        if self.kind == "resnet":
            return SmallResNet(**self.config)
        if self.kind == "vit":
            return small_vit(self.config, self.look.side)
        return load_hub(self.folder)

    def frozen(self) -> nn.Module:
        """What the head method puts its linear layer on."""
        return OutlinesAndColours(self.look.side) if self.is_scratch else load_hub(self.folder)

    @property
    def frozen_name(self) -> str:
        return "outlines and colours" if self.is_scratch else "frozen base model"


def read_look(folder: Path, image_size: int) -> Preprocessing:
    """From the folder's preprocessor file. Raises BaseModelUnavailable when that is senseless."""
    try:
        told = json.loads((folder / PROCESSOR).read_text()) if (folder / PROCESSOR).exists() else {}
        fixed = json.loads((folder / "config.json").read_text()).get("image_size")
        return _look(told, image_size or _edge(fixed))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BaseModelUnavailable(
            f"The base model folder {folder.name!r} has a {PROCESSOR} that cannot be read."
        ) from error


def _look(told: dict[str, Any], wanted_side: int | None) -> Preprocessing:
    size = told.get("size") or {}
    cut = told.get("crop_size") if told.get("do_center_crop") else None
    resize = size if isinstance(size, int) else size.get("shortest_edge")
    native = _edge(cut) or resize or _edge(size) or wanted_side or 224
    side = wanted_side or native
    is_cropped = bool(resize) and not isinstance(size, int)
    return Preprocessing(
        fit="crop" if is_cropped else "stretch",
        side=side,
        resize=max(side, round((resize or side) * side / native)) if is_cropped else 0,
        resample="bicubic" if told.get("resample") == BICUBIC else "bilinear",
        mean=tuple(told.get("image_mean") or (0.5, 0.5, 0.5)),
        deviation=tuple(told.get("image_std") or (0.5, 0.5, 0.5)),
    )


def _edge(size: Any) -> int | None:
    """Of `224`, `[224, 224]` or `{"height": 224, "width": 224}`."""
    if isinstance(size, dict):
        size = size.get("height")
    if isinstance(size, list | tuple):
        size = size[0] if size else None
    return int(size) if size else None
