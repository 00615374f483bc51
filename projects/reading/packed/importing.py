"""Imports any upload: a table as it is, or one or several out of an archive.

Of several tables one is read and a person is asked which, unless their names say that they belong
together: splits (train.csv, test.csv) and parts (part-1.csv, part-2.csv) of the same columns.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from projects.reading.arrow import read_arrow_names
from projects.reading.columns.column import ColumnQuestion
from projects.reading.format_detection import PACKED_FORMATS, detect_format
from projects.reading.images.zip_archive import ZipArchive, ZipEntry
from projects.reading.packed.compressed import unpack_compressed
from projects.reading.packed.joining import join_parquet, join_sources, name_origins
from projects.reading.packed.slack import find_days, write_messages
from projects.reading.packed.text_folders import find_texts, write_texts
from projects.reading.packed.zip_tables import (
    ArchiveContents,
    PackedTable,
    find_tables,
    unpack_tables,
)
from projects.reading.results import Issue, Issues, ReadingOptions, UnreadableFile
from projects.reading.tables import (
    ImportedTable,
    connect_duckdb,
    import_source,
    import_table,
    open_source,
    register_functions,
)

MAX_COMPARED = 100  # Tables of one archive whose columns are looked at.
MAX_LISTED, MAX_SHOWN_NAMES = 12, 8
JOINED = "*"
BINARY_FORMATS = ("parquet", "arrow")


@dataclass(frozen=True)
class _Choice:
    """What to read of an archive, and what else could be."""

    tables: list[PackedTable]  # Several are joined.
    main: list[PackedTable]  # Those that can be joined, or the largest one.
    is_certain: bool


def import_upload(
    upload: Path, filename: str, folder: Path, overrides: ReadingOptions
) -> ImportedTable:
    """Read the upload into `folder`. Raises UnreadableFile when no table can be made of it."""
    kind = detect_format(upload, filename)
    if kind == "zip":
        return _import_archive(upload, folder, overrides)
    if kind != "compressed":
        return import_table(upload, filename, folder, overrides)
    target = folder / "unpacked"
    inner, method = unpack_compressed(upload, filename, target)
    try:
        imported = import_table(target, inner, folder, overrides)
    finally:
        target.unlink(missing_ok=True)
    return replace(imported, dialect={**imported.dialect, "packed": method, "file": inner})


def _import_archive(upload: Path, folder: Path, overrides: ReadingOptions) -> ImportedTable:
    with ZipArchive(upload) as archive:
        if texts := find_texts(archive):
            return _import_written(write_texts, archive, texts, folder, overrides)
        if days := find_days(archive):
            return _import_written(write_messages, archive, days, folder, overrides)
        contents = find_tables(archive)
        tables = unpack_tables(archive, _entries_to_unpack(contents, overrides), folder)
    try:
        columns = {table.name: _column_names(table) for table in tables}
        choice = _choose(tables, columns, overrides)
        if len(choice.tables) == 1:
            (table,) = choice.tables
            imported = import_table(table.path, PurePosixPath(table.name).name, folder, overrides)
        else:
            imported = _import_joined(choice.tables, folder, overrides)
        questions = [] if choice.is_certain else [_ask(choice, tables, columns)]
        return _describe(imported, choice, contents, questions, columns)
    finally:
        for table in tables:
            table.path.unlink(missing_ok=True)


def _import_written(
    write: Callable[[ZipArchive, Sequence[ZipEntry], Path, Issues], None],
    archive: ZipArchive,
    entries: Sequence[ZipEntry],
    folder: Path,
    overrides: ReadingOptions,
) -> ImportedTable:
    """Import the rows that are written of many files, as one file of lines."""
    target, issues = folder / "written.jsonl", Issues()
    write(archive, entries, target, issues)
    try:
        imported = import_table(target, target.name, folder, overrides)
    finally:
        target.unlink(missing_ok=True)
    all_issues: list[Issue] = [*issues.as_list(), *imported.issues]
    return replace(imported, dialect={**imported.dialect, "packed": "zip"}, issues=all_issues)


def _entries_to_unpack(contents: ArchiveContents, overrides: ReadingOptions) -> list[ZipEntry]:
    """The entries to unpack: the chosen one, or those whose columns are compared."""
    chosen = overrides.get("file", "")
    chosen_entries = [entry for entry in contents.tables if "/".join(entry.parts) == chosen]
    largest = sorted(contents.tables, key=lambda entry: entry.info.file_size, reverse=True)
    numbers = {entry.number for entry in chosen_entries or largest[:MAX_COMPARED]}
    return [entry for entry in contents.tables if entry.number in numbers]


def _column_names(table: PackedTable) -> tuple[str, ...]:
    """The names of the table's columns; () where it cannot be read by itself."""
    try:
        kind = detect_format(table.path, PurePosixPath(table.name).name)
        if kind in PACKED_FORMATS:
            return ()
        if kind == "parquet":
            return tuple(pq.read_schema(table.path).names)
        if kind == "arrow":
            return read_arrow_names(table.path)
        source = open_source(kind, table.path, {}, None)
    except (UnreadableFile, pa.ArrowException, OSError):
        return ()
    return tuple(name.strip() for name in source.names)


