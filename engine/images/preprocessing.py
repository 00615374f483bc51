"""From a picture's bytes to the array that a model reads. Only Pillow and numpy.

Written into every artifact, so that what is served looks at pictures as training did. Mean and
standard deviation are applied inside the exported file; they are in the manifest to be read.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict

from engine.images.decoding import decode

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
        """(side, side, 3). Raises NotAPicture."""
        wanted = self.resize if self.fit == "crop" else self.side
        picture = decode(content, wanted_side=wanted)
        method = getattr(Image.Resampling, self.resample.upper())
        if self.fit == "crop":
            scale = self.resize / min(picture.size)
            width, height = (max(self.side, round(scale * edge)) for edge in picture.size)
            left, top = (width - self.side) // 2, (height - self.side) // 2
            picture = picture.resize((width, height), method)
            picture = picture.crop((left, top, left + self.side, top + self.side))
        else:
            picture = picture.resize((self.side, self.side), method)
        return np.asarray(picture, dtype=np.uint8)

    def covered(self, width: int, height: int) -> tuple[float, float, float, float]:
        """What part of a picture of this size the model sees: left, top, width and height in
        shares of it."""
        if self.fit == "stretch":
            return 0.0, 0.0, 1.0, 1.0
        seen = self.side / self.resize * min(width, height)
        wide, high = min(1.0, seen / width), min(1.0, seen / height)
        return (1 - wide) / 2, (1 - high) / 2, wide, high


def as_input(pixels: Pixels | Sequence[Pixels]) -> npt.NDArray[np.float32]:
    """(rows, side, side, 3) bytes as networks take them: (rows, 3, side, side), 0 to 1."""
    stacked: Any = np.asarray(pixels)
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)
