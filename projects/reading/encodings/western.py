"""Distinguishes Western single-byte encodings by the neighbours of each accented letter.

A byte is a small accented letter in one encoding and a capital, a sign or a control code in
another: 0x8E is é in Mac Roman, Ž in Windows-1252 and a control code in Latin-1. Words decide:
capitals do not follow small letters, signs do not stand within words, and no text holds control
codes.
"""

import unicodedata

QUOTES_AND_DASHES = frozenset("‘’“”„‚«»‹›–—…•€£©®™°§½¼¾²³¡¿ ±×÷·µ")
OPENING, CLOSING = frozenset("“‘„‚«‹¡¿"), frozenset("”’»›…")


def letter_fits(before: str, letter: str, behind: str) -> bool:
    """Whether a character beyond ASCII may stand between these neighbours."""
    return _score_place(before, letter, behind) > 0


def score_reading(text: str) -> float:
    """How well the characters beyond ASCII fit their neighbours: about one point for each."""
    return sum(
        _score_place(text[place - 1 : place], letter, text[place + 1 : place + 2])
        for place, letter in enumerate(text)
        if letter > "\x7f"
    )


def _score_place(before: str, letter: str, behind: str) -> float:
    category = unicodedata.category(letter)
    if category == "Cc" or letter == "\ufffd":
        return -3.0
    if letter in QUOTES_AND_DASHES:
        return _score_mark(before, letter, behind)
    if category == "Ll":
        return _score_small(before, behind)
    return _score_capital(before, letter, behind) if category == "Lu" else -1.0


def _score_small(before: str, behind: str) -> float:
    if (before.islower() and behind.isupper()) or not (before + behind).strip():
        return -1.0
    return 1.0 if before.isalpha() or behind.isalpha() else -0.5


def _score_capital(before: str, letter: str, behind: str) -> float:
    if not (before + behind).strip():
        return 0.5  # A word of one letter, as Greek Η and Russian Я.
    if before.islower() or (behind.isupper() and not before.isupper() and behind != letter):
        return -1.0
    if before.isupper() and behind.islower():
        return -0.5
    return 1.0 if behind.islower() or before.isupper() or behind.isupper() else -1.0


def _score_mark(before: str, letter: str, behind: str) -> float:
    is_within = before.isalpha() and behind.isalpha()
    if letter in OPENING:
        return -0.5 if is_within else (1.0 if behind.isalnum() or not before.strip() else 0.0)
    if letter in CLOSING:
        return 1.0 if before.strip() or letter == "…" else 0.0
    return -0.5 if is_within and letter not in "–—" else 1.0
