"""Tells Western single-byte encodings apart by the places in which their letters stand.

A byte is a small accented letter in one encoding and a capital, a sign or a control code in
another: 0x8E is é in Mac Roman, Ž in Windows-1252 and a control code in Latin-1. Words decide:
capitals do not follow small letters, signs do not stand within words, and no text holds control
codes.
"""

import re
import unicodedata

QUOTES_AND_DASHES = frozenset("‘’“”„‚«»‹›–—…•€£©®™°§½¼¾²³¡¿ ")
OPENING, CLOSING = frozenset("“‘„‚«‹¡¿"), frozenset("”’»›…")
CLEAR_LEAD = 0.2  # Points for each foreign character by which a reading must be better.


def is_mac_roman(sample: bytes) -> bool:
    """Whether the sample reads clearly better as Mac Roman than as Windows-1252 or Latin-1."""
    count = len(re.findall(rb"[\x80-\xff]", sample))
    if not count:
        return False
    mac = score_reading(sample.decode("mac_roman"))
    western = score_reading(sample.decode("cp1252", errors="replace"))
    return mac > 0 and mac - western > CLEAR_LEAD * count


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
