"""A baseline for language models: the answer of the nearest question in the training rows.

A model that memorised its training rows is no better than this.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

MAX_ROWS, MAX_CHARACTERS = 20_000, 2_000


def find_nearest(known_questions: Sequence[str], questions: Sequence[str]) -> list[int] | None:
    """For each question the position of the nearest known one, by TF-IDF of character n-grams,
    which also works without blanks between words. Only the first MAX_ROWS known questions are
    compared. None where they are all blank."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
    try:
        features = vectorizer.fit_transform(
            [text[:MAX_CHARACTERS] for text in known_questions[:MAX_ROWS]]
        )
    except ValueError:  # There are none, or all are blank.
        return None
    likeness = vectorizer.transform([text[:MAX_CHARACTERS] for text in questions]) @ features.T
    return [int(place) for place in np.asarray(likeness.argmax(axis=1)).ravel()]
