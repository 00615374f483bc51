"""The answer of the nearest known question: what a language model must beat.

One that has learnt rows by heart does no better than looking them up.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

MAX_ROWS, MAX_CHARACTERS = 20_000, 2_000


def find_nearest(known: Sequence[str], asked: Sequence[str]) -> list[int] | None:
    """For each question the place of the nearest known one, by TF-IDF of character groups, which
    needs no words; None where the known ones say nothing. Only the first MAX_ROWS are known."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
    try:
        features = vectorizer.fit_transform([text[:MAX_CHARACTERS] for text in known[:MAX_ROWS]])
    except ValueError:  # There is none, or every one is blank.
        return None
    likeness = vectorizer.transform([text[:MAX_CHARACTERS] for text in asked]) @ features.T
    return [int(place) for place in np.asarray(likeness.argmax(axis=1)).ravel()]
