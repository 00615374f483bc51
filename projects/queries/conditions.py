"""What rows must be: filters and a search, as SQL."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from projects.errors import BadRowQuery
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
# Letters as in English; last those that letters of other alphabets become in lower case, the Kelvin
# sign and İ of Turkish.
SIGNS_RARE_FIRST = "0123456789qzxjvbpygfwmucldrhsnoateki"
OTHER_CASES = {"k": "\u212a", "i": "\u0130"}
SEARCHED_TYPES = ("text", "json")


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    """What a row's cell must be. `missing` and `filled` take no value."""

    column: str
    operator: Operator
    value: str = ""


def build_condition(
    types: Mapping[str, str], search: str, filters: Sequence[RowFilter]
) -> tuple[str, list[str]]:
    """SQL that holds for the rows wanted, and the values of its parameters."""
    parts, values = [], []
    if search := search.strip():
        looked = [
            _build_contains(quote_identifier(name), search)
            for name, kind in types.items()
            if kind in SEARCHED_TYPES
        ]
        parts.append(f"({' OR '.join(f'({one})' for one, _ in looked) or 'false'})")
        values += [value for _, bound in looked for value in bound]
    for one in filters:
        if one.operator == "contains":
            part, bound = _build_contains(f"{quote_identifier(one.column)}::VARCHAR", one.value)
            parts.append(part)
            values += bound
            continue
        template = OPERATORS[one.operator]
        kind = SQL_TYPES.get(types[one.column], "VARCHAR")
        parts.append(template.format(column=quote_identifier(one.column), type=kind))
        values += [one.value] * template.count("?")
    return " AND ".join(parts), values


def _build_contains(text: str, wanted: str) -> tuple[str, list[str]]:
    """SQL for a text that holds the wanted one in any case, and its parameters.

    Making a text lower case costs many times what looking for two letters does: their rarest pair
    is looked for first, in each case. What is left is read by a pattern where the cases of all
    signs are known.
    """
    exact = f"contains(lower({text}), lower(?))"
    pair = _rarest_pair(wanted.lower())
    if not pair:
        return exact, [wanted]
    cases = [dict.fromkeys(sign + sign.upper() + OTHER_CASES.get(sign, "")) for sign in pair]
    spelled = ["".join(signs) for signs in itertools.product(*cases)]
    quick = " OR ".join([f"contains({text}, ?)"] * len(spelled))
    if wanted.isascii():
        pattern = "".join(map(_spell, wanted))
        matches = f"regexp_matches({text}, ?)"
        return " AND ".join([f"({quick})", matches]), [*spelled, pattern]
    # Most that match are written as the wanted text is.
    full = f"contains({text}, ?) OR " + exact
    return " AND ".join([f"({quick})", f"({full})"]), [*spelled, wanted, wanted]


def _spell(sign: str) -> str:
    """A pattern of the sign in each of its cases."""
    low = sign.lower()
    return f"[{low}{low.upper()}{OTHER_CASES.get(low, '')}]" if sign.isalpha() else re.escape(sign)


def _rarest_pair(wanted: str) -> str:
    """The two signs that rule a text out the soonest; "" without any whose cases are known."""
    pairs = [wanted[place : place + 2] for place in range(len(wanted) - 1)]

    def cost(pair: str) -> int:  # Every place of the first sign is looked at.
        first, second = map(SIGNS_RARE_FIRST.index, pair)
        return 2 * first + second

    known = [pair for pair in pairs if all(sign in SIGNS_RARE_FIRST for sign in pair)]
    return min(known, key=cost, default="")


def parse_filters(sent: object) -> list[RowFilter]:
    """Filters out of JSON: [{"column": …, "operator": …, "value": …}]. Raises BadRowQuery."""
    wrong = BadRowQuery(
        'filters must be a JSON list such as [{"column": "a", "operator": "is", "value": "b"}].',
        param="filters",
    )
    if not isinstance(sent, list):
        raise wrong
    filters = []
    for one in sent:
        if not isinstance(one, Mapping) or not set(one) <= {"column", "operator", "value"}:
            raise wrong
        operator = str(one.get("operator", "is"))
        value = one.get("value", "")
        filters.append(
            RowFilter(
                column=str(one.get("column", "")),
                operator=cast(Operator, operator),
                value=json.dumps(value) if isinstance(value, bool) else str(value),
            )
        )
    return filters
