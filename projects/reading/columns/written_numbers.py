"""Numbers as people write measurements: fractions such as 3 1/4, and limits such as <0.5, >100 and
10+, of which only one side is known."""

import re
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


FRACTION = FractionFormat()
LIMITS = tuple(LimitFormat(each.decimal, each.group) for each in FORMATS)
BY_NAME = {each.name: each for each in (FRACTION, *LIMITS)}


def is_fraction(shape: CellShape) -> bool:
    match = FRACTION.match(shape)
    return match is not None and match["part"] is not None


def is_limit(shape: CellShape) -> bool:
    return _SIGN.search(shape.pattern) is not None
