"""Edits that findings of the profile offer: each changes or drops rows by what is in them, so that
a list of rows need not be kept."""

import math
from collections.abc import Callable
from typing import TypedDict

import duckdb

from engine.data.splitting import SPLIT_NAMES
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.fixes.conditions import (
    OPERATORS,
    SQL_TYPES,
    RowFilter,
    build_condition,
)
from projects.reading.results import Edit

ROW_NUMBER = "file_row_number"
MATCHING_ROWS = "matching_rows"  # The numbers of the rows that a search and filters match.
SHUFFLED = f"({ROW_NUMBER} * 2654435761) % 4294967296"  # The same draw wherever it is made.
MAX_FILTERS = 20
SPLITS = ("train", "validation", "test")


class EditProblem(ValueError):
    """An edit does not fit the table; the message says why, as a sentence."""


class Change(TypedDict):
    """SQL of one edit: an expression for each column that changes, and a condition for the rows
    that stay."""

    values: dict[str, str]
    rows: str


def same_text(names: list[str]) -> str:
    """SQL that is equal for rows with the same texts, whatever their case and the blanks around."""
    if len(names) == 1:
        return f"lower(trim({_text(names[0])}))"
    # Missing cells count: else (a, missing) would be (missing, a).
    cells = (f"coalesce(trim({_text(name)}), '')" for name in names)
    return f"lower(concat_ws(chr(31), {', '.join(cells)}))"


def nearly_same_text(names: list[str]) -> str:
    """The same, whatever the punctuation and the blanks between words, too."""
    joined = f"concat_ws(' ', {', '.join(map(_text, names))})"
    return f"trim(regexp_replace(lower({joined}), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g'))"


def split_order(column: str) -> str:
    """SQL of the place of a row's split: 0 for training, 1 for validation, 2 for the test; NULL
    for other words."""
    name, places = f"lower(trim({_text(column)}))", []
    for place, split in enumerate(SPLITS):
        words = ", ".join(quote_literal(word) for word, of in SPLIT_NAMES.items() if of == split)
        places.append(f"CASE WHEN {name} IN ({words}) THEN {place} END")
    return f"coalesce({', '.join(places)})"


def check_fix(edit: Edit, types: dict[str, str]) -> None:
    """Raise EditProblem unless one of FIXES has all that it needs."""
    operation = edit["op"]
    for name in edit.get("columns") or []:
        if types.get(name) in (None, "image"):
            raise EditProblem(f"There is no column {name!r} to compare.")
    if operation in COMPARING and not edit.get("columns"):
        raise EditProblem("Name the columns to compare, as columns.")
    if operation in ("clip", "drop_outside"):
        _check_ends(edit, types)
    if operation in MATCHING:
        _check_filters(edit, types)
    if operation in NEEDS and not NEEDS[operation][0](edit):
        raise EditProblem(NEEDS[operation][1])


def _check_ends(edit: Edit, types: dict[str, str]) -> None:
    if types[edit["column"]] not in ("integer", "number"):
        raise EditProblem(f"Column {edit['column']!r} holds no numbers.")
    ends = [edit.get("low"), edit.get("high")]
    known = [end for end in ends if end is not None and math.isfinite(end)]
    if len(known) < len(ends) or known != sorted(known):
        raise EditProblem("Name two ends, low and high, in this order.")


def find_matching(
    connection: duckdb.DuckDBPyConnection, source: str, edit: Edit, types: dict[str, str]
) -> None:
    """Make the table MATCHING_ROWS of the rows that the edit's search and filters match. Raises
    EditProblem for a value that does not fit its column."""
    filters = [_row_filter(entry) for entry in edit.get("filters") or []]
    condition, values = build_condition(types, edit.get("search") or "", filters)
    try:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {MATCHING_ROWS} AS SELECT {ROW_NUMBER} AS row_number"
            f" FROM {source} WHERE {condition or 'true'}",
            values,
        )
    except duckdb.ConversionException:
        raise EditProblem("A filter compares a column with a value of another type.") from None


def _row_filter(entry: dict[str, str]) -> RowFilter:
    return RowFilter(
        column=entry["column"],
        operator=entry["operator"],  # type: ignore[arg-type]  # Checked by _check_filters.
        value=entry.get("value", ""),
    )


