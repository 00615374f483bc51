"""Numbers as people write measurements: fractions such as 3 1/4, limits such as <0.5, >100 and 10+,
powers such as 1.5×10^3, values with their error, and places such as 2nd and 第3名."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from projects.reading.columns.number_formats import FORMATS, SPACES, CellShape, NumberFormat

VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5",
    "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
_ANY_VULGAR = "".join(VULGAR)
_PART = rf"(?:9{{1,4}}[ -]?)?(?:[{_ANY_VULGAR}]|(?<!9)9{{1,3}} ?[/⁄] ?9{{1,3}})"
_FRACTION = re.compile(rf"-?(?:9{{1,6}}(?:[.]9+)?|(?P<part>{_PART}))")
_FRACTION_SQL = "^(-?)(?:([0-9]+) )?([0-9]+)/([0-9]+)$"
_LIMIT = re.compile(rf"(?:(?:[<>≤≥＜＞~≈]|[<>]=)[{SPACES}]*)?(.*9.*?)(?:[{SPACES}]*[+])?")
_LIMIT_SQL = rf"^(?:[<>]=|[<>≤≥＜＞~≈])[{SPACES}]*|[{SPACES}]*[+]$"
_SIGN = re.compile(r"[<>≤≥＜＞~≈]|9[+]$")
# Without a sign of power, 1.5×103 may be a product.
_SUPERSCRIPTS, _SCRIPTED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+"
_TIMES, _RAISED = "[×xX*·⋅]", r"(?:\^|[*][*])"
_EXPONENT = rf"(?:{_RAISED} ?[(]?[-+−]?9{{1,3}}[)]?|[⁻⁺]?[{_SUPERSCRIPTS[:10]}]{{1,3}})"
_MANTISSA, _TEN = "(?P<mantissa>[-+−]?9+(?:[.,]9+)?)", rf"99 ?{_EXPONENT}"
_POWER = re.compile(rf"{_MANTISSA}(?P<times> ?{_TIMES} ?{_TEN})?|(?P<power>{_TEN})")
_RAISED_SQL = rf"10 ?{_RAISED} ?[(]?([-+]?[0-9]+)[)]?$"
_ERROR = r"(?:±|[+]/?[-−])"
_UNCERTAIN = re.compile(
    rf"(?P<value>.*?9)(?P<error>[{SPACES}]*{_ERROR}[{SPACES}]*9+(?:[.,]9+)?%?)?"
)
_ERROR_SQL = rf"[{SPACES}]*{_ERROR}[{SPACES}]*[0-9.,]+%?$"
_ORDINAL = re.compile(r"9{1,6}(?:st|nd|rd|th|er|re|e|ème|[ºª°])|第 ?9{1,6}(?P<counted>\D{0,2})")
_ORDINAL_SQL = "^(?:第 ?([0-9]+)[^0-9]{0,2}|([0-9]+)(?:st|nd|rd|th|er|re|e|ème|[ºª°]))$"


@dataclass(frozen=True)
class FractionFormat(NumberFormat):
    """Fractions beside whole and decimal numbers: 1/2, 3 1/4, 2½."""

    @property
    def name(self) -> str:
        return "1 1/2"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        return _FRACTION.fullmatch(shape.pattern)

    def is_integer(self, shape: CellShape) -> bool:
        return False

    def is_grouped(self, shape: CellShape) -> bool:
        return False

    def to_sql(self, cell: str) -> str:
        text = f"replace(regexp_replace({cell}, '([0-9])-([0-9])', '\\1 \\2'), '⁄', '/')"
        for sign, fraction in VULGAR.items():
            text = f"replace({text}, '{sign}', ' {fraction}')"
        text = f"regexp_replace({text}, ' ?/ ?', '/')"
        text = f"trim(regexp_replace({text}, ' +', ' ', 'g'))"
        whole, top, bottom = (
            f"try_cast(regexp_extract({text}, '{_FRACTION_SQL}', {place}) AS DOUBLE)"
            for place in (2, 3, 4)
        )
        sign = f"CASE WHEN starts_with({text}, '-') THEN -1 ELSE 1 END"
        value = f"{sign} * (coalesce({whole}, 0::DOUBLE) + {top} / nullif({bottom}, 0))"
        return f"coalesce(try_cast({text} AS DOUBLE), {value})"


@dataclass(frozen=True)
class LimitFormat(NumberFormat):
    """Numbers of which some are limits; a limit is read as its number."""

    @property
    def name(self) -> str:
        return f"<{super().name}"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        limit = _LIMIT.fullmatch(shape.pattern)
        return super().match(replace(shape, pattern=limit[1])) if limit else None

    def to_sql(self, cell: str) -> str:
        return super().to_sql(f"regexp_replace({cell}, '{_LIMIT_SQL}', '', 'g')")


@dataclass(frozen=True)
class PowerFormat(NumberFormat):
    """Numbers times a power of ten: 1.5×10^3, 1.5 x 10**3, 1.5·10⁻³; beside them, plain numbers."""

    @property
    def name(self) -> str:
        return f"1{self.decimal}5×10^3"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        match = _POWER.fullmatch(shape.pattern)
        other_mark = "," if self.decimal == "." else "."
        return None if match is None or other_mark in (match["mantissa"] or "") else match

    def is_integer(self, shape: CellShape) -> bool:
        return False

    def is_grouped(self, shape: CellShape) -> bool:
        return False

    def to_sql(self, cell: str) -> str:
        text = f"regexp_replace({cell}, '([{_SUPERSCRIPTS}]+)', '^\\1')"
        text = f"translate({text}, '{_SUPERSCRIPTS}−', '{_SCRIPTED}-')"
        text = f"regexp_replace({text}, ' ?{_TIMES} ?{_RAISED_SQL}', 'e\\1')"
        text = f"regexp_replace({text}, '^{_RAISED_SQL}', '1e\\1')"
        return f"try_cast(replace({text}, '{self.decimal}', '.') AS DOUBLE)"


@dataclass(frozen=True)
class UncertainFormat(NumberFormat):
    """Values with an error behind them, as in 0.5 ± 0.1; the value is read."""

    @property
    def name(self) -> str:
        return f"{super().name} ± 0{self.decimal}1"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        match = _UNCERTAIN.fullmatch(shape.pattern)
        return super().match(replace(shape, pattern=match["value"])) if match else None

    def to_sql(self, cell: str) -> str:
        return super().to_sql(f"regexp_replace({cell}, '{_ERROR_SQL}', '')")


@dataclass(frozen=True)
class OrdinalFormat(NumberFormat):
    """Places in an order: 1st, 2nd, 3º, 第3名."""

    @property
    def name(self) -> str:
        return "1st"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        return _ORDINAL.fullmatch(shape.pattern)

    def is_integer(self, shape: CellShape) -> bool:
        return True

    def is_grouped(self, shape: CellShape) -> bool:
        return False

    def to_sql(self, cell: str) -> str:
        number = f"regexp_replace({cell}, '{_ORDINAL_SQL}', '\\1\\2')"
        return f"CASE WHEN regexp_matches({cell}, '{_ORDINAL_SQL}') THEN {number}::DOUBLE END"


FRACTION, ORDINAL = FractionFormat(), OrdinalFormat()
POWERS = (PowerFormat("."), PowerFormat(","))
UNCERTAIN = tuple(UncertainFormat(each.decimal, each.group) for each in FORMATS)
LIMITS = tuple(LimitFormat(each.decimal, each.group) for each in FORMATS)
BY_NAME = {each.name: each for each in (FRACTION, ORDINAL, *LIMITS, *POWERS, *UNCERTAIN)}


def is_fraction(shape: CellShape) -> bool:
    match = FRACTION.match(shape)
    return match is not None and match["part"] is not None


def is_limit(shape: CellShape) -> bool:
    return _SIGN.search(shape.pattern) is not None


def has_power(shape: CellShape) -> bool:
    match = _POWER.fullmatch(shape.pattern)
    return match is not None and (match["times"] or match["power"]) is not None


def has_error(shape: CellShape) -> bool:
    match = _UNCERTAIN.fullmatch(shape.pattern)
    return match is not None and match["error"] is not None


def counted_things(shapes: Sequence[CellShape]) -> set[str]:
    """What 第3名 and its like count: 名. Two of them are two kinds of things."""
    matches = [_ORDINAL.fullmatch(shape.pattern) for shape in shapes]
    return {(match["counted"] or "").strip() for match in matches if match}
