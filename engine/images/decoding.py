"""Bytes of a picture to pixels, whoever sent them. Only Pillow and numpy.

Import, training and serving all decode here, so that a picture looks the same to each of them.
"""

import io
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps

# Formats that Pillow decodes by itself; none that starts another program or draws a page.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")
MOST_PIXELS = 50_000_000  # A camera's largest; three times that in bytes once decoded.
MOST_SIDE = 20_000


class NotAPicture(ValueError):
    """These bytes cannot be looked at; the message says why, as the end of a sentence."""


def open_picture(content: bytes) -> Image.Image:
    """The picture's head: size, format and frames, nothing decoded yet. Raises NotAPicture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise NotAPicture("it has more pixels than any camera makes") from error
    except Exception as error:  # Parsers of damaged files raise anything.
        raise NotAPicture(_not_readable(content)) from error
    width, height = picture.size
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        raise NotAPicture(
            f"it is {width:,} by {height:,} pixels; at most {MOST_PIXELS // 10**6} million are read"
        )
    return picture


def decode(content: bytes, wanted_side: int | None = None) -> Image.Image:
    """Upright RGB pixels of the first frame, transparency over white. Raises NotAPicture.

    With `wanted_side`, a JPEG may come smaller than it is, but no smaller than that.
    """
    picture = open_picture(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if wanted_side:
                picture.draft(None, (wanted_side, wanted_side))
            picture.load()
            return _as_rgb(_upright(picture))
    except Exception as error:  # Decoders of damaged files raise anything.
        raise NotAPicture("it is damaged or cut short") from error


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # A broken note on the rotation leaves the picture as it lies.
        return picture


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = Image.fromarray(_eight_bits(np.asarray(picture, dtype=np.float64)))
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        backdrop = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(backdrop, picture).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(values: Any) -> Any:
    """Grey values of 16 bits and more at 8 bits: Pillow itself would cut them off at white."""
    highest = float(values.max(initial=0.0))
    whole = 255.0 if highest <= 255 else 65_535.0 if highest <= 65_535 else highest
    return np.clip(values / whole * 255, 0, 255).astype(np.uint8)


def _not_readable(content: bytes) -> str:
    start = content[:512].lstrip().lower()
    if not content:
        return "it is empty"
    if b"<svg" in start or start.startswith(b"<?xml"):
        return "it is a drawing (SVG), not pixels; export it as PNG"
    if start.startswith(b"pk\x03\x04"):
        return "it is an archive inside the archive, which is not opened"
    if content.startswith(STARTS):
        return "it is damaged or cut short"
    return "it is no picture of a kind that is read (JPEG, PNG, WebP, GIF, BMP or TIFF)"
