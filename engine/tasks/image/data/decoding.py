"""Decodes the bytes of an image from anyone. Needs only Pillow and numpy.

Import, training and serving all decode here, so that an image has the same pixels everywhere.
"""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

# Formats that Pillow decodes by itself; none that starts another program or draws a page.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAGIC_BYTES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")
MAX_PIXELS = 50_000_000  # A camera's largest; three times that in bytes once decoded.
MAX_SIDE = 20_000


class InvalidImage(ValueError):
    """These bytes cannot be decoded; the message says why, as the end of a sentence."""


def open_image(content: bytes) -> Image.Image:
    """The image's header: size, format and frames, no pixels decoded yet. Raises InvalidImage."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise InvalidImage("it has more pixels than any camera makes") from error
    except Exception as error:  # Parsers of damaged files raise anything.
        raise InvalidImage(_unreadable_reason(content)) from error
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InvalidImage(
            f"it is {width:,} by {height:,} pixels; at most {MAX_PIXELS // 10**6} million are read"
        )
    return image


def decode_image(content: bytes, wanted_side: int | None = None) -> Image.Image:
    """Upright RGB pixels of the first frame, transparency over white. Raises InvalidImage.

    With `wanted_side`, a JPEG may come smaller than it is, but no smaller than that.
    """
    image = open_image(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if wanted_side:
                image.draft(None, (wanted_side, wanted_side))
            image.load()
            return _to_rgb(_apply_exif_orientation(image))
    except Exception as error:  # Decoders of damaged files raise anything.
        raise InvalidImage("it is damaged or cut short") from error


def _apply_exif_orientation(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # A damaged orientation tag leaves the image as it is.
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # At 8 bits: Pillow itself would cut off grey values of 16 bits at white.
        values = np.asarray(image, dtype=np.float64)
        peak = float(values.max(initial=0.0))
        whole = 255.0 if peak <= 255 else 65_535.0 if peak <= 65_535 else peak
        image = Image.fromarray(np.clip(values / whole * 255, 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        backdrop = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(backdrop, image).convert("RGB")
    return image.convert("RGB")


def _unreadable_reason(content: bytes) -> str:
    head = content[:512].lstrip().lower()
    if not content:
        return "it is empty"
    if b"<svg" in head or head.startswith(b"<?xml"):
        return "it is a drawing (SVG), not pixels; export it as PNG"
    if head.startswith(b"pk\x03\x04"):
        return "it is an archive inside the archive, which is not opened"
    if content.startswith(MAGIC_BYTES):
        return "it is damaged or cut short"
    return "it is no picture of a kind that is read (JPEG, PNG, WebP, GIF, BMP or TIFF)"
