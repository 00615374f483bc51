"""Whether a written sentence says only what the passages it cites say.

A sentence passes if it cites passages that exist, if every number, date, price, address, link and
name in it stands in them, and if most of its words do. Nothing is asked of a model: what cannot be
checked is not released.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engine.answering.terms import CJK, split_terms

MIN_SHARED = 0.5  # Of a sentence's terms that also stand in the cited passages.
CITATION = re.compile(r"\[(\d{1,2})\]")
UNCITED = re.compile(r"\s*\[\d{1,2}\]")
SENTENCE = re.compile(r".+?(?:[.!?](?=\s|$|\[)|[。！？]|\n|$)(?:\s*\[\d{1,2}\])*", re.DOTALL)
BEGUN_CITATION = re.compile(r"(?:\[\d{0,2}\]?)?")
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
LINK = re.compile(
    r"(?:https?|hxxps?|ftp|mailto|javascript|data|tel)\s*:\S+"
    r"|[\w.+-]+\s*(?:@|\(at\)|\[at\])\s*[\w-]+(?:\.[\w-]+)*"
    r"|(?:[\w-]+\s*(?:\.|\[\.\]|\(\.\)|\(dot\)|\[dot\]))+[^\W\d_]{2,}(?:/\S*)?"
    r"|\S+\s+dot\s+\S+",
    re.IGNORECASE,
)
DIGITS = re.compile(r"\d(?:[\d.,:/\- ()+]*\d)?")
MONEY = re.compile(
    r"[$€£¥₹₿]|\b(?:usd|eur|gbp|cny|rmb|btc|dollars?|euros?|pounds?|yuan|cents?)\b|[元块角]"
)
NUMBER_WORDS = frozenset({
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
    "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand",
    "million", "billion", "dozen", "half", "twice", "thrice", "double", "triple", "quarter",
    "percent", "zero", "free"
})  # fmt: skip
CHINESE_NUMBER = re.compile(
    "[零〇一二两三四五六七八九十百千万亿半]+(?:折|元|块|天|年|月|日|号|小时|分|次|倍|个|点|%)"
)
LATIN_WORD = re.compile(r"[^\W\d_]+")
CAPITALISED = re.compile(r"\b[^\W\d_a-z][\w'’-]*")
FILLERS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "because", "been", "but", "by", "can", "could",
    "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if",
    "in", "into", "is", "it", "its", "may", "might", "more", "most", "must", "no", "not", "of",
    "on", "or", "our", "out", "she", "should", "so", "some", "such", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "us", "was",
    "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "yes",
    "you", "your", "according", "also", "based", "here", "just", "please", "provided", "text",
    "document", "passage", "information"
})  # fmt: skip


@dataclass(frozen=True)
class CheckedSentence:
    """A sentence without its marks, and the passages it cites, from 0. `problem` is empty where it
    may be said."""

    text: str
    cited: tuple[int, ...]
    problem: str = ""


def split_sentences(text: str) -> list[str]:
    """With the citations that follow each."""
    return [part.strip() for part in SENTENCE.findall(text) if part.strip()]


def iter_sentences(pieces: Iterable[str]) -> Iterator[str]:
    """The same of a text that comes in pieces: each sentence as soon as its end is certain."""
    text = ""
    for piece in pieces:
        text += piece
        certain = list(SENTENCE.finditer(text))[:-1]  # The last may go on.
        while certain and BEGUN_CITATION.fullmatch(text[certain[-1].end() :].strip()):
            certain.pop()  # It may yet cite.
        yield from (part[0].strip() for part in certain if part[0].strip())
        text = text[certain[-1].end() :] if certain else text
    yield from split_sentences(text)


def check_sentence(sentence: str, passages: Sequence[str]) -> CheckedSentence:
    """`passages`: what the numbers in brackets name, from 1."""
    clean = INVISIBLE.sub("", unicodedata.normalize("NFKC", sentence))
    cited = tuple(sorted({int(number) - 1 for number in CITATION.findall(clean)}))
    text = UNCITED.sub("", INVISIBLE.sub("", sentence)).strip()
    if not cited:
        return CheckedSentence(text, cited, "it cites nothing")
    if any(number not in range(len(passages)) for number in cited):
        return CheckedSentence(text, cited, "it cites a passage that was not given")
    source = unicodedata.normalize("NFKC", " ".join(passages[number] for number in cited))
    return CheckedSentence(text, cited, find_problem(CITATION.sub("", clean), source))


def find_problem(text: str, source: str) -> str:
    """What the text says that the source does not; empty where there is nothing."""
    lowered = INVISIBLE.sub("", source).casefold()
    if invented := next(_invented_facts(text, lowered), ""):
        return f"{invented!r} is not in the passage"
    known = set(split_terms(lowered))
    terms = [term for term in set(split_terms(text)) if term not in FILLERS and len(term) > 1]
    shared = sum(_is_known(term, known) for term in terms)
    if not terms or shared / len(terms) < MIN_SHARED:
        return "most of it is not in the passage"
    return ""


def _invented_facts(text: str, source: str) -> Iterator[str]:
    """Addresses, numbers, prices and names of the text that the folded source lacks."""
    folded = text.casefold()
    yield from (
        link for link in LINK.findall(text) if link.casefold().rstrip(".,;:!?)") not in source
    )
    numbers = {_digits(number) for number in DIGITS.findall(source)}
    yield from (number for number in DIGITS.findall(text) if _digits(number) not in numbers)
    yield from (mark for mark in MONEY.findall(folded) if mark not in source)
    yield from (number for number in CHINESE_NUMBER.findall(text) if number not in source)
    words = set(LATIN_WORD.findall(source))
    yield from sorted(set(LATIN_WORD.findall(folded)) & NUMBER_WORDS - words)
    yield from (name for name in _names(text) if name.casefold() not in source)


def _digits(number: str) -> str:
    """Without what groups digits; a decimal point stays."""
    joined = re.sub(r"[^\d.,]", "", number)
    is_grouped = re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+|[\d.,]+[.,][\d.,]*[.,][\d.,]+", joined)
    return re.sub(r"[.,]", "", joined) if is_grouped else joined.replace(",", ".")


def _names(text: str) -> list[str]:
    """Capitalised words that do not merely begin the sentence."""
    words = list(CAPITALISED.finditer(text))
    names = []
    for place, word in enumerate(words):
        begins = not re.search(r"\w", text[: word.start()])
        goes_on = place + 1 < len(words) and text[word.end() : words[place + 1].start()] == " "
        is_name = not begins or goes_on
        if is_name and word[0].casefold() not in FILLERS:
            names.append(word[0])
    return names


def _is_known(term: str, known: set[str]) -> bool:
    """Whether the source has the term or, of Latin words, another ending of it."""
    if term in known:
        return True
    if len(term) < 5 or re.search(f"[{CJK}]", term):
        return False
    return any(word[:5] == term[:5] for word in known)
