"""Finds the passage of a document that answers a question: vectors and terms, fused.

How much either counts is learnt from the passages themselves: a sentence is taken out of its
passage and asked for, and the right passage is the one it was taken from. A fixed sum of both can
be worse than one of them alone.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from engine.answering.scoring import Array, Indices
from engine.answering.terms import TermWeights, score_terms, split_terms, weigh_terms

# What a share of the best passage's BM25 score adds to the cosine; the last: terms alone.
WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1e6)
MAX_ASKED, MAX_POOL = 300, 600  # Sentences asked for, among so many passages.
MIN_ASKED = 20
MIN_SENTENCE_CHARS = 8
MAX_WRONGLY_QUOTED = 0.05  # Of off-topic questions.
SENTENCE_END = re.compile(r"(?<=[.!?。！？；\n])\s*")


Embed = Callable[[Sequence[str]], Array]


class PassageFusion(BaseModel):
    """How cosines and BM25 scores are joined, and from which cosine and score on one is quoted."""

    model_config = ConfigDict(frozen=True)

    weight: float = 0.1
    quote: float | None = None  # The lowest `strength`; None: nothing is quoted.

    def fuse(self, cosines: Array, bm25: Array) -> Array:
        """(questions, passages) of scores that order the passages of one question."""
        best = np.maximum(bm25.max(axis=-1, keepdims=True), 1e-12)
        return np.asarray(cosines + self.weight * bm25 / best)


class PassageReport(BaseModel):
    """Of sentences taken out of their passages: how often each way finds the passage first."""

    passages: int
    asked: int
    vectors: float = 0.0
    terms: float = 0.0
    fused: float = 0.0


@dataclass(frozen=True)
class AskedPassages:
    """Scores (questions, passages) of questions whose right passage is known."""

    cosines: Array
    bm25: Array
    right: Indices
    terms_in_question: Array  # (questions,) distinct terms.

    def select(self, rows: npt.NDArray[np.bool_]) -> "AskedPassages":
        return AskedPassages(
            self.cosines[rows], self.bm25[rows], self.right[rows], self.terms_in_question[rows]
        )


def share_first(asked: AskedPassages, fusion: PassageFusion) -> float:
    """Of the questions, those whose right passage comes first."""
    first = fusion.fuse(asked.cosines, asked.bm25).argmax(axis=1)
    return float((first == asked.right).mean()) if len(asked.right) else 0.0


def choose_weight(asked: AskedPassages) -> float:
    """The weight that puts the right passage first most often, and nearest to first of equals."""

    def quality(weight: float) -> tuple[float, float]:
        scores = PassageFusion(weight=weight).fuse(asked.cosines, asked.bm25)
        own = scores[np.arange(len(scores)), asked.right]
        ranks = (scores > own[:, None]).sum(axis=1)
        return float((ranks == 0).mean()), float((1 / (1 + ranks)).mean())

    return max(WEIGHTS, key=quality)


def strength(cosine: Array, bm25: Array, terms_in_question: Array) -> Array:
    """How much the first passage has to do with the question: its cosine, and the mean weight that
    it gives the question's terms, which is low where only common words are shared."""
    return np.asarray(cosine + 0.1 * bm25 / np.maximum(terms_in_question, 1))


def score_bm25(weights: TermWeights, texts: Sequence[str], count: int) -> Array:
    """BM25 scores (texts, count)."""
    scores = np.zeros((len(texts), count))
    for row, text in enumerate(texts):
        for item, score in score_terms(weights, text).items():
            scores[row, item] = score
    return scores


def count_terms(texts: Sequence[str]) -> Array:
    return np.array([float(len(set(split_terms(text)))) for text in texts])


