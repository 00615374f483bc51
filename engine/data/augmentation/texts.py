"""Augments training texts differently in each epoch: typing errors, letter case, dropped or swapped
words.

Every draw depends only on (seed, draw, row), so that a resumed job draws the same. Half of the
texts of a draw are not changed, as people's own texts are mostly clean.
"""

import random
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.data.augmentation.text_perturbations import add_typos, drop_words, flip_case, swap_words

Augmentation = Literal["none", "light", "strong"]
CHANGES_PER_TEXT = {"light": 1, "strong": 2}
UNCHANGED_SHARE = 0.5
CHANGES = (add_typos, flip_case, drop_words, swap_words)


def augment_texts(
    texts: Sequence[str],
    rows: npt.NDArray[np.int64],
    *,
    kind: Augmentation,
    seed: int,
    draw: int,
    unchanged_share: float = UNCHANGED_SHARE,
) -> list[str]:
    """The texts of these rows, of which about `unchanged_share` stay as they are."""
    return [
        _augment(texts[row], kind, random.Random(f"{seed}-{draw}-{row}"), unchanged_share)
        for row in rows.tolist()
    ]


def _augment(text: str, kind: Augmentation, rng: random.Random, unchanged_share: float) -> str:
    if kind == "none" or rng.random() < unchanged_share:
        return text
    for change in rng.sample(CHANGES, CHANGES_PER_TEXT[kind]):
        text = change(text, rng)
    return text
