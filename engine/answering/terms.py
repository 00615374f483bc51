"""BM25 over answers: words where words have spaces, else characters and pairs of them."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

K1, B = 1.5, 0.4  # Robertson and Zaragoza 2009, section 3.3; values found best on questions.
CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af"
CJK_GAP = re.compile(rf"(?<=[{CJK}])\s+(?=[{CJK}])")
CJK_RUN = re.compile(f"[{CJK}]+")
WORD = re.compile(rf"[^\W_{CJK}]+")

TermWeights = dict[str, dict[int, float]]  # Weight of a term in each item that has it.


def normalise(text: str) -> str:
    """NFKC, case folded, white space single: what is compared and hashed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def split_terms(text: str) -> list[str]:
    """The terms of a text, repeated ones too: words, and of each run of CJK characters the
    characters and pairs.

    A CJK word of two characters makes three terms or more. Beside them a number or a Latin word
    counts twice, as `1990` and `=1990`; else names and years would hardly weigh.
    """
    text = CJK_GAP.sub("", normalise(text))
    terms = WORD.findall(text)
    runs = CJK_RUN.findall(text)
    if runs:
        terms += [f"={word}" for word in terms]
    for run in runs:
        terms += [run[at : at + 2] for at in range(len(run) - 1)] + list(run)
    return terms


def weigh_terms(documents: Mapping[int, Sequence[str]]) -> TermWeights:
    """The part each term adds to the score of each item, from the items' terms.

    A query's score for an item is the sum over its distinct terms.
    """
    if not documents:
        return {}
    mean_length = sum(map(len, documents.values())) / len(documents) or 1.0
    counts = {item: Counter(terms) for item, terms in documents.items()}
    frequency = Counter(term for counted in counts.values() for term in counted)
    weights: TermWeights = {}
    for item, counted in counts.items():
        length = 1 - B + B * len(documents[item]) / mean_length
        for term, times in counted.items():
            among = len(documents) - frequency[term] + 0.5
            rarity = math.log(1 + among / (frequency[term] + 0.5))
            weights.setdefault(term, {})[item] = rarity * times * (K1 + 1) / (times + K1 * length)
    return weights


def score_terms(weights: TermWeights, text: str) -> dict[int, float]:
    """The BM25 score of each item that shares a term with the text."""
    scores: dict[int, float] = {}
    for term in set(split_terms(text)):
        for item, weight in weights.get(term, {}).items():
            scores[item] = scores.get(item, 0.0) + weight
    return scores
