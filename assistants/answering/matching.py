"""Scores a question against a version: probe, nearest phrasing and terms, then one probability."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import numpy as np

from assistants.answering.phrasing_index import Vector, open_index
from assistants.models import LanguageModel, Version
from engine.answering.scoring import Calibrator, Scores, probe_scores, rank, term_shares
from engine.answering.terms import split_terms

MEANT = 3  # Answers that a visitor is asked to choose from.
CACHED_BYTES = 96 * 1024**2  # Of all models of a process; the one in use is always kept.


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
        self.calibrator = Calibrator.model_validate(row.calibrator)
        weights = np.frombuffer(row.probe, dtype=np.float32)
        self.probe = weights.reshape(len(row.answers), -1).astype(np.float64)
        self.index = open_index(row.version_id, row.language, self.answers)
        self.bytes = self.probe.nbytes + self.index.bytes


_models: OrderedDict[tuple[int, str], LoadedModel] = OrderedDict()
_lock = Lock()
_loading = Lock()  # One at a time, so that a hundred first questions load a version once.


def load_model(version: Version, language: str) -> LoadedModel | None:
    """The model of this language, from memory if it was used lately."""
    key = (version.pk, language)
    if (known := _find_loaded(key)) is not None:
        return known
    with _loading:
        if (known := _find_loaded(key)) is not None:
            return known
        row = LanguageModel.objects.filter(version=version, language=language).first()
        if row is None:
            return None
        loaded = LoadedModel(row)
        with _lock:
            _models[key] = loaded
            while len(_models) > 1 and sum(one.bytes for one in _models.values()) > CACHED_BYTES:
                _models.popitem(last=False)
        return loaded


def _find_loaded(key: tuple[int, str]) -> LoadedModel | None:
    with _lock:
        if key in _models:
            _models.move_to_end(key)
        return _models.get(key)


def match(version: Version, language: str, question: str, vector: Vector) -> Match | None:
    """None where the version has no answers in this language."""
    model = load_model(version, language)
    if model is None:
        return None
    scores = Scores(
        probe=probe_scores(model.probe, vector[None, :]),
        cosine=model.index.cosines(vector),
        terms=term_shares(model.index.term_scores(list(set(split_terms(question))))),
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


def find_by_terms(version: Version, language: str, question: str) -> list[str]:
    """Keys of the MEANT answers whose words are most like the question's, the likeliest first; for
    questions that cannot be read. Empty where the question has none of their words."""
    model = load_model(version, language)
    if model is None:
        return []
    scores = model.index.term_scores(list(set(split_terms(question))))[0]
    best = sorted(range(len(scores)), key=lambda number: -scores[number])[:MEANT]
    return [model.answers[number] for number in best if scores[number] > 0]


def find_first_phrasing(version: Version, language: str, key: str) -> str:
    """A question that this answer answers; empty without one."""
    model = load_model(version, language)
    return model.index.first(key) if model else ""
