"""Edits that people make to a finished table: set cells, drop rows and columns, merge labels,
decode HTML entities, add a column of text, add rows, and the fixes of projects.reading.fixes.

A version stores its edits as a list. They are applied after typing, one after the other, so that
the same file with the same edits always gives the same table. Row numbers count from 0 in the table
as it is before the edit.
"""

import re
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from engine.data.cell_text import NUMBER_FORMATS_KEY
from projects.reading.columns.column import SQL_TYPES, Column
from projects.reading.columns.precision import keeps_digits
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.columns.typed_table import parquet_options
from projects.reading.fixes.operations import (
    FIXES,
    MATCHING,
    ROW_NUMBER,
    SETTING,
    WITHOUT_COLUMN,
    Change,
    EditProblem,
    check_fix,
    find_matching,
)
from projects.reading.limits import MAX_COLUMNS, MAX_NAME_CHARS
from projects.reading.results import Edit, ReadingOptions, UnreadableFile

FIRST_ADDED = 10**12  # The number of an added row, above those of all rows.
MAX_ROWS_IN_AN_EDIT, MAX_ADDED_ROWS = 10_000, 1_000
NUMBERS = {
    "integer": re.compile(r"[-+]?[0-9]+"),
    "number": re.compile(r"[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]{1,4})?"),
}
IMAGE_GROUP_ROWS = 256  # As the import writes them: a page of pictures reads few groups.
SETTING_VALUES, MERGING = ("set_cells", "set_matching"), ("merge_values", "merge_rare")
COLUMN_OPERATIONS = (
    "set_cells", "merge_values", "drop_missing", "drop_column", "decode_entities",
    *(name for name in FIXES if name not in WITHOUT_COLUMN),
)  # fmt: skip


def check_edit(edit: Edit, types: dict[str, str], rows: int) -> None:
    """Raise EditProblem unless the edit fits a table with these column types and this many rows."""
    operation, column = edit.get("op", ""), edit.get("column", "")
    if operation not in OPERATIONS:
        raise EditProblem(f"There is no edit {operation!r}. Known: {', '.join(OPERATIONS)}.")
    if operation == "add_rows":
        _check_new_rows(edit.get("cells") or [], types)
    elif operation == "add_column":
        _check_new_column(column, types)
    elif column not in types and (column or operation in COLUMN_OPERATIONS):
        raise EditProblem(f"There is no column {column!r} to edit.")
    _check_kind(operation, column, types)
    if operation in ("set_cells", "drop_rows"):
        _check_rows(edit, rows)
    _check_result(edit, types)
    if operation in FIXES:
        check_fix(edit, types)
    if operation in SETTING_VALUES:
        _check_value(edit.get("value"), column, types)
    if operation in MERGING:
        _check_value(edit.get("to"), column, types)


def _check_result(edit: Edit, types: dict[str, str]) -> None:
    operation = edit["op"]
    if operation == "drop_column" and len(types) < 2:
        raise EditProblem("No column would be left.")
    if operation == "merge_values" and not (edit.get("values") and edit.get("to", "").strip()):
        raise EditProblem("A merge needs the values to replace, and what to replace them by.")


def _check_kind(operation: str, column: str, types: dict[str, str]) -> None:
    kind = types.get(column)
    if kind == "image" and operation in ("set_cells", "merge_values", "drop_column", *SETTING):
        raise EditProblem("Pictures cannot be edited; drop their rows instead.")
    if operation in ("decode_entities", "strip_tags") and kind not in ("text", "json"):
        raise EditProblem(f"Column {column!r} holds no texts.")


def _check_new_rows(rows: list[dict[str, str | None]], types: dict[str, str]) -> None:
    if "image" in types.values():
        raise EditProblem("Rows cannot be added to pictures: upload the pictures.")
    if not 1 <= len(rows) <= MAX_ADDED_ROWS:
        raise EditProblem(f"An edit adds 1 to {MAX_ADDED_ROWS:,} rows.")
    for row in rows:
        if not any(value and value.strip() for value in row.values()):
            raise EditProblem("A new row needs at least one cell.")
        for column, value in row.items():
            if column not in types:
                raise EditProblem(f"There is no column {column!r} to edit.")
            _check_value(value, column, types)


