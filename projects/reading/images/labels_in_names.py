"""Labels that stand in the pictures' own names, such as cat.0.jpg, happy_012.png and 007-daisy.jpg.

They are looked for only where folders tell no label: there is none, only one, or folders are called
train and test. A number alone, a camera's word and a name that hardly comes again are no labels.
"""

import re
from collections import Counter
from collections.abc import Sequence

from projects.reading.images.zip_archive import ZipEntry

MIN_LABELS, MAX_LABELS = 2, 1_000
MIN_MEAN_PICTURES = 3  # Of a label: names that hardly come again tell pictures apart.
MIN_LABELLED_SHARE = 0.95
# What cameras, programs and people put before a number, whatever the picture shows.
UNTELLING_WORDS = frozenset({
    "img", "image", "images", "imgs", "dsc", "dscn", "dscf", "dsci", "pxl", "p", "pic", "picture",
    "photo", "frame", "screenshot", "screen", "scan", "snap", "capture", "whatsapp", "file",
    "sample", "data", "item", "untitled", "train", "training", "test", "testing", "val", "valid",
    "validation", "dev", "vid", "mvi",
})  # fmt: skip
_AHEAD = re.compile(r"^[\d\W_]+")
_BEHIND = re.compile(r"[\d\W_]+$")


def find_labels_in_names(images: Sequence[ZipEntry]) -> dict[int, str]:
    """The label of each picture by its number; empty where the names tell none."""
    labels = {entry.number: label for entry in images if (label := _label_of(entry.parts[-1]))}
    counts = Counter(labels.values())
    is_told = (
        MIN_LABELS <= len(counts) <= MAX_LABELS
        and len(labels) >= MIN_MEAN_PICTURES * len(counts)
        and len(labels) >= MIN_LABELLED_SHARE * len(images)
        and not UNTELLING_WORDS.issuperset(label.casefold() for label in counts)
    )
    return labels if is_told else {}


def _label_of(name: str) -> str:
    """The words of a name without the numbers ahead or behind; empty where it has no number, as a
    name that tells its picture from others does."""
    stem = name.rpartition(".")[0].strip()
    label = _BEHIND.sub("", _AHEAD.sub("", stem))
    return label if label != stem else ""
