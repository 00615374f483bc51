"""Masks what points to a person before anything is stored or sent: projects' kinds, and Chinese
mobile numbers and identity numbers, which are written without separators."""

import re
from collections.abc import Iterator

from projects.reading import personal_data

# GB 11643-1999: region, date of birth, sequence, check character (ISO 7064, MOD 11-2).
CHINESE_ID = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{5}(?:19|20)\d{9}[\dXx](?![0-9A-Za-z])")
CHINESE_MOBILE = re.compile(r"(?<![0-9A-Za-z])(?:\+?86[ -]?)?1[3-9]\d{9}(?![0-9A-Za-z])")
_FACTORS = [2**place % 11 for place in range(17, 0, -1)]
_CHECK_CHARACTERS = "10X98765432"


def mask(text: str) -> str:
    """The text with each match replaced by its kind: <e-mail>, <card>, <phone>, <id>, …"""
    text = CHINESE_ID.sub(lambda match: "<id>" if is_chinese_id(match[0]) else match[0], text)
    text = CHINESE_MOBILE.sub("<phone>", text)
    return personal_data.mask(text)


def find_personal(text: str) -> Iterator[tuple[str, str]]:
    """(kind, part) of what would be masked, but for identity numbers; in no order."""
    for mobile in CHINESE_MOBILE.finditer(text):
        yield "phone", mobile[0]
    for match in personal_data.find_matches(text):
        yield match.kind, text[match.start : match.end]


def is_chinese_id(text: str) -> bool:
    """Whether the last character is the checksum of the first seventeen."""
    total = sum(int(digit) * factor for digit, factor in zip(text[:17], _FACTORS, strict=True))
    return _CHECK_CHARACTERS[total % 11] == text[17].upper()
