"""A search and filters of rows, as conditions in SQL."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from projects.reading.columns.sql import quote_identifier

Operator = Literal["is", "is_not", "contains", "less", "more", "missing", "filled"]
OPERATORS: dict[Operator, str] = {
    "is": "{column}::VARCHAR = ?",
    "is_not": "{column}::VARCHAR IS DISTINCT FROM ?",
    "contains": "",  # See _build_contains.
    "less": "{column} < CAST(? AS {type})",
    "more": "{column} > CAST(? AS {type})",
    "missing": "{column} IS NULL",
    "filled": "{column} IS NOT NULL",
}
SQL_TYPES = {
    "integer": "DOUBLE", "number": "DOUBLE", "date": "DATE", "datetime": "TIMESTAMP",
    "boolean": "BOOLEAN",
}  # fmt: skip
# Digits, then letters by how rare they are in English. "k" and "i" are last, since each has another
# upper case: the Kelvin sign, and the Turkish İ.
SIGNS_RARE_FIRST = "0123456789qzxjvbpygfwmucldrhsnoateki"
OTHER_CASES = {"k": "\u212a", "i": "\u0130"}
SEARCHED_TYPES = ("text", "json")


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    """A condition on a row's cell in this column. `missing` and `filled` take no value."""

    column: str
    operator: Operator
    value: str = ""


def build_condition(
    types: Mapping[str, str], search: str, filters: Sequence[RowFilter]
) -> tuple[str, list[str]]:
    """An SQL condition that is true for the rows that the search and all filters match ("" without
    any), and the values of its parameters. `types` are those of the columns by name."""
    parts, values = [], []
    if search := search.strip():
        searches = [
            _build_contains(quote_identifier(name), search)
            for name, kind in types.items()
            if kind in SEARCHED_TYPES
        ]
        parts.append(f"({' OR '.join(f'({condition})' for condition, _ in searches) or 'false'})")
        values += [value for _, bound in searches for value in bound]
    for row_filter in filters:
        if row_filter.operator == "contains":
            part, bound = _build_contains(
                f"{quote_identifier(row_filter.column)}::VARCHAR", row_filter.value
            )
            parts.append(part)
            values += bound
            continue
        template = OPERATORS[row_filter.operator]
        kind = SQL_TYPES.get(types[row_filter.column], "VARCHAR")
        parts.append(template.format(column=quote_identifier(row_filter.column), type=kind))
        values += [row_filter.value] * template.count("?")
    return " AND ".join(parts), values


def _build_contains(text: str, needle: str) -> tuple[str, list[str]]:
    """SQL that is true where the SQL expression `text` contains `needle` in any case, and its
    parameters.

    Making a text lower case costs many times what searching it for two letters does. So the rarest
    pair of the needle is searched for first, in each case; the texts that have it are matched with
    a pattern where the needle is ASCII, all cases of which are known, else made lower case.
    """
    exact = f"contains(lower({text}), lower(?))"
    pair = _rarest_pair(needle.lower())
    if not pair:
        return exact, [needle]
    cases = [dict.fromkeys(sign + sign.upper() + OTHER_CASES.get(sign, "")) for sign in pair]
    spelled = ["".join(signs) for signs in itertools.product(*cases)]
    quick = " OR ".join([f"contains({text}, ?)"] * len(spelled))
    if needle.isascii():
        pattern = "".join(map(_spell, needle))
        matches = f"regexp_matches({text}, ?)"
        return " AND ".join([f"({quick})", matches]), [*spelled, pattern]
    # Most texts that match have the needle in the case in which it was typed.
    full = f"contains({text}, ?) OR " + exact
    return " AND ".join([f"({quick})", f"({full})"]), [*spelled, needle, needle]


def _spell(sign: str) -> str:
    """A regular expression of the sign in each of its cases."""
    low = sign.lower()
    return f"[{low}{low.upper()}{OTHER_CASES.get(low, '')}]" if sign.isalpha() else re.escape(sign)


def _rarest_pair(needle: str) -> str:
    """The two adjacent signs of `needle` that are searched for fastest; "" where no two adjacent
    signs are in SIGNS_RARE_FIRST, the signs whose cases are known."""
    pairs = [needle[place : place + 2] for place in range(len(needle) - 1)]

    def cost(pair: str) -> int:  # Twice the first: the search stops at each place that has it.
        first, second = map(SIGNS_RARE_FIRST.index, pair)
        return 2 * first + second

    usable_pairs = [pair for pair in pairs if all(sign in SIGNS_RARE_FIRST for sign in pair)]
    return min(usable_pairs, key=cost, default="")
