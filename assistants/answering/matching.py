"""Scores a question against a version: probe, nearest phrasing and terms, then one probability."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection

from assistants.models import Answer, IndexEntry, LanguageModel, Term, Version
from engine.answering.scoring import Calibrator, Scores, probe_scores, rank, term_shares
from engine.answering.terms import split_terms

CACHED_MODELS = 64  # Of a few hundred kilobytes each.
NEAREST_SQL = f"""
SELECT answer.key, max(1 - (entry.embedding <=> %s::halfvec))
FROM {IndexEntry._meta.db_table} entry
JOIN {Answer._meta.db_table} answer ON answer.id = entry.answer_id
WHERE entry.version_id = %s AND entry.language = %s
GROUP BY answer.key
"""
TERMS_SQL = f"""
SELECT answer.key, sum(term.weight)
FROM {Term._meta.db_table} term
JOIN {Answer._meta.db_table} answer ON answer.id = term.answer_id
WHERE term.version_id = %s AND term.language = %s AND term.term = ANY(%s)
GROUP BY answer.key
"""
PHRASING_SQL = f"""
SELECT entry.text FROM {IndexEntry._meta.db_table} entry
JOIN {Answer._meta.db_table} answer ON answer.id = entry.answer_id
WHERE entry.version_id = %s AND answer.key = %s ORDER BY entry.embedding <=> %s::halfvec LIMIT 1
"""
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """An answer that may be meant. `probability` is of the first only; others share the rest."""

    key: str
    probability: float
    cosine: float


@dataclass(frozen=True)
class Match:
    """What a version makes of a question. `answer_threshold` None: never alone."""

    candidates: list[Candidate]
    confidence: float
    answer_threshold: float | None
    ask_threshold: float


class LoadedModel:
    """A language of a version in memory; both never change once measured."""

    def __init__(self, row: LanguageModel) -> None:
        self.answers: list[str] = row.answers
        self.number = {key: place for place, key in enumerate(row.answers)}
        self.calibrator = Calibrator.model_validate(row.calibrator)
        weights = np.frombuffer(row.probe, dtype=np.float32)
        self.probe = weights.reshape(len(row.answers), -1).astype(np.float64)


_models: OrderedDict[tuple[int, str], LoadedModel] = OrderedDict()
_lock = Lock()


def load_model(version: Version, language: str) -> LoadedModel | None:
    """The model of this language, from memory if it was used lately."""
    key = (version.pk, language)
    with _lock:
        if key in _models:
            _models.move_to_end(key)
            return _models[key]
    row = LanguageModel.objects.filter(version=version, language=language).first()
    if row is None:
        return None
    loaded = LoadedModel(row)
    with _lock:
        _models[key] = loaded
        while len(_models) > CACHED_MODELS:
            _models.popitem(last=False)
    return loaded


def match(version: Version, language: str, question: str, vector: Vector) -> Match | None:
    """None where the version knows nothing in this language."""
    model = load_model(version, language)
    if model is None:
        return None
    scores = Scores(
        probe=probe_scores(model.probe, vector[None, :]),
        cosine=_fill(model, -1.0, NEAREST_SQL, [_literal(vector), version.pk, language]),
        terms=term_shares(
            _fill(model, 0.0, TERMS_SQL, [version.pk, language, list(set(split_terms(question)))])
        ),
    )
    calibrator = model.calibrator
    ranking = rank(scores, calibrator.mixture)
    confidence = float(calibrator.probability(ranking.features)[0])
    order = [int(number) for number in ranking.order[0]]
    others = np.exp(scores.probe[0, order])
    rest = (1 - confidence) * others / max(float(others[1:].sum()), 1e-12)
    candidates = [
        Candidate(
            key=model.answers[number],
            probability=confidence if place == 0 else min(float(rest[place]), confidence),
            cosine=float(scores.cosine[0, number]),
        )
        for place, number in enumerate(order)
    ]
    return Match(candidates, confidence, calibrator.answer, calibrator.ask)


def find_nearest_phrasing(version: Version, key: str, vector: Vector) -> str:
    """The known phrasing of this answer that is most like the question; empty without one."""
    with connection.cursor() as cursor:
        cursor.execute(PHRASING_SQL, [version.pk, key, _literal(vector)])
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def _fill(model: LoadedModel, default: float, query: str, values: Sequence[Any]) -> Vector:
    """One row with the query's value of each answer."""
    row = np.full((1, len(model.answers)), default)
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        for key, value in cursor.fetchall():
            if key in model.number:
                row[0, model.number[key]] = value
    return row


def _literal(vector: Vector) -> str:
    return "[" + ",".join(f"{value:.6f}" for value in vector) + "]"
