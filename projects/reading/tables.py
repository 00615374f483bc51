"""Imports a file as a typed Parquet table: first as text, then with a type for each column."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from projects.reading import personal_data
from projects.reading.arrow import convert_to_parquet
from projects.reading.columns.column import Column, ColumnQuestion
from projects.reading.columns.inference import infer_columns
from projects.reading.columns.names import unique_column_names
from projects.reading.columns.questions.described import describe_questions
from projects.reading.columns.questions.labels import register_label_names
from projects.reading.columns.repeated_names import merge_repeated
from projects.reading.columns.sql import quote_literal
from projects.reading.columns.text_table import TEXT_TABLE, require_row_limit, write_text_table
from projects.reading.columns.typed_table import mask_columns, write_typed_table
from projects.reading.csv.source import open_csv
from projects.reading.csv.vectorized import IrregularFile
from projects.reading.edits import apply_edits, named_columns
from projects.reading.format_detection import DOCUMENT_FORMATS, PACKED_FORMATS, detect_format
from projects.reading.html_entities import register_html
from projects.reading.images.image_table import read_image_archive
from projects.reading.json.source import open_json
from projects.reading.limits import MAX_COLUMNS
from projects.reading.parquet import read_columns, require_reasonable_size
from projects.reading.results import (
    BulkReader,
    Dialect,
    Issue,
    Issues,
    ReadingOptions,
    RejectedRowsWriter,
    TableSource,
    UnreadableFile,
)

MAX_THREADS = 2  # Of DuckDB: each holds a row group in memory while it writes one.
DAMAGED_PARQUET = "This Parquet file is damaged or of an unknown kind."


@dataclass(frozen=True)
class ImportedTable:
    """A finished import: the files data.parquet and rejects.csv, and what the customer is told."""

    data: Path
    rejects: Path
    rows: int
    rejected_rows: int
    columns: list[Column]
    dialect: Dialect
    issues: list[Issue]
    questions: list[ColumnQuestion] = field(default_factory=list)

    @property
    def content_sha256(self) -> str:
        with open(self.data, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def connect_duckdb(scratch: Path, memory: str = "450MB") -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a memory limit, which spills to `scratch` and loads no extensions
    from the network."""
    connection = duckdb.connect(
        config={
            "memory_limit": memory,
            "threads": min(MAX_THREADS, os.cpu_count() or 1),
            "temp_directory": str(scratch / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")  # Whatever the machine's is.
    return connection


def register_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the Python functions that reading and masking use known to SQL."""
    personal_data.register_masking(connection)
    register_label_names(connection)
    register_html(connection)


def import_table(
    upload: Path, filename: str, folder: Path, overrides: ReadingOptions
) -> ImportedTable:
    """Read one unpacked file into `folder`. Raises UnreadableFile when it holds no table."""
    kind = detect_format(upload, filename)
    if kind in PACKED_FORMATS:
        raise UnreadableFile(
            "nested_archive",
            f"{filename[-80:]!r} is an archive itself. Unpack it and upload what is inside.",
        )
    if kind == "images":
        return _import_images(upload, folder, overrides)
    with connect_duckdb(folder) as connection:
        register_functions(connection)
        if kind == "parquet":
            return _import_parquet(connection, upload, folder, overrides)
        if kind == "arrow":
            return _import_arrow(connection, upload, folder, overrides)
        source = open_source(kind, upload, overrides, folder)
        return import_source(connection, source, folder, overrides)


def import_source(
    connection: duckdb.DuckDBPyConnection,
    source: TableSource,
    folder: Path,
    overrides: ReadingOptions,
) -> ImportedTable:
    """Read a table of text into `folder`, in bulk where it can be. Raises UnreadableFile."""
    if len(source.names) > MAX_COLUMNS:
        raise UnreadableFile(
            "too_many_columns",
            f"This table has {len(source.names):,} columns; at most {MAX_COLUMNS:,} are read.",
        )
    # First types are expected from a sample; where a later row differs, every cell is counted.
    for straighten in (False, True):
        bulk = source.straighten() if straighten and source.straighten else source.bulk
        if bulk is None or (straighten and source.straighten is None):
            continue
        for expects in (True, False):
            try:
                return _import_in_bulk(connection, source, bulk, folder, overrides, expects)
            except IrregularFile:
                break  # Its lines are irregular, so other types would not help.
            except (duckdb.Error, UnicodeDecodeError):
                continue
    return _import_records(connection, source, folder, overrides)


def _import_in_bulk(
    connection: duckdb.DuckDBPyConnection,
    source: TableSource,
    bulk: BulkReader,
    folder: Path,
    overrides: ReadingOptions,
    expects: bool,
) -> ImportedTable:
    """Import straight from the file, without a copy of its text. Raises IrregularFile or
    duckdb.Error for a file that has to be read record by record."""
    text, data = folder / "text.parquet", folder / "data.parquet"
    try:
        table = bulk.open(connection)
        inferred = _infer_columns(
            connection, table, source, overrides, lambda: bulk.keep(connection, text), expects
        )
        checks = [bulk.row_check, *(column.check for column in inferred if column.check)]
        columns = mask_columns(inferred, overrides)
        rows = write_typed_table(connection, table, columns, data, checks)
        bulk.check_rows(connection, rows)
        require_row_limit(rows)
        rejects = RejectedRowsWriter(folder / "rejects.csv")
        for row in bulk.rejects:
            rejects.write(row)
        rejects.close()
        counted = (rows, rejects.count)
        return _finish_table(connection, table, source, folder, overrides, inferred, counted)
    finally:
        text.unlink(missing_ok=True)


def _import_records(
    connection: duckdb.DuckDBPyConnection,
    source: TableSource,
    folder: Path,
    overrides: ReadingOptions,
) -> ImportedTable:
    """Import record by record, by way of a copy of the table as text."""
    text = folder / "text.parquet"
    rows, rejected = write_text_table(connection, source, text, folder / "rejects.csv")
    _require_rows(rows, rejected, source)
    table = f"read_parquet({quote_literal(str(text))})" if text.exists() else TEXT_TABLE
    try:
        inferred = _type_records(connection, table, source, folder, overrides, expects=True)
    except duckdb.Error:  # A row differs from the sample.
        inferred = _type_records(connection, table, source, folder, overrides, expects=False)
    imported = _finish_table(
        connection, table, source, folder, overrides, inferred, (rows, rejected)
    )
    text.unlink(missing_ok=True)
    return imported


def _type_records(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    source: TableSource,
    folder: Path,
    overrides: ReadingOptions,
    *,
    expects: bool,
) -> list[Column]:
    """Write the typed table; returns its columns, before any is masked."""
    inferred = _infer_columns(connection, table, source, overrides, expects=expects)
    checks = [column.check for column in inferred if column.check]
    columns = mask_columns(inferred, overrides)
    write_typed_table(connection, table, columns, folder / "data.parquet", checks)
    return inferred


def _finish_table(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    source: TableSource,
    folder: Path,
    overrides: ReadingOptions,
    inferred: list[Column],
    counted: tuple[int, int],
) -> ImportedTable:
    """Apply the edits to data.parquet, and collect issues and questions. `counted`: how many rows
    were kept and how many rejected."""
    rows, rejected = counted
    columns = mask_columns(inferred, overrides)
    if edits := overrides.get("edits", []):
        columns = apply_edits(connection, folder / "data.parquet", columns, edits)
        rows = pq.read_metadata(folder / "data.parquet").num_rows
    questions = source.questions + _describe_questions(connection, table, inferred, overrides)
    _add_summary_issues(columns, source.issues, rows, rejected)
    return _build_table(folder, rows, rejected, columns, source.dialect, source.issues, questions)


def _import_images(upload: Path, folder: Path, overrides: ReadingOptions) -> ImportedTable:
    issues = Issues()
    read = read_image_archive(upload, folder, issues, overrides.get("labels", ""))
    rows, rejected, columns, dialect, questions = read
    if edits := overrides.get("edits", []):
        with connect_duckdb(folder) as connection:
            register_functions(connection)
            columns = apply_edits(connection, folder / "data.parquet", columns, edits)
            rows = pq.read_metadata(folder / "data.parquet").num_rows
    _add_summary_issues([], issues, rows, rejected)
    return _build_table(folder, rows, rejected, columns, dialect, issues, questions)


def _import_arrow(
    connection: duckdb.DuckDBPyConnection, upload: Path, folder: Path, overrides: ReadingOptions
) -> ImportedTable:
    converted = folder / "arrow.parquet"
    convert_to_parquet(upload, converted)
    imported = _import_parquet(connection, converted, folder, overrides)
    converted.unlink()
    return replace(imported, dialect={"format": "arrow"})


def _describe_questions(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: list[Column],
    overrides: ReadingOptions,
    sources: Sequence[str] = (),
) -> list[ColumnQuestion]:
    """The open questions. A masked column has none, as its cells must not be shown. `sources`: SQL
    for the texts of the columns; by default each column's own."""
    masked = overrides.get("mask", [])
    shown = [replace(each, question=None) if each.name in masked else each for each in columns]
    return describe_questions(
        connection, table, shown, sources or [column.source for column in columns]
    )


def open_source(
    kind: str, upload: Path, overrides: ReadingOptions, scratch: Path | None
) -> TableSource:
    """Open a text file, a workbook or a document; `kind` is the result of detect_format."""
    # The libraries of other formats take long to load, and no other table needs them.
    if kind == "excel":
        from projects.reading.excel import open_spreadsheet

        return open_spreadsheet(upload, overrides)
    if kind in DOCUMENT_FORMATS:
        from projects.reading.documents import open_document

        return open_document(upload, kind)
    if kind in ("json", "jsonl"):
        return open_json(upload, overrides, is_array=kind == "json")
    return open_csv(upload, overrides, scratch)


def _require_rows(rows: int, rejected: int, source: TableSource) -> None:
    if rows:
        return
    if rejected:
        first = next(issue for issue in source.issues.entries if issue["code"] == "rejected_row")
        raise UnreadableFile(
            "no_rows",
            f"The only row could not be read. Line {first['line']}: {first['sentence']}"
            if rejected == 1
            else f"None of the {rejected:,} rows could be read. Line {first['line']}:"
            f" {first['sentence']}",
        )
    count = len(source.names)
    raise UnreadableFile(
        "no_rows",
        f"This file has a header of {count} column{'s' * (count != 1)} but no rows below it.",
    )


def _infer_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    source: TableSource,
    options: ReadingOptions,
    keep: Callable[[], None] | None = None,
    expects: bool = False,
) -> list[Column]:
    names = list(zip(unique_column_names(source.names), source.names, strict=True))
    chosen = options.get("columns", {})
    columns = infer_columns(
        connection,
        table,
        names,
        native_types=source.native_types,
        chosen=chosen,
        separator=source.dialect.get("delimiter", ""),
        keep=keep,
        expects=expects,
    )
    return merge_repeated(connection, table, columns, chosen, named_columns(options))


def _import_parquet(
    connection: duckdb.DuckDBPyConnection, upload: Path, folder: Path, overrides: ReadingOptions
) -> ImportedTable:
    table, issues = f"read_parquet({quote_literal(str(upload))})", Issues()
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
        require_reasonable_size(connection, table, described, upload.stat().st_size)
        stored = read_columns(connection, table, described, overrides, issues, upload)
        columns = mask_columns(stored, overrides)
        write_typed_table(connection, table, columns, folder / "data.parquet")
        edits = overrides.get("edits", [])
        columns = apply_edits(connection, folder / "data.parquet", columns, edits)
        rows = pq.read_metadata(folder / "data.parquet").num_rows
        sources = [column.expression for column in stored]
        questions = _describe_questions(connection, table, stored, overrides, sources)
    except duckdb.Error as error:
        raise UnreadableFile("bad_parquet", DAMAGED_PARQUET) from error
    if not rows:
        count = len(columns)
        raise UnreadableFile(
            "no_rows",
            f"This file has {'1 column' if count == 1 else f'{count} columns'} but no rows.",
        )
    RejectedRowsWriter(folder / "rejects.csv").close()
    _add_summary_issues(columns, issues, rows, 0)
    return _build_table(folder, rows, 0, columns, {"format": "parquet"}, issues, questions)


def _add_summary_issues(columns: list[Column], issues: Issues, rows: int, rejected: int) -> None:
    for column in columns:
        for note in column.notes:
            issues.add(column.issue_code, note, column=column.name)
        if count := column.missing_marker_count:
            markers = ", ".join(column.missing_markers)
            issues.add(
                "missing_words",
                f"1 cell of this column of numbers holds a word for a missing value ({markers}) and"
                " was read as missing."
                if count == 1
                else f"{count:,} cells of this column of numbers hold a word for a missing value"
                f" ({markers}) and were read as missing.",
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


def _build_table(
    folder: Path,
    rows: int,
    rejected: int,
    columns: list[Column],
    dialect: Dialect,
    issues: Issues,
    questions: list[ColumnQuestion],
) -> ImportedTable:
    return ImportedTable(
        data=folder / "data.parquet",
        rejects=folder / "rejects.csv",
        rows=rows,
        rejected_rows=rejected,
        columns=columns,
        dialect=dialect,
        issues=issues.as_list(),
        questions=questions,
    )
