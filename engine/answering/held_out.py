"""Questions nobody fitted, out of a team's own rows.

Each fold leaves out some phrasings of every answer, and some answers with all their phrasings.
Left-out phrasings of known answers should be answered (in scope); questions of left-out answers,
and those of a shipped off-topic list, should be refused (out of scope).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.answering.probe import fit_probe, nearest_cosines
from engine.answering.scoring import Array, Indices, Scores, probe_scores, term_shares
from engine.answering.terms import TermWeights, score_terms, split_terms, weigh_terms

SAME_QUESTION_COSINE = 0.95  # Phrasings this close are left out together.
IN_SCOPE, LEFT_OUT_ANSWER, OFF_TOPIC = 0, 1, 2
SHIPPED_LANGUAGES = ("en", "zh")
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Phrasings:
    """Known questions: their texts, unit embeddings, answers from 0, and whether they may be left
    out (a suggested phrasing teaches, but never measures)."""

    texts: list[str]
    embeddings: Array
    answers: Indices
    may_measure: Mask
    answer_count: int

    def select(self, rows: Mask) -> "Phrasings":
        return Phrasings(
            [text for text, chosen in zip(self.texts, rows, strict=True) if chosen],
            self.embeddings[rows],
            self.answers[rows],
            self.may_measure[rows],
            self.answer_count,
        )


@dataclass(frozen=True)
class HeldOut:
    """Scores of questions nobody fitted; `answers` is -1 where refusing is right."""

    scores: Scores
    answers: Indices
    kinds: Indices
    texts: list[str]

    @classmethod
    def join(cls, parts: Sequence["HeldOut"]) -> "HeldOut":
        return cls(
            Scores(
                np.concatenate([part.scores.probe for part in parts]),
                np.concatenate([part.scores.cosine for part in parts]),
                np.concatenate([part.scores.terms for part in parts]),
            ),
            np.concatenate([part.answers for part in parts]),
            np.concatenate([part.kinds for part in parts]),
            [text for part in parts for text in part.texts],
        )


class FittedScorer:
    """Scores questions by what these phrasings teach."""

    def __init__(self, known: Phrasings, probe: Array | None = None) -> None:
        self.known = known
        if probe is None:
            probe = fit_probe(known.embeddings, known.answers, known.answer_count)
        self.probe = probe
        self.terms = weigh_answer_terms(known)

    def score(self, texts: Sequence[str], embeddings: Array) -> Scores:
        known = self.known
        bm25 = np.zeros((len(texts), known.answer_count))
        for row, text in enumerate(texts):
            for answer, score in score_terms(self.terms, text).items():
                bm25[row, answer] = score
        cosines = nearest_cosines(embeddings, known.embeddings, known.answers, known.answer_count)
        return Scores(probe_scores(self.probe, embeddings), cosines, term_shares(bm25))


def weigh_answer_terms(known: Phrasings) -> TermWeights:
    """BM25 weights with one document for each answer: all its phrasings."""
    documents: dict[int, list[str]] = {}
    for text, answer in zip(known.texts, known.answers, strict=True):
        documents.setdefault(int(answer), []).extend(split_terms(text))
    return weigh_terms(documents)


def leave_out(known: Phrasings, off_topic: tuple[list[str], Array], seed: int = 0) -> HeldOut:
    """Scores of every phrasing by scorers that did not see it, and of the off-topic questions.

    Off-topic questions are divided among the folds, so that all are scored by equal scorers.
    """
    rng = np.random.default_rng(seed)
    folds = count_folds(known)
    fold_of = _assign_folds(known, folds, rng)
    group_of = rng.permutation(known.answer_count) % folds
    off_texts, off_embeddings = off_topic
    off_fold = rng.permutation(len(off_texts)) % folds
    parts: list[HeldOut] = []
    for fold in range(folds):
        is_left_out = group_of[known.answers] == fold
        scorer = FittedScorer(known.select((fold_of != fold) & ~is_left_out))
        parts += _score_fold(known, scorer, (fold_of == fold) | is_left_out)
        rows = off_fold == fold
        texts = [text for text, chosen in zip(off_texts, rows, strict=True) if chosen]
        refused = np.full(len(texts), -1)
        kinds = np.full(len(texts), OFF_TOPIC)
        parts.append(HeldOut(scorer.score(texts, off_embeddings[rows]), refused, kinds, texts))
    return HeldOut.join(parts)


def _score_fold(known: Phrasings, scorer: FittedScorer, rows: Mask) -> Iterator[HeldOut]:
    questions = known.select(rows & known.may_measure)
    is_taught = np.isin(questions.answers, scorer.known.answers)
    answers = np.where(is_taught, questions.answers, -1)
    kinds = np.where(is_taught, IN_SCOPE, LEFT_OUT_ANSWER)
    yield HeldOut(
        scorer.score(questions.texts, questions.embeddings), answers, kinds, questions.texts
    )


def count_folds(known: Phrasings) -> int:
    """Ten for a usual FAQ; fewer where phrasings are few, or so many that each fit takes long."""
    affordable = 10 if len(known.texts) <= 2_500 else 5 if len(known.texts) <= 6_000 else 3
    sizes = np.bincount(known.answers, minlength=known.answer_count)
    typical = int(np.median(sizes[sizes > 0])) if len(known.texts) else 0
    return max(2, min(affordable, typical))


def _assign_folds(known: Phrasings, folds: int, rng: np.random.Generator) -> Indices:
    """Each answer's phrasings spread over the folds, near duplicates together."""
    fold_of = np.zeros(len(known.texts), dtype=np.int64)
    for answer in range(known.answer_count):
        rows = np.flatnonzero(known.answers == answer)
        similar = known.embeddings[rows] @ known.embeddings[rows].T >= SAME_QUESTION_COSINE
        first_like = similar.argmax(axis=1)  # The first phrasing it repeats, or itself.
        places = (rng.permutation(len(rows)) + rng.integers(folds)) % folds
        fold_of[rows] = places[first_like[first_like]]
    return fold_of


def load_off_topic(language: str) -> list[str]:
    """Our own questions about anything but a product; none in languages we ship none for."""
    if language not in SHIPPED_LANGUAGES:
        return []
    path = Path(__file__).with_name(f"off_topic_{language}.txt")
    return path.read_text(encoding="utf-8").split("\n")[:-1]
