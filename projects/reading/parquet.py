"""What a Parquet file unpacks to, and its columns. A dictionary of one long text can stand for
gigabytes."""

import re

import duckdb

from projects.reading.columns.column import Column
from projects.reading.columns.names import unique_column_names
from projects.reading.columns.sql import quote_identifier
from projects.reading.limits import MAX_COLUMNS, MAX_COMPRESSION_RATIO, MAX_ROWS, MAX_UNPACKED_BYTES
from projects.reading.results import UnreadableFile

PANDAS_INDEX = re.compile(r"__index_level_\d+__")  # Row numbers, no column of the table.
INTEGER_DIGITS, EXACT_DIGITS = 18, 15  # Of BIGINT and of DOUBLE.
FIXED_CELL_BYTES = 8  # Of numbers, dates and booleans.


def require_reasonable_size(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    described: list[tuple[object, ...]],
    file_bytes: int,
) -> None:
    """Raises UnreadableFile for too many rows, and for a file that is made to grow.

    `described` is DuckDB's DESCRIBE of the table. Lengths of repeated texts are computed once for
    each entry of a dictionary, so this costs little exactly where unpacking would cost most.
    """
    texts = [quote_identifier(str(row[0])) for row in described if str(row[1]) == "VARCHAR"]
    lengths = " + ".join(f"coalesce(sum(strlen({name})), 0)" for name in texts) or "0"
    found = connection.execute(f"SELECT count(*), {lengths} FROM {table}").fetchone()
    assert found is not None
    rows, text_bytes = int(found[0]), int(found[1])
    if rows > MAX_ROWS:
        raise UnreadableFile(
            "too_many_rows",
            f"This file has {rows:,} rows; at most {MAX_ROWS:,} are read. Split it.",
        )
    unpacked = text_bytes + rows * FIXED_CELL_BYTES * (len(described) - len(texts))
    if unpacked > max(MAX_UNPACKED_BYTES, MAX_COMPRESSION_RATIO * file_bytes):
        raise UnreadableFile(
            "too_large",
            f"This file unpacks to {unpacked / 1024**3:.1f} GB, over {MAX_COMPRESSION_RATIO} times"
            " its own size. Remove repeated values, or split it.",
        )


def read_columns(described: list[tuple[object, ...]]) -> list[Column]:
    if len(described) > MAX_COLUMNS:
        raise UnreadableFile("too_many_columns", f"At most {MAX_COLUMNS:,} columns are read.")
    described = [row for row in described if not PANDAS_INDEX.fullmatch(str(row[0]))] or described
    for name, sql_type, *_ in described:
        if "BLOB" in str(sql_type) and str(sql_type) != "BLOB":
            raise UnreadableFile(
                "pictures_in_parquet",
                f"Column {name!r} holds files, such as pictures or sound, inside the table. Upload"
                " pictures as a zip, one folder for each label, or drop the column.",
            )
    originals = [str(row[0]) for row in described]
    columns = []
    for (original, sql_type, *_), name in zip(
        described, unique_column_names(originals), strict=True
    ):
        kind, expression = _map_sql_type(quote_identifier(str(original)), str(sql_type))
        columns.append(Column(name, kind, str(original), expression))
    return columns


def _map_sql_type(source: str, sql_type: str) -> tuple[str, str]:
    plain = sql_type.split("(")[0]
    if plain in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"):
        return "integer", f"{source}::BIGINT"
    if plain == "DECIMAL" and not sql_type.endswith("]"):
        return _map_decimal(source, sql_type)
    if plain in ("FLOAT", "DOUBLE") and not sql_type.endswith("]"):
        return "number", f"CASE WHEN isfinite({source}) THEN {source}::DOUBLE END"
    if plain in ("BOOLEAN", "DATE"):
        return plain.lower(), source
    if plain.startswith("TIMESTAMP") and not sql_type.endswith("]"):
        return "datetime", f"{source}::TIMESTAMP"
    if plain == "BLOB" and sql_type == "BLOB":  # Text, where a program did not say that it is.
        return (
            "text",
            f"nullif(replace(coalesce(try(decode({source})), {source}::VARCHAR), chr(0), ''), '')",
        )
    if plain in ("STRUCT", "MAP", "JSON") or sql_type.endswith("]"):
        return "json", f"to_json({source})::VARCHAR"
    return "text", f"nullif(replace({source}::VARCHAR, chr(0), ''), '')"


def _map_decimal(source: str, sql_type: str) -> tuple[str, str]:
    """Exact as whole numbers or in a DOUBLE where every value fits; ids beyond that are text."""
    digits, scale = (int(part) for part in re.findall(r"\d+", sql_type))
    if not scale and digits <= INTEGER_DIGITS:
        return "integer", f"{source}::BIGINT"
    if not scale:
        return "text", f"{source}::VARCHAR"
    return "number", f"{source}::DOUBLE"
