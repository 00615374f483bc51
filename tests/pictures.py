"""Makes pictures and archives of them in code."""

import io
import zipfile

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (50, 60, 200)}


def encoded(pixels, kind="PNG", **facts):
    sink = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(sink, kind, **facts)
    return sink.getvalue()


def coloured(label, seed, side=40):
    """Noise around the label's colour, with a bright bar whose direction also tells the label."""
    dice = np.random.default_rng(seed)
    pixels = np.clip(dice.normal(COLOURS[label], 25, (side, side, 3)), 0, 255)
    place = int(dice.integers(5, side - 10))
    if label == "red":
        pixels[:, place : place + 4] = 240
    else:
        pixels[place : place + 4] = 240
    return pixels.astype(np.uint8)


def zipped(files, compression=zipfile.ZIP_STORED):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


def photos(each=12, labels=("red", "green", "blue"), kind="PNG"):
    """Encoded pictures by label and number."""
    return {
        (label, number): encoded(coloured(label, 100 * place + number), kind)
        for place, label in enumerate(labels)
        for number in range(each)
    }
