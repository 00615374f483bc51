"""The passages of a version: frozen with their vectors and the weights of their terms."""

import numpy as np
import numpy.typing as npt

from assistants.models import Assistant, Passage, PassageEntry, PassageTerm, Version
from engine.answering.order import MeasuringResult, OrderPassage
from engine.answering.terms import split_terms, weigh_terms
from web.database.copying import copy_rows, half_vector

MAX_TERM_CHARS = 100


def current_passages(assistant: Assistant) -> list[Passage]:
    """Those of sources that are not retired, in a fixed order."""
    rows = Passage.objects.filter(source__assistant=assistant, source__retired_at=None)
    return list(rows.order_by("pk"))


def as_order(passage: Passage) -> OrderPassage:
    return OrderPassage(text=passage.text, heading=passage.heading, language=passage.language)


def store_passages(
    version: Version,
    passages: list[Passage],
    vectors: npt.NDArray[np.float16],
    result: MeasuringResult,
) -> None:
    """`vectors` (passages, dimensions) in their order. Call it in the version's transaction."""
    copy_rows(
        PassageEntry,
        ("version", "passage", "language", "embedding"),
        (
            (version.pk, passage.pk, passage.language, half_vector(vector))
            for passage, vector in zip(passages, vectors, strict=True)
        ),
    )
    for language in result.fusions:
        documents = {
            passage.pk: split_terms(as_order(passage).whole)
            for passage in passages
            if passage.language == language
        }
        copy_rows(
            PassageTerm,
            ("version", "language", "term", "passage", "weight"),
            (
                (version.pk, language, term, item, weight)
                for term, items in weigh_terms(documents).items()
                for item, weight in items.items()
                if len(term) <= MAX_TERM_CHARS
            ),
        )