def _check_filters(edit: Edit, types: dict[str, str]) -> None:
    filters = edit.get("filters") or []
    if not filters and not (edit.get("search") or "").strip():
        raise EditProblem("Name a search or filters: else every row would be changed.")
    if len(filters) > MAX_FILTERS:
        raise EditProblem(f"At most {MAX_FILTERS} filters are applied.")
    for entry in filters:
        if entry.get("column") not in types:
            raise EditProblem(f"There is no column {entry.get('column')!r} to filter by.")
        if entry.get("operator") not in OPERATORS:
            raise EditProblem(f"Filters know the operators {', '.join(OPERATORS)}.")
        is_ordered = types[entry["column"]] in SQL_TYPES
        if entry["operator"] in ("less", "more") and not is_ordered:
            raise EditProblem(f"Column {entry['column']!r} has no order to filter by.")


def _text(name: str) -> str:
    return f"{quote_identifier(name)}::VARCHAR"


def _trimmed(name: str) -> str:
    return f"trim({_text(name)})"


def _strip_tags(edit: Edit, types: dict[str, str]) -> Change:
    cell = quote_identifier(edit["column"])
    changed = f"CASE WHEN contains({cell}, '<') THEN strip_tags({cell}) ELSE {cell} END"
    return {"values": {edit["column"]: changed}, "rows": "true"}


def _drop_near_duplicates(edit: Edit, types: dict[str, str]) -> Change:
    """Drop every row whose texts are nearly those of an earlier one. Texts without any letter or
    digit are not compared."""
    plain = nearly_same_text(edit["columns"])
    first = f"row_number() OVER (PARTITION BY {plain} ORDER BY {ROW_NUMBER}) = 1"
    return {"values": {}, "rows": f"true QUALIFY {first} OR {plain} = ''"}


def _clip(edit: Edit, types: dict[str, str]) -> Change:
    """Bring numbers beyond the ends to the nearest end; what is no number (NaN) stays."""
    name = edit["column"]
    cell, kind = quote_identifier(name), SQL_TYPES_OF_NUMBERS[types[name]]
    low, high = (f"{float(edit[end])!r}::DOUBLE" for end in ("low", "high"))
    rounded = (f"ceil({low})", f"floor({high})") if types[name] == "integer" else (low, high)
    changed = (
        f"CASE WHEN isnan({cell}::DOUBLE) THEN {cell} WHEN {cell} < {low} THEN {rounded[0]}::{kind}"
        f" WHEN {cell} > {high} THEN {rounded[1]}::{kind} ELSE {cell} END"
    )
    return {"values": {name: changed}, "rows": "true"}


def _drop_outside(edit: Edit, types: dict[str, str]) -> Change:
    cell = quote_identifier(edit["column"])
    low, high = (f"{float(edit[end])!r}::DOUBLE" for end in ("low", "high"))
    stays = f"{cell} IS NULL OR isnan({cell}::DOUBLE) OR {cell} BETWEEN {low} AND {high}"
    return {"values": {}, "rows": stays}


def _drop_values(edit: Edit, types: dict[str, str]) -> Change:
    listed = ", ".join(quote_literal(value.strip()) for value in edit["values"])
    cell = _trimmed(edit["column"])
    return {"values": {}, "rows": f"{cell} IS NULL OR {cell} NOT IN ({listed})"}


def _rows_of_value(name: str) -> str:
    return f"count(*) OVER (PARTITION BY {_trimmed(name)})"


def _drop_rare(edit: Edit, types: dict[str, str]) -> Change:
    """Drop the rows of values that fewer than `least` rows have; empty cells are no value."""
    is_common = f"{_rows_of_value(edit['column'])} >= {int(edit['least'])}"
    return {"values": {}, "rows": f"true QUALIFY {is_common} OR {_trimmed(edit['column'])} IS NULL"}


def _merge_rare(edit: Edit, types: dict[str, str]) -> Change:
    name = edit["column"]
    is_rare = f"{_trimmed(name)} <> '' AND {_rows_of_value(name)} < {int(edit['least'])}"
    value, cell = quote_literal(edit["to"].strip()), quote_identifier(name)
    return {"values": {name: f"CASE WHEN {is_rare} THEN {value} ELSE {cell} END"}, "rows": "true"}


def _cap_values(edit: Edit, types: dict[str, str]) -> Change:
    """Keep `most` rows of each value, drawn at random but always the same ones."""
    cell = _trimmed(edit["column"])
    drawn = f"row_number() OVER (PARTITION BY {cell} ORDER BY {SHUFFLED}, {ROW_NUMBER})"
    return {"values": {}, "rows": f"true QUALIFY {drawn} <= {int(edit['most'])} OR {cell} IS NULL"}


