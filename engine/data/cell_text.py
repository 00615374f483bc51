"""Parses single cells as people type them: words for missing values, and numbers.

In an upload the whole column shows what "1,234" means. A request has only one cell: it is read as
its column was written, where the table says so. Else a number with two possible meanings is
refused.
"""

import re
from functools import cache

# Of a table's Parquet metadata: JSON of columns whose numbers were not written as 1234.5, with the
# number 1234.5 as they write it, such as {"price": "1.234,5"}.
NUMBER_FORMATS_KEY = "lathe_number_formats"

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


def parse_number_text(text: str, number_format: str = "") -> float:
    """The number with its sign, without currency, percent sign and grouping marks.

    `number_format` is 1234.5 as the text's column writes it, such as "1.234,5"; "" if nothing is
    known of it. Raises ValueError for any other text, and for a single comma before three digits in
    a column of which nothing is known: it may be a decimal mark or a grouping mark.
    """
    digits = _UNITS.sub("", text).replace("\u2212", "-")
    if number_format:
        group, decimal = number_format[1].strip("2"), number_format[-2]
        if _written_with(group, decimal).fullmatch(digits):
            return float(digits.replace(group, "").replace(decimal, "."))
    try:
        if "_" not in text:  # float() would accept 1_000.
            return float(text)
    except ValueError:
        pass
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


@cache
def _written_with(group: str, decimal: str) -> re.Pattern[str]:
    """What numbers look like with these marks; 12,34,567 groups as in India."""
    group, decimal = re.escape(group), re.escape(decimal)
    grouped = rf"\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}|" if group else ""
    return re.compile(rf"[+-]?(?:(?:{grouped}\d+)(?:{decimal}\d*)?|{decimal}\d+)")
