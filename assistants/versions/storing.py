"""Stores what measuring made of a version: its index, its models, its report."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction
from django.utils.timezone import now

from assistants.errors import StaleVersionState
from assistants.models import (
    IndexEntry,
    LanguageModel,
    Passage,
    PassageEntry,
    PassageTerm,
    Phrasing,
    Term,
    Version,
    VersionStatus,
)
from assistants.versions.passages import store_passages
from engine.answering.order import MeasuringResult
from engine.answering.terms import split_terms, weigh_terms
from web.database.copying import copy_rows, half_vector
from web.sse import notify


@dataclass(frozen=True)
class Measured:
    """What the child process left: vectors (phrasings, dimensions) and (passages, dimensions), and
    each language's probe as bytes."""

    result: MeasuringResult
    vectors: npt.NDArray[np.float16]
    passage_vectors: npt.NDArray[np.float16] | None
    probes: dict[str, bytes]


def read_measured(folder: Path) -> Measured:
    """The files of a finished measurement."""
    result = MeasuringResult.model_validate_json((folder / "result.json").read_text())
    passages = folder / "passages.npy"
    return Measured(
        result=result,
        vectors=np.load(folder / "vectors.npy"),
        passage_vectors=np.load(passages) if passages.is_file() else None,
        probes={
            language: np.load(folder / f"{language}.npy").tobytes() for language in result.models
        },
    )


@transaction.atomic
def store(
    version: Version, phrasings: list[Phrasing], passages: list[Passage], measured: Measured
) -> None:
    """All of it or nothing: a version is complete once it is measured."""
    result = measured.result
    _store_index(version, phrasings, measured)
    if measured.passage_vectors is not None:
        store_passages(version, passages, measured.passage_vectors, result)
    reports = {key: value.model_dump() for key, value in result.passage_reports.items()}
    try:
        version.transition(
            VersionStatus.MEASURED,
            report={key: value.model_dump() for key, value in result.languages.items()},
            fusions={key: value.model_dump() for key, value in result.fusions.items()},
            passage_report=reports,
            knowledge_hash=hash_knowledge(phrasings),
            measured_at=now(),
            claimed_until=None,
        )
    except StaleVersionState:
        transaction.set_rollback(True)  # Another worker ended it first.
        return
    notify(f"assistant:{version.assistant_id}")


def refresh_statistics() -> None:
    """Let PostgreSQL plan for the rows that were just stored: autovacuum looks a minute later."""
    tables = (IndexEntry, Term, PassageEntry, PassageTerm)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(table._meta.db_table for table in tables)}")


def _store_index(version: Version, phrasings: list[Phrasing], measured: Measured) -> None:
    copy_rows(
        IndexEntry,
        ("version", "answer", "language", "text", "embedding"),
        (
            (version.pk, phrasing.answer_id, phrasing.language, phrasing.text, half_vector(vector))
            for phrasing, vector in zip(phrasings, measured.vectors, strict=True)
        ),
    )
    for language, model in measured.result.models.items():
        LanguageModel.objects.create(
            version=version,
            language=language,
            answers=model.answers,
            calibrator=model.calibrator.model_dump(),
            probe=measured.probes[language],
        )
        _store_terms(version, language, [p for p in phrasings if p.language == language])


def _store_terms(version: Version, language: str, phrasings: list[Phrasing]) -> None:
    documents: dict[int, list[str]] = {}
    for phrasing in phrasings:
        documents.setdefault(phrasing.answer_id, []).extend(split_terms(phrasing.text))
    copy_rows(
        Term,
        ("version", "language", "term", "answer", "weight"),
        (
            (version.pk, language, term, answer, weight)
            for term, items in weigh_terms(documents).items()
            for answer, weight in items.items()
            if len(term) <= 100
        ),
    )


def hash_knowledge(phrasings: list[Phrasing]) -> str:
    """SHA-256 of what was taught: equal knowledge, equal hash."""
    lines = sorted(f"{phrasing.answer_id}\0{phrasing.text_hash}" for phrasing in phrasings)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
