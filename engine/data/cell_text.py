"""Parses single cells as people type them: words for missing values, and numbers.

In an upload the whole column shows what "1,234" means. A request has only one cell, so that a
number with two possible meanings is refused.
"""

import re

# What people write in place of a missing value, in uploads as well.
MISSING_MARKERS = (
    "na", "n/a", "nan", "null", "none", "-", "?", "#n/a", "nil", "--", ".",
    "<na>", "nat",  # Of pandas.
    # Of spreadsheets, where a formula has no result.
    "#div/0!", "#ref!", "#value!", "#num!", "#null!", "#name?", "#error!",
)  # fmt: skip
_UNITS = re.compile(r"US[$]|[$€£¥￥₹₩₽₺₪฿₫₦₱%％]|\b[A-Z]{3}\b|[\s\u00a0\u202f\u2009'’]")
_GROUPED = {
    ".": re.compile(r"[+-]?\d{1,3}(,\d{2,3})+\.\d*"),
    ",": re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d*"),
}
_MILLIONS = {
    ",": re.compile(r"[+-]?\d{1,3}(,\d{3}){2,}"),
    ".": re.compile(r"[+-]?\d{1,3}(\.\d{3}){2,}"),
}
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,(\d{1,2}|\d{4,})")


def is_missing_marker(text: str) -> bool:
    return text.strip().casefold() in MISSING_MARKERS


def parse_number_text(text: str) -> float:
    """The number with its sign, without currency, percent sign and grouping marks.

    Raises ValueError for any other text, and for a single comma before three digits, which may be a
    decimal mark or a grouping mark.
    """
    try:
        if "_" not in text:  # float() would accept 1_000.
            return float(text)
    except ValueError:
        pass
    digits = _UNITS.sub("", text).replace("\u2212", "-")
    if _GROUPED["."].fullmatch(digits) or _MILLIONS[","].fullmatch(digits):
        digits = digits.replace(",", "")
    elif _GROUPED[","].fullmatch(digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif _MILLIONS["."].fullmatch(digits):
        digits = digits.replace(".", "")
    elif _DECIMAL_COMMA.fullmatch(digits):
        digits = digits.replace(",", ".")
    if "_" in digits:
        raise ValueError(text)
    return float(digits)
