"""Infers what each column of text holds, carefully: a doubt leaves it text.

Identifiers with leading zeros and long digit strings stay text, 0/1 labels become integers, and
only ISO dates become dates, because 03/04/2026 means two different days.
"""

from dataclasses import dataclass

import duckdb

INTEGER = r"\s*[+-]?(0|[1-9]\d{0,14})\s*"
NUMBER = r"\s*[+-]?((0|[1-9]\d{0,14})(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\s*"
DECIMAL_COMMA = r"\s*[+-]?(0|[1-9]\d*),\d+\s*"
ISO_DATE = r"\s*\d{4}-\d{2}-\d{2}\s*"
ISO_MOMENT = r"\s*\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?\s*"
MISSING_WORDS = ("na", "n/a", "nan", "null", "none", "-", "?")  # Only in columns of numbers.
TYPES = ("text", "integer", "number", "boolean", "date", "datetime", "json")

SQL_TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
}


@dataclass(frozen=True)
class Column:
    """A column of the finished table and the SQL that makes it from the text table."""

    name: str
    type: str
    original_name: str
    expression: str
    missing_words: int = 0  # Cells such as "N/A" read as missing in a column of numbers.


def quoted(name: str) -> str:
    """A column name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Text as a SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def infer(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    position: int,
    *,
    names: tuple[str, str],
    native: str | None,
) -> Column:
    """The type of the text column `c<position>`; `names` are its final and original name."""
    source = f"c{position}"
    is_known = native in ("text", "json")
    counts = {"filled": 0} if is_known else _count(connection, table, source)
    kind = native or _decide(counts)
    if kind in ("date", "datetime") and not _casts(connection, table, source, SQL_TYPES[kind]):
        kind = "text"
    comma = kind == "number" and native is None and counts["comma"] > 0
    words = counts["missing"] if kind in ("integer", "number") and native is None else 0
    return Column(names[0], kind, names[1], _expression(source, kind, comma=comma), words)


def _count(connection: duckdb.DuckDBPyConnection, table: str, source: str) -> dict[str, int]:
    patterns = {
        "integer": INTEGER,
        "number": NUMBER,
        "comma": DECIMAL_COMMA,
        "date": ISO_DATE,
        "moment": ISO_MOMENT,
    }
    sums = [
        f"count(*) FILTER (regexp_full_match({source}, {literal(pattern)})) AS {name}"
        for name, pattern in patterns.items()
    ]
    row = connection.execute(
        f"SELECT count(*) AS filled, {', '.join(sums)},"
        f" count(*) FILTER (lower(trim({source})) IN {MISSING_WORDS}) AS missing"
        f" FROM {table} WHERE trim({source}) <> ''"
    ).fetchone()
    assert row is not None
    return dict(zip(["filled", *patterns, "missing"], row, strict=True))


def _decide(counts: dict[str, int]) -> str:
    filled = counts["filled"] - counts["missing"]
    if counts["filled"] == 0:
        return "text"
    if filled and counts["integer"] == filled:
        return "integer"
    if filled and counts["number"] == filled:
        return "number"
    if filled and counts["comma"] and counts["comma"] + counts["integer"] == filled:
        return "number"
    if counts["date"] == counts["filled"]:
        return "date"
    return "datetime" if counts["moment"] == counts["filled"] else "text"


def _casts(connection: duckdb.DuckDBPyConnection, table: str, source: str, sql_type: str) -> bool:
    row = connection.execute(
        f"SELECT count(*) FROM {table} WHERE trim({source}) <> ''"
        f" AND try_cast(trim({source}) AS {sql_type}) IS NULL"
    ).fetchone()
    return row is not None and row[0] == 0


def _expression(source: str, kind: str, *, comma: bool) -> str:
    if kind in ("text", "json"):
        return f"CASE WHEN trim({source}) = '' THEN NULL ELSE {source} END"
    value = f"replace(trim({source}), ',', '.')" if comma else f"trim({source})"
    return f"try_cast(nullif({value}, '') AS {SQL_TYPES[kind]})"
