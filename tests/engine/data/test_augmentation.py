"""Texts changed otherwise in each epoch, the same after a resume."""

import random

import numpy as np
import pytest
from pydantic import ValidationError

from engine.data.augmentation import texts as augmentation
from engine.data.augmentation.text_perturbations import swap_words
from engine.spec import TextHyperparameters

TEXTS = [
    "My card was charged twice for one order",
    "味道很好下次还来",
    "ok",
    "WHERE IS MY PARCEL?",
] * 50
ROWS = np.arange(len(TEXTS))


def draw(number: int, kind: augmentation.Augmentation = "light", seed: int = 0) -> list[str]:
    return augmentation.augment_texts(TEXTS, ROWS, kind=kind, seed=seed, draw=number)


def test_a_draw_follows_from_seed_draw_and_row_alone():
    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert draw(1) != draw(1, seed=1)
    some = ROWS[7:20]
    chosen = augmentation.augment_texts(TEXTS, some, kind="light", seed=0, draw=1)
    assert chosen == draw(1)[7:20]


@pytest.mark.parametrize("kind", ["light", "strong"])
def test_about_half_stay_and_none_is_emptied(kind):
    changed = draw(3, kind)
    same = sum(one == other for one, other in zip(TEXTS, changed, strict=True))
    assert 0.35 < same / len(TEXTS) < 0.75  # A text of one word may be drawn and stay.
    assert all(text.strip() for text in changed)


def test_none_changes_nothing():
    assert draw(0, "none") == TEXTS


def test_swapping_keeps_every_word():
    text = "one two three four"
    swapped = {swap_words(text, random.Random(seed)) for seed in range(20)}
    assert swapped == {"two one three four", "one three two four", "one two four three"}
    assert swap_words("one", random.Random(0)) == "one"


@pytest.mark.parametrize("method", ["head", "probe"])
def test_a_method_that_reads_each_text_once_refuses_augmentation(method):
    with pytest.raises(ValidationError, match="use auto, full, upper or lora"):
        TextHyperparameters(method=method, augmentation="light")


def test_few_augmented_rows_are_trained_on_and_not_probed():
    assert TextHyperparameters().chosen_method(20, 4) == "probe"
    assert TextHyperparameters(augmentation="light").chosen_method(20, 4) == "full"