def _keep_majority(edit: Edit, types: dict[str, str]) -> Change:
    """Give rows with the same texts the value that most of them have, of equals the first one."""
    name, text = edit["column"], same_text(edit["columns"])
    value, is_text = f"nullif({_trimmed(name)}, '')", f"{text} <> ''"
    most = f"mode({value} ORDER BY {ROW_NUMBER}) OVER (PARTITION BY {text})"
    kind = SQL_TYPES_OF_NUMBERS.get(types[name], "VARCHAR")
    changed = (
        f"CASE WHEN {is_text} AND {value} IS NOT NULL THEN ({most})::{kind}"
        f" ELSE {quote_identifier(name)} END"
    )
    return {"values": {name: changed}, "rows": "true"}


def _drop_conflicts(edit: Edit, types: dict[str, str]) -> Change:
    """Drop all rows whose texts come with more than one value."""
    text, value = same_text(edit["columns"]), f"nullif({_trimmed(edit['column'])}, '')"
    least, greatest = (f"{end}({value}) OVER (PARTITION BY {text})" for end in ("min", "max"))
    agree = f"coalesce({least} = {greatest}, true)"
    return {"values": {}, "rows": f"true QUALIFY {agree} OR {text} = ''"}


def _drop_leaked(edit: Edit, types: dict[str, str]) -> Change:
    """Drop rows whose texts stand in a later split, too: the test keeps all of its rows."""
    are_texts = all(types[name] in ("text", "json") for name in edit["columns"])
    compare = nearly_same_text if are_texts else same_text
    text, order = compare(edit["columns"]), split_order(edit["column"])
    last = f"max({order}) OVER (PARTITION BY {text})"
    return {"values": {}, "rows": f"true QUALIFY coalesce({order} >= {last}, true) OR {text} = ''"}


def _set_matching(edit: Edit, types: dict[str, str]) -> Change:
    name = edit["column"]
    kind = SQL_TYPES_OF_CELLS.get(types[name])
    value = edit.get("value")
    literal = "NULL" if value is None or not value.strip() else quote_literal(value)
    if kind and literal != "NULL":
        literal = f"try_cast({literal} AS {kind})"
    is_matching = f"{ROW_NUMBER} IN (SELECT row_number FROM {MATCHING_ROWS})"
    changed = f"CASE WHEN {is_matching} THEN {literal} ELSE {quote_identifier(name)} END"
    return {"values": {name: changed}, "rows": "true"}


def _drop_matching(edit: Edit, types: dict[str, str]) -> Change:
    return {"values": {}, "rows": f"{ROW_NUMBER} NOT IN (SELECT row_number FROM {MATCHING_ROWS})"}


SQL_TYPES_OF_NUMBERS = {"integer": "BIGINT", "number": "DOUBLE"}
SQL_TYPES_OF_CELLS = {
    **SQL_TYPES_OF_NUMBERS, "boolean": "BOOLEAN", "date": "DATE", "datetime": "TIMESTAMP",
}  # fmt: skip
FIXES = {
    "strip_tags": _strip_tags,
    "drop_near_duplicates": _drop_near_duplicates,
    "clip": _clip,
    "drop_outside": _drop_outside,
    "drop_values": _drop_values,
    "drop_rare": _drop_rare,
    "merge_rare": _merge_rare,
    "cap_values": _cap_values,
    "keep_majority": _keep_majority,
    "drop_conflicts": _drop_conflicts,
    "drop_leaked": _drop_leaked,
    "set_matching": _set_matching,
    "drop_matching": _drop_matching,
}
# What else an edit has to say, and the sentence where it does not.
NEEDS: dict[str, tuple[Callable[[Edit], bool], str]] = {
    "drop_rare": (
        lambda edit: (edit.get("least") or 0) >= 2,
        "Name the least number of rows that a value needs, 2 or more.",
    ),
    "merge_rare": (
        lambda edit: (edit.get("least") or 0) >= 2 and bool((edit.get("to") or "").strip()),
        "Name the least number of rows that a value needs, and the value that rare ones become.",
    ),
    "cap_values": (
        lambda edit: (edit.get("most") or 0) >= 1,
        "Name the most rows that a value may have, 1 or more.",
    ),
    "drop_values": (
        lambda edit: bool(edit.get("values")),
        "Name the values whose rows are dropped.",
    ),
}
COMPARING = ("drop_near_duplicates", "keep_majority", "drop_conflicts", "drop_leaked")
MATCHING = ("set_matching", "drop_matching")
SETTING = ("keep_majority", "merge_rare", "clip", "strip_tags", "set_matching")
WITHOUT_COLUMN = ("drop_near_duplicates", "drop_matching")