def _check_new_column(name: str, types: dict[str, str]) -> None:
    if not name.strip() or len(name) > MAX_NAME_CHARS:
        raise EditProblem(f"A column's name has 1 to {MAX_NAME_CHARS} characters.")
    if name.casefold() in {column.casefold() for column in types}:
        raise EditProblem(f"There is a column {name!r} already.")
    if len(types) >= MAX_COLUMNS:
        raise EditProblem(f"A table has at most {MAX_COLUMNS:,} columns.")


def _check_rows(edit: Edit, rows: int) -> None:
    numbers = edit.get("rows") or []
    if not numbers or len(numbers) > MAX_ROWS_IN_AN_EDIT:
        raise EditProblem(f"An edit names 1 to {MAX_ROWS_IN_AN_EDIT:,} rows.")
    if any(not 0 <= number < rows for number in numbers):
        raise EditProblem(f"Rows are numbered from 0 to {rows - 1:,}.")
    if edit["op"] == "drop_rows" and len(set(numbers)) >= rows:
        raise EditProblem("No row would be left.")


def named_columns(options: ReadingOptions) -> set[str]:
    """The names of columns that edits, masking and chosen readings refer to."""
    edits = options.get("edits", [])
    names = {edit["column"] for edit in edits if edit.get("column")}
    names |= {name for edit in edits for row in edit.get("cells") or [] for name in row}
    names |= {name for edit in edits for name in edit.get("columns") or []}
    names |= {entry["column"] for edit in edits for entry in edit.get("filters") or []}
    return names | set(options.get("mask", [])) | set(options.get("columns", {}))


def apply_edits(
    connection: duckdb.DuckDBPyConnection, data: Path, columns: list[Column], edits: list[Edit]
) -> list[Column]:
    """Change the Parquet file and return its columns. Raises UnreadableFile for an edit that does
    not fit: the file is now read in another way than when it was edited."""
    for edit in edits:
        types = {column.name: column.type for column in columns}
        try:
            check_edit(edit, types, _count_rows(connection, data))
            _apply_edit(connection, data, edit, types)
        except EditProblem as problem:
            raise UnreadableFile(
                "bad_edit", f"An edit does not fit this table: {problem}"
            ) from None
        if edit["op"] == "drop_column":
            columns = [column for column in columns if column.name != edit["column"]]
        if edit["op"] == "add_column":
            name = edit["column"]
            columns = [*columns, Column(name, "text", name, quote_identifier(name))]
    return columns


def _apply_edit(
    connection: duckdb.DuckDBPyConnection, data: Path, edit: Edit, types: dict[str, str]
) -> None:
    change = OPERATIONS[edit["op"]](edit, types)
    dropped = edit["column"] if edit["op"] == "drop_column" else None
    chosen = ", ".join(
        f"{change['values'].get(name, quote_identifier(name))} AS {quote_identifier(name)}"
        for name in types
        if name != dropped
    )
    if edit["op"] == "add_column":
        chosen += f", NULL::VARCHAR AS {quote_identifier(edit['column'])}"
    edited = data.with_suffix(".edited")
    source = f"read_parquet({quote_literal(str(data))}, {ROW_NUMBER} = true)"
    if edit["op"] in MATCHING:
        find_matching(connection, source, edit, types)
    if edit["op"] == "add_rows":
        source = f"(SELECT * FROM {source} UNION ALL VALUES {_added_rows(edit['cells'], types)})"
    connection.execute(
        f"COPY (SELECT {chosen} FROM {source} WHERE {change['rows']} ORDER BY {ROW_NUMBER})"
        f" TO {quote_literal(str(edited))} {parquet_options(_number_formats_of(data))}"
    )
    if "image" in types.values():
        _write_small_groups(edited, data)
    else:
        edited.replace(data)
    if not _count_rows(connection, data):
        raise UnreadableFile("no_rows", "No row is left after this edit.")


def _number_formats_of(data: Path) -> str:
    """What the table's metadata says of its columns' numbers; "" without it."""
    metadata: dict[bytes, bytes] = pq.read_metadata(data).metadata or {}
    return metadata.get(NUMBER_FORMATS_KEY.encode(), b"").decode()


def _added_rows(rows: list[dict[str, str | None]], types: dict[str, str]) -> str:
    """SQL of the values of the new rows, numbered behind all others."""
    listed = []
    for place, row in enumerate(rows):
        cells = [
            f"({_value_sql(row.get(name), kind)})::{SQL_TYPES.get(kind, 'VARCHAR')}"
            for name, kind in types.items()
        ]
        listed.append(f"({', '.join(cells)}, {FIRST_ADDED + place})")
    return ", ".join(listed)


