"""How people write numbers: decimal mark, grouping of thousands, currency, percent, sign.

A column is judged as a whole, by the shapes of its cells: every digit becomes 9, so "1,150.00" has
the shape "9,999.99". A column of a million numbers has a few dozen shapes, and whether a format
explains all of them is decided in Python, not cell by cell.

Grouping follows CLDR: threes, or the Indian "12,34,567". A format explains a column only when it
explains every cell; where two explain it and mean different numbers, the caller decides by the
rest of the file or asks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from projects.reading.columns.precision import MAX_DIGITS

SPACES = " \u00a0\u202f\u2009\u2007"
APOSTROPHES = "'\u2019\u02bc"
MINUS_SIGNS = "-\u2212\u2013"
PHONE_DIGITS = 8  # "+" and this many digits without a mark is a telephone number.

_CURRENCY_SIGNS = (
    "$\u20ac\u00a3\u00a5\uffe5\u20b9\u20a9\u20bd\u20ba\u20aa\u0e3f\u20ab\u20a6\u20b1"
    "\u20b4\u20b8\u20bc\u20be"
)
_CURRENCY_CODES = (
    "USD|EUR|GBP|JPY|CNY|RMB|CHF|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RUB|INR|KRW|BRL|MXN|ZAR|TRY"
    "|SGD|HKD|TWD|THB|IDR|VND|AED|SAR|ILS|UAH|RON|BGN|Kč|zł|kr[.]?|Rp[.]?|lei|грн[.]?|Fr[.]|SFr[.]|R[$]|Rs[.]|руб[.]|元|円|원|บาท"
)
UNIT = f"(?:US|A|C|NZ|HK|S|NT|MX|AR|CL|CO)?[{_CURRENCY_SIGNS}]|{_CURRENCY_CODES}|%|\uff05"


@dataclass(frozen=True)
class CellShape:
    """Cells that look alike: every digit is 9.

    `starts_with_zero`: the first of several digits is 0, as in 007 and 0.5. `ends_with_zero`: so
    does the last digit, as in 3.10.
    """

    pattern: str
    starts_with_zero: bool
    ends_with_zero: bool
    count: int
    example: str

    @property
    def digits(self) -> int:
        return self.pattern.count("9")

    @property
    def is_code(self) -> bool:
        """Digits that are not a quantity: 007, a telephone number, a long id, or 2E5.

        Programs write powers of ten with a sign or a point (2e+05, 1.5e5); people write 2E5 on a
        shelf or a fault code.
        """
        if self.has_exponent:
            return True
        if not re.fullmatch(r"[+-]?9+", self.pattern):
            return False
        is_phone = self.pattern.startswith("+") and self.digits >= PHONE_DIGITS
        return (self.starts_with_zero and self.digits > 1) or is_phone or self.digits > MAX_DIGITS

    @property
    def has_exponent(self) -> bool:
        """Whole digits with a bare power of ten, as in 2E5."""
        return re.fullmatch(r"9+[eE]9+", self.pattern) is not None

    @property
    def unit(self) -> str:
        """The currency or percent sign beside the digits, or ""."""
        match = re.search(UNIT, self.pattern)
        return match[0] if match else ""


@dataclass(frozen=True)
class NumberFormat:
    """A decimal mark and a mark between groups of digits, "" when digits are not grouped; and the
    unit that stands behind every number, such as kg."""

    decimal: str = "."
    group: str = ""
    unit: str = ""

    @property
    def name(self) -> str:
        """An example that shows the format, as in "1.234,5"."""
        return f"{self.marks}{f' {self.unit}' if self.unit else ''}"

    @property
    def marks(self) -> str:
        """1234.5 in the format, without a unit."""
        return f"1{self.group}234{self.decimal}5"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        """The parts of the number, if cells of this shape are numbers in this format."""
        pattern = shape.pattern
        if self.unit:
            bare = pattern.removesuffix(self.unit)
            pattern = bare if bare != pattern else ""
        match = _grammar(replace(self, unit="") if self.unit else self).fullmatch(pattern)
        if match is None or not shape.starts_with_zero:
            return match
        # No number begins with a group of zero (0,950) or with a zero before digits (01.5).
        return match if len(match["whole"] or "9") == 1 else None

    def is_grouped(self, shape: CellShape) -> bool:
        """Whether the grouping mark stands in cells of this shape."""
        match = self.match(shape)
        return match is not None and not (match["whole"] or "9").isdigit()

    def is_in_brackets(self, shape: CellShape) -> bool:
        """Whether cells of this shape are losses as accountants write them, as in (1,200)."""
        match = self.match(shape)
        return match is not None and match["bracket"] is not None

    def is_integer(self, shape: CellShape) -> bool:
        """Whether cells of this shape are whole numbers in this format."""
        match = self.match(shape)
        return match is not None and not (match["fraction"] or match["exponent"])

    def to_sql(self, cell: str) -> str:
        """SQL that makes DOUBLE of a text expression; NULL where the format does not apply."""
        if self.unit:
            # A unit behind the number only: what has none does not fit.
            unit, length = _quoted(self.unit), len(self.unit)
            cell = f"CASE WHEN ends_with({cell}, '{unit}') THEN left({cell}, -{length}) END"
        digits = f"regexp_replace({cell}, '{_quoted(UNIT)}|[{SPACES}]', '', 'g')"
        if self.group.strip():
            marks = _quoted(_group_marks(self.group))
            digits = f"regexp_replace({digits}, '[{marks}]', '', 'g')"
        if self.decimal != ".":
            digits = f"replace({digits}, '{self.decimal}', '.')"
        digits = f"regexp_replace({digits}, '[{MINUS_SIGNS}]', '-', 'g')"
        # Accountants write a loss as (1,200) or 1,200-.
        digits = rf"regexp_replace({digits}, '^\((.*)\)$|^([0-9.].*)-$', '-\1\2')"
        return f"try_cast(nullif({digits}, '') AS DOUBLE)"


@dataclass(frozen=True)
class ScaledFormat(NumberFormat):
    """Numbers in short, as in 1.5K and 3 Mio.: the word behind them says the power of ten."""

    @property
    def name(self) -> str:
        return f"{self.marks}K{f' {self.unit}' if self.unit else ''}"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        pattern = shape.pattern.removesuffix(self.unit)
        if self.unit and pattern == shape.pattern:
            return None
        bare = replace(shape, pattern=_without_scale(pattern.rstrip(SPACES)))
        return FORMATS_BY_MARKS[self.marks].match(bare)

    def to_sql(self, cell: str) -> str:
        if self.unit:
            bare = replace(self, unit="").to_sql(f"left({cell}, -{len(self.unit)})")
            return f"CASE WHEN ends_with({cell}, '{_quoted(self.unit)}') THEN {bare} END"
        short = f"regexp_replace({cell}, '{_quoted(UNIT)}|[{SPACES}]', '', 'g')"
        for power in sorted(set(SCALES.values())):
            words = "|".join(word for word, its_power in SCALES.items() if its_power == power)
            ending = rf"([0-9])(?:{words})[.]?(\)?)$"
            short = rf"regexp_replace({short}, '{ending}', '\1e{power}\2', 'i')"
        return super().to_sql(short)


@dataclass(frozen=True)
class SignedFormat(NumberFormat):
    """Amounts with DR or CR behind them, of which those that `negative` names are below zero."""

    negative: str = "DR"

    @property
    def name(self) -> str:
        return f"{super().name} -{self.negative}"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        amount = SIDE_BEHIND.fullmatch(shape.pattern)
        return super().match(replace(shape, pattern=amount[1]) if amount else shape)

    def to_sql(self, cell: str) -> str:
        words = "|".join(SIDES[self.negative])
        amount = super().to_sql(f"regexp_replace({cell}, '{_SIDE_SQL}', '', 'i')")
        is_below = rf"regexp_matches({cell}, '[0-9][{SPACES}]*(?:{words})[.]?$', 'i')"
        return f"CASE WHEN {is_below} THEN -1 ELSE 1 END * ({amount})"


@dataclass(frozen=True)
class DurationFormat(NumberFormat):
    """Spans of time as seconds: `shown` is h:mm:ss, which may have days before it and leave out
    the hours, or h:mm."""

    shown: str = "h:mm:ss"

    @property
    def name(self) -> str:
        return self.shown

    def match(self, shape: CellShape) -> re.Match[str] | None:
        return DURATION_SHAPE.fullmatch(shape.pattern)

    def is_integer(self, shape: CellShape) -> bool:
        return self.match(shape) is not None and "." not in shape.pattern

    def to_sql(self, cell: str) -> str:
        days, hours, minutes, seconds = (
            f"coalesce(try_cast(regexp_extract({cell}, '{_DURATION_SQL}', {place}) AS DOUBLE), 0)"
            for place in range(1, 5)
        )
        has_days, has_hours = (
            f"regexp_extract({cell}, '{_DURATION_SQL}', {place}) <> ''" for place in (1, 2)
        )
        fits = f"regexp_matches({cell}, '{_DURATION_SQL}') AND {seconds} < 60"
        if self.shown == "h:mm":
            fits += f" AND NOT ({has_days} OR {has_hours})"
            within = f"{minutes} * 3600 + {seconds} * 60"
        else:
            fits += f" AND (NOT {has_hours} OR {minutes} < 60)"
            within = f"{hours} * 3600 + {minutes} * 60 + {seconds}"
        # "-1 days +23:00:00" is an hour before; "-0:30" is half a minute.
        sign = f"CASE WHEN starts_with({cell}, '-') THEN -1 ELSE 1 END"
        whole = (
            f"CASE WHEN {has_days} THEN {sign} * {days} * 86400 + {within}"
            f" ELSE {sign} * ({within}) END"
        )
        return f"CASE WHEN {fits} THEN {whole} END"


@dataclass(frozen=True)
class IsoDurationFormat(DurationFormat):
    """Spans of time as ISO 8601 writes them, PT1H30M, without years and months."""

    shown: str = "PT1H30M"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        return re.fullmatch(_ISO_DURATION, shape.pattern) if len(shape.pattern) > 2 else None

    def to_sql(self, cell: str) -> str:
        days, hours, minutes, seconds = (
            f"coalesce(try_cast(regexp_extract({cell}, '{_ISO_DURATION}', {place}) AS DOUBLE), 0)"
            for place in range(1, 5)
        )
        whole = f"{days} * 86400 + {hours} * 3600 + {minutes} * 60 + {seconds}"
        fits = f"regexp_full_match({cell}, '{_ISO_DURATION}') AND length({cell}) > 2"
        return f"CASE WHEN {fits} THEN {whole} END"


# Words behind a number for a power of ten, in lower case and without a point.
_SCALES = {
    3: ("k", "thousand", "tsd", "tausend", "tys", "тыс", "千", "천",),
    4: ("万", "萬", "만",),
    5: ("lakh", "lakhs", "lac", "lacs",),
    6: (
        "m", "mn", "mm", "mio", "mill", "mln", "million", "millions", "millionen",
        "millones", "milhões", "млн", "百万", "百萬",
    ),
    7: ("cr", "crore", "crores", "千万", "千萬",),
    8: ("亿", "億", "억",),
    9: (
        "b", "bn", "mrd", "mld", "md", "mds", "billion", "billions", "milliarden",
        "milliards", "млрд",
    ),
    12: ("t", "tn", "trillion", "trillions", "万亿", "兆",),
}  # fmt: skip
SCALES = {word: power for power, words in _SCALES.items() for word in words}
_SCALE = "|".join(sorted(SCALES, key=len, reverse=True))
SCALE_BEHIND = re.compile(rf"(.*9)[{SPACES}]*({_SCALE})[.]?(\)?)", re.IGNORECASE)
WORD_BEHIND = re.compile(
    rf".*9[{SPACES}]*(?P<scale>{_SCALE})?[.]?(?:[{SPACES}]+|(?=[\u3040-\u9fff\uac00-\ud7a3]))"
    r"(?P<word>[^\W\d_][^\d]{0,24})",
    re.IGNORECASE,
)
SIDES = {"DR": ("dr", "db", "debit", "soll", "s"), "CR": ("cr", "credit", "haben", "h")}
_SIDE = "|".join(word for words in SIDES.values() for word in words)
_SIDE_SQL = rf"[{SPACES}]*(?:{_SIDE})[.]?$"
SIDE_BEHIND = re.compile(rf"(.*9)[{SPACES}]*({_SIDE})[.]?", re.IGNORECASE)
DURATION_SHAPE = re.compile(r"[-+]?(9+ days?,? [+]?)?(9{1,3}:)?9{1,3}:99([.]9{1,9})?")
_DURATION_SQL = r"^[-+]?(?:([0-9]+) days?,? [+]?)?(?:([0-9]+):)?([0-9]+):([0-9]{2}(?:[.][0-9]+)?)$"
_ISO_DURATION = "P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:[.][0-9]+)?)S)?)?"
PLAIN = NumberFormat(".", "")
# In the order of preference where several explain a column and mean the same numbers.
FORMATS = (
    PLAIN,
    NumberFormat(",", ""),
    NumberFormat(".", ","),
    NumberFormat(",", "."),
    NumberFormat(",", " "),
    NumberFormat(".", " "),
    NumberFormat(".", "'"),
    NumberFormat(",", "'"),
)
FORMATS_BY_MARKS = {each.marks: each for each in FORMATS}
SCALED = tuple(ScaledFormat(each.decimal, each.group) for each in FORMATS)


def signed_formats(negative: str) -> list[SignedFormat]:
    """The formats in which amounts of this side, DR or CR, are below zero."""
    return [SignedFormat(each.decimal, each.group, negative=negative) for each in FORMATS]


SIGNED = tuple(each for side in SIDES for each in signed_formats(side))
ISO_DURATION = IsoDurationFormat()
DURATIONS = (DurationFormat(), DurationFormat(shown="h:mm"), ISO_DURATION)
BY_NAME = {each.name: each for each in (*FORMATS, *SCALED, *SIGNED)}
UNIT_BEHIND = re.compile(r"9[ \u00a0\u202f]?([^\W\d_]{1,10}[²³]?|[°℃℉]\s?[CF]?|[㎡㎏㎝㎞])")


def format_named(name: str) -> NumberFormat | None:
    """The format whose name this is, with its unit; None when there is none."""
    if name in BY_NAME:
        return BY_NAME[name]
    for example in sorted(BY_NAME, key=len, reverse=True):
        if name.startswith(f"{example} "):
            return replace(BY_NAME[example], unit=name.removeprefix(f"{example} "))
    return None


def unit_behind(shapes: list[CellShape]) -> str:
    """The letters that stand behind the last digit of every cell, the same in all; else ""."""
    units = set()
    for shape in shapes:
        last = shape.pattern.rfind("9")
        match = UNIT_BEHIND.fullmatch(shape.pattern[last:]) if last >= 0 else None
        units.add(match[1] if match else "")
    unit = units.pop() if len(units) == 1 else ""
    return "" if not unit or re.fullmatch(UNIT, unit) else unit


def word_behind_scales(shapes: list[CellShape]) -> str:
    """The word behind every number, some of them in short, as in 1.5M views; else ""."""
    matches = [WORD_BEHIND.fullmatch(shape.pattern) for shape in shapes]
    words = {match["word"] if match else "" for match in matches}
    has_scale = any(match and match["scale"] for match in matches)
    return words.pop() if len(words) == 1 and has_scale else ""


def fitting_formats(
    shapes: list[CellShape], candidates: Sequence[NumberFormat] = FORMATS
) -> list[NumberFormat]:
    """The formats in which every one of these cells is a number."""
    return [candidate for candidate in candidates if all(map(candidate.match, shapes))]


@lru_cache
def _grammar(number_format: NumberFormat) -> re.Pattern[str]:
    decimal, whole = re.escape(number_format.decimal), "9+"
    if number_format.group:
        mark = f"[{re.escape(_group_marks(number_format.group))}]"
        whole = rf"9{{1,3}}(?:{mark}999)+|9+"
        if number_format.group == ",":
            whole = rf"9{{1,2}}(?:{mark}99)+{mark}999|{whole}"
    exponent = r"(?P<exponent>[eE][+-]?9{1,3})?"
    number = rf"(?:(?P<whole>{whole})(?P<fraction>{decimal}9*)?|{decimal}9+){exponent}"
    sign = f"[{MINUS_SIGNS}+]"  # The hyphen comes first: it stands for itself there.
    blank, unit = f"[{SPACES}]*", f"(?:{UNIT})?"
    signed = f"(?:{sign}{blank}{unit}{blank}|{unit}{blank}{sign}?)"
    # A minus stands behind digits only: "12,-" is an amount without cents.
    plain = rf"{signed}{number}{blank}{unit}(?:(?<=[9{SPACES}€$£¥])-)?"
    # A bracket that opens closes: "1)" is the number of an item in a list.
    return re.compile(rf"(?:(?:{UNIT}){blank}(?=\())?(?P<bracket>\()?{plain}(?(bracket)\)|)")


def _without_scale(pattern: str) -> str:
    bare = re.sub(UNIT, "", pattern).strip(SPACES)
    match = SCALE_BEHIND.fullmatch(bare)
    return f"{match[1]}{match[3]}" if match else pattern


def is_number(shape: CellShape) -> bool:
    """Whether cells of this shape are numbers or spans of time in any format."""
    formats: list[NumberFormat] = [*FORMATS, *DURATIONS[:1]]
    if scale_word(shape):
        formats += SCALED
    if side_behind(shape):
        formats += SIGNED
    return any(each.match(shape) for each in formats)


def scale_word(shape: CellShape) -> str:
    """The word for a power of ten behind the number, in lower case; "" where there is none."""
    match = SCALE_BEHIND.fullmatch(re.sub(UNIT, "", shape.pattern).strip(SPACES))
    return match[2].casefold() if match else ""


def side_behind(shape: CellShape) -> str:
    """DR or CR where a word for debit or credit stands behind the amount; else ""."""
    match = SIDE_BEHIND.fullmatch(shape.pattern)
    word = match[2].casefold() if match else ""
    return next((side for side, words in SIDES.items() if word in words), "")


def _group_marks(group: str) -> str:
    return {" ": SPACES, "'": APOSTROPHES}.get(group, group)


def _quoted(text: str) -> str:
    return text.replace("'", "''")
