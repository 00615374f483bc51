"""Text of two or four bytes a letter (UTF-16, UTF-32) that lacks its byte order mark.

Text of one byte a letter holds no zeros; here every line break has one. Each order of the bytes is
tried: in a wrong one the letters of one script are scattered over all of them, and line breaks are
signs without a meaning.
"""

import re
import unicodedata
from collections import Counter

ORDERS = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
MIN_SHARE, CLEAR_SHARE = 0.9, 0.97  # Of characters that belong together.
MIN_LEAD = 0.1  # Over all other orders.
MAX_ASCII_PAIRS = 0.8  # More, and zeros were strewn into text of one byte a letter.
MAX_CONTROL_SHARE = 0.01  # Of such text.
CONTROL_CODES = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1e]")
EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "HALFWIDTH"})
RARE_IDEOGRAPHS = range(0x3400, 0x4E00)
# Quotes, dashes and blanks; signs of East Asia; full-width forms; accents and emoji.
MARKS = (range(0x2010, 0x2070), range(0x3000, 0x3040), range(0xFF00, 0xFFF0))


def detect_wide(start: bytes) -> tuple[str, bool]:
    """The order of bytes that reads as text and whether that is a guess; "" for other text."""
    if b"\0" not in start or _is_narrow(start):
        return "", False
    shares = sorted(((_share(start, order), order) for order in ORDERS), reverse=True)
    (best, order), (second, _) = shares[:2]
    if best < MIN_SHARE or best - second < MIN_LEAD:
        return "", False
    return order, best < CLEAR_SHARE


def _is_narrow(start: bytes) -> bool:
    """Whether this is text of one byte a letter into which a few zeros came."""
    pairs = [start[place : place + 2] for place in range(0, len(start) - 1, 2)]
    printed = sum(pair.isascii() and pair.decode().isprintable() for pair in pairs)
    if printed > MAX_ASCII_PAIRS * len(pairs):
        return True
    bare = start.replace(b"\0", b"")
    if 2 * len(bare) < len(start) or not _is_utf8(bare):
        return False
    return len(CONTROL_CODES.findall(bare)) <= MAX_CONTROL_SHARE * len(bare)


def _is_utf8(sample: bytes) -> bool:
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(sample) - 3  # The last letter was cut.
    return True


def _share(start: bytes, order: str) -> float:
    """The share of characters of one family of scripts, with Latin and signs; 0 where a character
    is none, or there is no line."""
    size = 4 if "32" in order else 2
    whole = start[: len(start) - len(start) % size]
    try:
        text = whole.decode(order)
    except UnicodeDecodeError as error:
        if error.start < len(whole) - 4:  # Else the last pair was cut.
            return 0.0
        text = whole[: error.start].decode(order)
    if not ("\n" in text or "\r" in text):
        return 0.0
    families = Counter(map(_family, text))
    common = families.pop("common", 0)
    families.pop("odd", 0)
    return (common + max(families.values(), default=0)) / len(text)


def _family(letter: str) -> str:
    code = ord(letter)
    if letter in "\t\r\n\ufeff" or 0x20 <= code < 0x7F or any(code in marks for marks in MARKS):
        return "common"
    category = unicodedata.category(letter)
    if category[0] == "C" or code in RARE_IDEOGRAPHS:
        return "odd"
    if category == "So" and code > 0xFFFF:
        return "common"
    script = unicodedata.name(letter, "odd").split(" ")[0].split("-")[0]
    if script == "LATIN":
        return "common"
    return "east" if script in EAST_ASIAN else script
