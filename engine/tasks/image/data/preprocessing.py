"""From an image's bytes to the array that a model reads. Needs only Pillow and numpy.

The settings are written into every artifact, so that serving prepares images as training did. Mean
and standard deviation are applied inside the exported file; the manifest only names them.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict

from engine.tasks.image.data.decoding import decode_image

Pixels = npt.NDArray[np.uint8]


class Preprocessing(BaseModel):
    """stretch: both sides to `side`. crop: the shorter side to `resize`, then the middle."""

    model_config = ConfigDict(frozen=True)

    fit: Literal["stretch", "crop"] = "stretch"
    side: int
    resize: int = 0  # Only of "crop".
    resample: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    deviation: tuple[float, float, float] = (0.25, 0.25, 0.25)
    applied_in_file: tuple[str, ...] = ("mean", "deviation")

    def pixels(self, content: bytes) -> Pixels:
        """(side, side, 3). Raises InvalidImage."""
        needed_side = self.resize if self.fit == "crop" else self.side
        image = decode_image(content, wanted_side=needed_side)
        method = getattr(Image.Resampling, self.resample.upper())
        if self.fit == "crop":
            scale = self.resize / min(image.size)
            width, height = (max(self.side, round(scale * edge)) for edge in image.size)
            left, top = (width - self.side) // 2, (height - self.side) // 2
            image = image.resize((width, height), method)
            image = image.crop((left, top, left + self.side, top + self.side))
        else:
            image = image.resize((self.side, self.side), method)
        return np.asarray(image, dtype=np.uint8)

    def visible_region(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of an image of this size that the model sees: left, top, width and height as
        shares of it."""
        if self.fit == "stretch":
            return 0.0, 0.0, 1.0, 1.0
        seen = self.side / self.resize * min(width, height)
        width_share, height_share = min(1.0, seen / width), min(1.0, seen / height)
        return (1 - width_share) / 2, (1 - height_share) / 2, width_share, height_share


def to_network_input(pixels: Pixels | Sequence[Pixels]) -> npt.NDArray[np.float32]:
    """(rows, side, side, 3) bytes as networks take them: (rows, 3, side, side), 0 to 1."""
    stacked: Any = np.asarray(pixels)
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)
