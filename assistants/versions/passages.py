"""The passages of a version: frozen with their vectors and the weights of their terms."""

import numpy as np
import numpy.typing as npt

from assistants.models import Assistant, Passage, PassageEntry, PassageTerm, Version
from engine.answering.order import MeasuringResult, OrderPassage
from engine.answering.terms import split_terms, weigh_terms

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
    PassageEntry.objects.bulk_create(
        (
            PassageEntry(
                version=version,
                passage=passage,
                language=passage.language,
                embedding=vector.astype(np.float32),
            )
            for passage, vector in zip(passages, vectors, strict=True)
        ),
        batch_size=2_000,
    )
    for language in result.fusions:
        documents = {
            passage.pk: split_terms(as_order(passage).whole)
            for passage in passages
            if passage.language == language
        }
        PassageTerm.objects.bulk_create(
            (
                PassageTerm(
                    version=version, language=language, term=term, passage_id=item, weight=weight
                )
                for term, items in weigh_terms(documents).items()
                for item, weight in items.items()
                if len(term) <= MAX_TERM_CHARS
            ),
            batch_size=5_000,
        )
