"""Makes the typed Parquet table: first text, row by row, then types over whole columns."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from projects.reading import column_types, personal_data
from projects.reading.column_types import Column, literal, quoted
from projects.reading.delimited import open_delimited
from projects.reading.json_rows import open_json
from projects.reading.limits import MOST_COLUMNS, MOST_ROWS
from projects.reading.naming import usable_names
from projects.reading.outcome import Issues, Reject, RejectFile, Source, Unreadable
from projects.reading.pictures import read_archive
from projects.reading.sniffing import kind_of
from projects.reading.spreadsheet import open_spreadsheet

BATCH_ROWS = 5_000
BATCH_CHARS = 16_000_000
DAMAGED_PARQUET = "This Parquet file is damaged or of an unknown kind."


@dataclass(frozen=True)
class Table:
    """A finished import in a folder: data.parquet, rejects.csv and what to say about them."""

    data: Path
    rejects: Path
    rows: int
    rejected_rows: int
    columns: list[Column]
    dialect: dict[str, Any]
    issues: list[dict[str, Any]]

    @property
    def content_sha256(self) -> str:
        with open(self.data, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def connect(scratch: Path, memory: str = "1GB") -> duckdb.DuckDBPyConnection:
    """DuckDB that stays small, spills to `scratch` and loads nothing from the network."""
    return duckdb.connect(
        config={
            "memory_limit": memory,
            "threads": 1,
            "temp_directory": str(scratch / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


def make_table(upload: Path, filename: str, folder: Path, overrides: dict[str, Any]) -> Table:
    """Read the upload into `folder`. Raises Unreadable when no table can be made of it."""
    kind = kind_of(upload, filename)
    if kind == "pictures":
        return _from_archive(upload, folder)
    with connect(folder) as connection:
        if kind == "parquet":
            return _from_parquet(connection, upload, folder, overrides)
        source = _open(kind, upload, overrides)
        if len(source.names) > MOST_COLUMNS:
            raise Unreadable(
                "too_many_columns",
                f"This table has {len(source.names):,} columns; at most {MOST_COLUMNS:,} are read.",
            )
        text = folder / "text.parquet"
        rows, rejected = _write_text(source, text, folder / "rejects.csv")
        _refuse_no_rows(rows, rejected, source)
        table = f"read_parquet({literal(str(text))})"
        columns = _typed(connection, table, source)
        _write_typed(connection, table, columns, folder / "data.parquet", overrides)
        text.unlink()
    _tell_about(columns, source.issues, rows, rejected)
    return _table(folder, rows, rejected, columns, source.dialect, source.issues)


def _open(kind: str, upload: Path, overrides: dict[str, Any]) -> Source:
    if kind == "excel":
        return open_spreadsheet(upload, overrides)
    if kind in ("json", "jsonl"):
        return open_json(upload, is_array=kind == "json")
    return open_delimited(upload, overrides)


def _write_text(source: Source, path: Path, rejects_path: Path) -> tuple[int, int]:
    """Every row as text into Parquet, a batch at a time; returns rows kept and rows rejected."""
    width, kept = len(source.names), 0
    schema = pa.schema([(f"c{position}", pa.large_string()) for position in range(width)])
    rejects = RejectFile(rejects_path)
    try:
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in _batches(source, rejects):
                kept += len(batch)
                if kept > MOST_ROWS:
                    sentence = f"This table has more than {MOST_ROWS:,} rows."
                    raise Unreadable("too_many_rows", sentence)
                columns = [
                    pa.array([row[position] for row in batch], pa.large_string())
                    for position in range(width)
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    finally:
        rejects.close()
    return kept, rejects.count


def _batches(source: Source, rejects: RejectFile) -> Iterator[list[list[str | None]]]:
    batch: list[list[str | None]] = []
    chars = 0
    for row in source.rows:
        if isinstance(row, Reject):
            rejects.write(row)
            source.issues.add("rejected_row", row.reason, row.line, row.column)
            continue
        batch.append(row)
        chars += sum(len(cell) for cell in row if cell)
        if len(batch) == BATCH_ROWS or chars > BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _refuse_no_rows(rows: int, rejected: int, source: Source) -> None:
    if rows:
        return
    if rejected:
        first = next(issue for issue in source.issues.found if issue["code"] == "rejected_row")
        raise Unreadable(
            "no_rows",
            f"None of the {rejected:,} rows could be read. Line {first['line']}:"
            f" {first['sentence']}",
        )
    count = len(source.names)
    raise Unreadable(
        "no_rows",
        f"This file has a header of {count} column{'s' * (count != 1)} but no rows below it.",
    )


def _typed(connection: duckdb.DuckDBPyConnection, table: str, source: Source) -> list[Column]:
    names = usable_names(source.names)
    return [
        column_types.infer(
            connection,
            table,
            position,
            names=(name, source.names[position]),
            native=source.native.get(position),
        )
        for position, name in enumerate(names)
    ]


def _write_typed(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: list[Column],
    path: Path,
    overrides: dict[str, Any],
) -> None:
    masked = set(overrides.get("mask", []))
    chosen = ", ".join(
        (_masked(column) if column.name in masked else column.expression)
        + f" AS {quoted(column.name)}"
        for column in columns
    )
    connection.execute(
        f"COPY (SELECT {chosen} FROM {table}) TO {literal(str(path))}"
        " (FORMAT parquet, COMPRESSION zstd)"
    )


def _masked(column: Column) -> str:
    if column.type not in ("text", "json"):
        return f"CASE WHEN ({column.expression}) IS NULL THEN NULL ELSE '<{column.type}>' END"
    return personal_data.masking_sql(column.expression)


def _from_parquet(
    connection: duckdb.DuckDBPyConnection, upload: Path, folder: Path, overrides: dict[str, Any]
) -> Table:
    table = f"read_parquet({literal(str(upload))})"
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
        columns = _parquet_columns(described)
        _write_typed(connection, table, columns, folder / "data.parquet", overrides)
        counted = connection.execute(
            f"SELECT count(*) FROM read_parquet({literal(str(folder / 'data.parquet'))})"
        ).fetchone()
    except duckdb.Error as error:
        raise Unreadable("bad_parquet", DAMAGED_PARQUET) from error
    rows = counted[0] if counted else 0
    if not rows:
        raise Unreadable("no_rows", f"This Parquet file has {len(columns)} columns but no rows.")
    RejectFile(folder / "rejects.csv").close()
    return _table(folder, rows, 0, columns, {"format": "parquet"}, Issues())


def _from_archive(upload: Path, folder: Path) -> Table:
    issues = Issues()
    rows, rejected, columns, dialect = read_archive(upload, folder, issues)
    _tell_about([], issues, rows, rejected)
    return _table(folder, rows, rejected, columns, dialect, issues)


def _parquet_columns(described: list[tuple[Any, ...]]) -> list[Column]:
    if len(described) > MOST_COLUMNS:
        raise Unreadable("too_many_columns", f"At most {MOST_COLUMNS:,} columns are read.")
    originals = [str(row[0]) for row in described]
    columns = []
    for (original, sql_type, *_), name in zip(described, usable_names(originals), strict=True):
        kind, expression = _from_sql_type(quoted(original), str(sql_type))
        columns.append(Column(name, kind, original, expression))
    return columns


def _from_sql_type(source: str, sql_type: str) -> tuple[str, str]:
    plain = sql_type.split("(")[0]
    if plain in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"):
        return "integer", f"{source}::BIGINT"
    if plain in ("FLOAT", "DOUBLE", "DECIMAL") and not sql_type.endswith("]"):
        return "number", f"{source}::DOUBLE"
    if plain in ("BOOLEAN", "DATE"):
        return plain.lower(), source
    if plain.startswith("TIMESTAMP") and not sql_type.endswith("]"):
        return "datetime", f"{source}::TIMESTAMP"
    if plain in ("STRUCT", "MAP", "JSON") or sql_type.endswith("]"):
        return "json", f"to_json({source})::VARCHAR"
    return "text", f"nullif(replace({source}::VARCHAR, chr(0), ''), '')"


def _tell_about(columns: list[Column], issues: Issues, rows: int, rejected: int) -> None:
    for column in columns:
        if column.missing_words:
            issues.add(
                "missing_words",
                f"{column.missing_words:,} cells such as N/A in this column of numbers were read"
                " as missing.",
                column=column.name,
            )
    if rejected > rows:
        issues.add(
            "mostly_rejected",
            f"More rows were rejected ({rejected:,}) than read ({rows:,}). Check the separator and"
            " the header below."
            if columns
            else f"More pictures were rejected ({rejected:,}) than read ({rows:,}).",
        )


def _table(
    folder: Path,
    rows: int,
    rejected: int,
    columns: list[Column],
    dialect: dict[str, Any],
    issues: Issues,
) -> Table:
    return Table(
        data=folder / "data.parquet",
        rejects=folder / "rejects.csv",
        rows=rows,
        rejected_rows=rejected,
        columns=columns,
        dialect=dialect,
        issues=issues.as_list(),
    )