def take_sentences(texts: Sequence[str], seed: int = 0) -> list[tuple[int, str, str]]:
    """(passage, a sentence of it, the rest) of up to MAX_ASKED passages of several sentences."""
    rng = np.random.default_rng(seed)
    taken = []
    for number in rng.permutation(len(texts)):
        sentences = [part for part in SENTENCE_END.split(texts[number]) if part.strip()]
        usable = [one for one in sentences if len(one) >= MIN_SENTENCE_CHARS]
        if len(sentences) >= 2 and usable:
            chosen = usable[int(rng.integers(len(usable)))]
            rest = " ".join(one for one in sentences if one is not chosen)
            taken.append((int(number), chosen.strip(), rest))
        if len(taken) == MAX_ASKED:
            break
    return taken


def fit_fusion(
    texts: Sequence[str],
    vectors: Array,
    off_topic: tuple[Sequence[str], Array],
    embed: Embed,
) -> tuple[PassageFusion, PassageReport]:
    """The weight by one half of the sentences, its report by the other half; of documents with too
    few sentences the usual weight, and no report. From what strength on a passage is quoted, the
    off-topic questions say.

    `vectors` (passages, dimensions); `embed` makes unit vectors of texts.
    """
    taken = take_sentences(texts)
    if len(taken) < MIN_ASKED:
        usual, known = (
            PassageFusion(),
            weigh_terms({number: split_terms(text) for number, text in enumerate(texts)}),
        )
        quote = _fit_quote(usual, known, vectors, off_topic)
        report = PassageReport(passages=len(texts), asked=len(taken))
        return usual.model_copy(update={"quote": quote}), report
    asked, weights, reduced = _ask(texts, vectors, taken, embed)
    is_even = np.arange(len(taken)) % 2 == 0
    weight = choose_weight(asked.select(is_even))
    fusion = PassageFusion(weight=weight, quote=None)
    others = asked.select(~is_even)
    quote = _fit_quote(fusion, weights, reduced, off_topic)
    fusion = fusion.model_copy(update={"quote": quote})
    report = PassageReport(
        passages=len(texts),
        asked=len(taken),
        vectors=share_first(others, PassageFusion(weight=0.0)),
        terms=share_first(others, PassageFusion(weight=WEIGHTS[-1])),
        fused=share_first(others, fusion),
    )
    return fusion, report


def _fit_quote(
    fusion: PassageFusion,
    weights: TermWeights,
    vectors: Array,
    off_topic: tuple[Sequence[str], Array],
) -> float | None:
    """The strength that MAX_WRONGLY_QUOTED of the off-topic questions reach; None without any."""
    off_texts, off_vectors = off_topic
    if not len(off_texts):
        return None
    off = AskedPassages(
        off_vectors @ vectors.T,
        score_bm25(weights, off_texts, len(vectors)),
        np.full(len(off_texts), -1),
        count_terms(off_texts),
    )
    rows = np.arange(len(off.cosines))
    first = fusion.fuse(off.cosines, off.bm25).argmax(axis=1)
    return float(
        np.quantile(
            strength(off.cosines[rows, first], off.bm25[rows, first], off.terms_in_question),
            1 - MAX_WRONGLY_QUOTED,
        )
    )


def _ask(
    texts: Sequence[str], vectors: Array, taken: list[tuple[int, str, str]], embed: Embed
) -> tuple[AskedPassages, TermWeights, Array]:
    """Scores of the sentences among a pool of passages without them, with the pool's weights and
    vectors."""
    asked_passages = [number for number, _, _ in taken]
    others = [number for number in range(len(texts)) if number not in set(asked_passages)]
    pool = asked_passages + others[: max(0, MAX_POOL - len(taken))]
    rest = [text for _, _, text in taken] + [texts[number] for number in pool[len(taken) :]]
    reduced = np.concatenate([embed(rest[: len(taken)]), vectors[pool[len(taken) :]]])
    weights = weigh_terms({place: split_terms(text) for place, text in enumerate(rest)})
    questions = [sentence for _, sentence, _ in taken]
    asked = AskedPassages(
        embed(questions) @ reduced.T,
        score_bm25(weights, questions, len(rest)),
        np.arange(len(taken)),
        count_terms(questions),
    )
    return asked, weights, reduced