def _write_small_groups(source: Path, target: Path) -> None:
    file = pq.ParquetFile(source)
    with pq.ParquetWriter(target, file.schema_arrow, compression="none") as writer:
        for batch in file.iter_batches(IMAGE_GROUP_ROWS):
            writer.write_batch(batch)
    source.unlink()


def _count_rows(connection: duckdb.DuckDBPyConnection, data: Path) -> int:
    table = f"read_parquet({quote_literal(str(data))})"
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _set_cells(edit: Edit, types: dict[str, str]) -> Change:
    name = edit["column"]
    value = _value_sql(edit.get("value"), types[name])
    listed = ", ".join(str(int(number)) for number in edit["rows"])
    changed = f"CASE WHEN {ROW_NUMBER} IN ({listed}) THEN {value} ELSE {quote_identifier(name)} END"
    return {"values": {name: changed}, "rows": "true"}


def _merge_values(edit: Edit, types: dict[str, str]) -> Change:
    name = edit["column"]
    listed = ", ".join(quote_literal(value.strip()) for value in edit["values"])
    value = _value_sql(edit["to"], types[name])
    cell = f"trim({quote_identifier(name)}::VARCHAR)"
    changed = f"CASE WHEN {cell} IN ({listed}) THEN {value} ELSE {quote_identifier(name)} END"
    return {"values": {name: changed}, "rows": "true"}


def _drop_rows(edit: Edit, types: dict[str, str]) -> Change:
    listed = ", ".join(str(int(number)) for number in edit["rows"])
    return {"values": {}, "rows": f"{ROW_NUMBER} NOT IN ({listed})"}


def _drop_missing(edit: Edit, types: dict[str, str]) -> Change:
    cell = f"nullif(trim({quote_identifier(edit['column'])}::VARCHAR), '')"
    return {"values": {}, "rows": f"{cell} IS NOT NULL"}


def _drop_duplicates(edit: Edit, types: dict[str, str]) -> Change:
    """Drop every row that repeats an earlier one, in one column or in all."""
    names = [edit["column"]] if edit.get("column") else list(types)
    same = ", ".join(map(quote_identifier, names))
    first = f"true QUALIFY row_number() OVER (PARTITION BY {same} ORDER BY {ROW_NUMBER}) = 1"
    return {"values": {}, "rows": first}


def _decode_entities(edit: Edit, types: dict[str, str]) -> Change:
    cell = quote_identifier(edit["column"])
    changed = f"CASE WHEN contains({cell}, '&') THEN decode_entities({cell}) ELSE {cell} END"
    return {"values": {edit["column"]: changed}, "rows": "true"}


def _change_no_cells(edit: Edit, types: dict[str, str]) -> Change:
    """For edits that add or drop columns or add rows, which `_apply_edit` does by itself."""
    return {"values": {}, "rows": "true"}


OPERATIONS = {
    "set_cells": _set_cells,
    "merge_values": _merge_values,
    "drop_rows": _drop_rows,
    "drop_missing": _drop_missing,
    "drop_duplicates": _drop_duplicates,
    "drop_column": _change_no_cells,
    "add_column": _change_no_cells,
    "add_rows": _change_no_cells,
    "decode_entities": _decode_entities,
    **FIXES,
}


def _check_value(value: str | None, column: str, types: dict[str, str]) -> None:
    kind = types[column]
    if value is None or not value.strip() or kind not in SQL_TYPES:
        return
    problem = EditProblem(f"{value!r} is no {kind}, which column {column!r} holds.")
    # SQL would round 1.5 to an integer, and would round numbers of too many digits.
    if kind in NUMBERS and not NUMBERS[kind].fullmatch(value.strip()):
        raise problem
    if kind == "integer" and abs(int(value)) >= 2**63:
        raise problem
    if kind == "number" and not keeps_digits(value.strip()):
        raise EditProblem(f"{value!r} has more digits than column {column!r} keeps.")
    if kind in NUMBERS:
        return
    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT {_value_sql(value, kind)}").fetchone()
    if row is None or row[0] is None:
        raise problem


def _value_sql(value: str | None, kind: str) -> str:
    if value is None or not value.strip():
        return "NULL"
    literal = quote_literal(value)
    return f"try_cast({literal} AS {SQL_TYPES[kind]})" if kind in SQL_TYPES else literal