def _choose(
    tables: Sequence[PackedTable],
    columns: dict[str, tuple[str, ...]],
    overrides: ReadingOptions,
) -> _Choice:
    main = _largest_group(tables, columns)
    chosen = overrides.get("file", "")
    chosen_tables = [table for table in tables if table.name == chosen]
    if len(tables) == 1 or chosen_tables:
        return _Choice(chosen_tables or list(tables), main, is_certain=True)
    if chosen == JOINED:
        return _Choice(main, main, is_certain=True)
    belong_together = len(main) > 1 and (_are_splits(main) or _are_parts(main))
    if belong_together:
        return _Choice(main, main, is_certain=len(main) == len(tables))
    trained = [table for table in tables if table.split == "train" and columns[table.name]]
    readable = [table for table in tables if columns[table.name]] or list(tables)
    return _Choice([max(trained or readable, key=_size)], main, is_certain=False)


def _largest_group(
    tables: Sequence[PackedTable], columns: dict[str, tuple[str, ...]]
) -> list[PackedTable]:
    """The tables with the same columns that together have the most bytes."""
    groups: dict[tuple[object, ...], list[PackedTable]] = defaultdict(list)
    for table in tables:
        names = columns[table.name]
        is_binary = table.name.lower().endswith((".parquet", ".pq", ".arrow", ".feather"))
        key = (is_binary, *sorted(names)) if names else (table.name,)
        groups[key].append(table)
    return max(groups.values(), key=lambda group: sum(map(_size, group)))


def _size(table: PackedTable) -> int:
    return table.path.stat().st_size


def _are_splits(tables: Sequence[PackedTable]) -> bool:
    splits = [table.split for table in tables]
    return all(splits) and len(set(splits)) > 1


def _are_parts(tables: Sequence[PackedTable]) -> bool:
    """Whether the names differ in their numbers only."""
    return len({re.sub(r"\d+", "0", table.name) for table in tables}) == 1


def _import_joined(
    tables: Sequence[PackedTable], folder: Path, overrides: ReadingOptions
) -> ImportedTable:
    kinds = [detect_format(table.path, PurePosixPath(table.name).name) for table in tables]
    if all(kind in BINARY_FORMATS for kind in kinds):
        joined = folder / "joined.parquet"
        try:
            with connect_duckdb(folder) as connection:
                join_parquet(connection, tables, joined)
        except duckdb.Error as error:
            raise UnreadableFile(
                "bad_parquet", "The Parquet files of this archive cannot be joined."
            ) from error
        imported = import_table(joined, joined.name, folder, overrides)
        joined.unlink()
        return imported
    issues = Issues()
    sources = [
        open_source(kind, table.path, overrides, None)
        for kind, table in zip(kinds, tables, strict=True)
    ]
    with connect_duckdb(folder) as connection:
        register_functions(connection)
        return import_source(connection, join_sources(sources, tables, issues), folder, overrides)


def _ask(
    choice: _Choice, tables: Sequence[PackedTable], columns: dict[str, tuple[str, ...]]
) -> ColumnQuestion:
    """The question which table to read, with the columns and bytes of each."""
    largest = sorted(tables, key=_size, reverse=True)[:MAX_LISTED]
    described: dict[str, list[str | None]] = {
        table.name: [", ".join(columns[table.name])[:200], f"{_size(table):,}"] for table in largest
    }
    if len(choice.main) > 1:
        joined = ", ".join(table.name for table in choice.main)[:200]
        described = {JOINED: [joined, f"{sum(map(_size, choice.main)):,}"], **described}
    return {
        "column": "",
        "code": "archive_file",
        "sentence": f"This archive holds {len(tables):,} tables. Which one is the dataset?",
        "cells": ["columns", "bytes"],
        "readings": [
            {"name": f"file:{name}", "values": values} for name, values in described.items()
        ],
    }


def _describe(
    imported: ImportedTable,
    choice: _Choice,
    contents: ArchiveContents,
    questions: list[ColumnQuestion],
    columns: dict[str, tuple[str, ...]],
) -> ImportedTable:
    """The table, with issues that name the files that were read and those that were not."""
    names_read = [table.name for table in choice.tables]
    names = ["/".join(entry.parts) for entry in contents.tables]
    issues = Issues()
    if len(names_read) > 1:
        column, _ = name_origins(choice.tables, columns[names_read[0]])
        issues.add(
            "joined_files",
            f"The files {_listed(names_read)} have the same columns and were joined; the column"
            f" {column!r} says which row came from where."
            if column
            else f"The files {_listed(names_read)} have the same columns and were joined.",
        )
    others = [name for name in names if name not in names_read] + contents.archives
    if others:
        issues.add(
            "other_files",
            f"Of this archive only {_listed(names_read)} was read. There are also:"
            f" {_listed(others)}.",
        )
    all_issues: list[Issue] = [*issues.as_list(), *imported.issues]
    return replace(
        imported,
        dialect={
            **imported.dialect,
            "packed": "zip",
            "file": names_read[0] if len(names_read) == 1 else JOINED,
            "files": names[:MAX_COMPARED],
        },
        issues=all_issues,
        questions=[*questions, *imported.questions],
    )


def _listed(names: Sequence[str]) -> str:
    quoted = ", ".join(repr(name[-80:]) for name in names[:MAX_SHOWN_NAMES])
    return quoted + (" …" if len(names) > MAX_SHOWN_NAMES else "")
