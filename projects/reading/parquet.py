"""Checks the size that a Parquet file unpacks to, and maps its columns to ours. A file whose
dictionary repeats one long text can unpack to gigabytes."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from projects.reading.columns.column import TEXT, Column, Question, Reading
from projects.reading.columns.date_formats import BUDDHIST_YEARS, ISO
from projects.reading.columns.names import unique_column_names
from projects.reading.columns.precision import MAX_DIGITS as EXACT_DIGITS
from projects.reading.columns.precision import keeps_digits_sql
from projects.reading.columns.questions.dates import (
    MOSTLY,
    buddhist_years_sentence,
    strange_years_note,
    with_buddhist_years,
)
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.json.exports import FIRST_ANSWER_NOTE
from projects.reading.json.shapes import MAX_FIELD_DEPTH, MAX_NESTED_FIELDS, WHOLE_FIELDS
from projects.reading.limits import MAX_COLUMNS, MAX_COMPRESSION_RATIO, MAX_ROWS, MAX_UNPACKED_BYTES
from projects.reading.results import Issues, ReadingOptions, UnreadableFile

PANDAS_INDEX = re.compile(r"__index_level_\d+__")  # Row numbers, no column of the table.
HUGGING_FACE = b"huggingface"  # The key of what the library datasets notes in a file.
INTEGER_DIGITS = 18  # Of BIGINT.
ROUNDED = Reading("number:1234.5", "number")
ANSWERS_TYPE = re.compile(r'STRUCT\("?text"? VARCHAR\[\], "?answer_start"? (INTEGER|BIGINT)\[\]\)')
FIXED_CELL_BYTES = 8  # Of numbers, dates and booleans.


def require_reasonable_size(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    described: list[tuple[object, ...]],
    file_bytes: int,
) -> None:
    """Raise UnreadableFile for too many rows, and for a file that unpacks to far more than its
    size.

    `described` is DuckDB's DESCRIBE of the table. Lengths of repeated texts are computed once for
    each entry of a dictionary, so this costs little exactly where unpacking would cost most.
    """
    texts = [quote_identifier(str(row[0])) for row in described if str(row[1]) == "VARCHAR"]
    lengths = " + ".join(f"coalesce(sum(strlen({name})), 0)" for name in texts) or "0"
    totals = connection.execute(f"SELECT count(*), {lengths} FROM {table}").fetchone()
    assert totals is not None
    rows, text_bytes = int(totals[0]), int(totals[1])
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


def _report_lengths_of_time(upload: Path, issues: Issues) -> None:
    """Report the unit of durations: Parquet stores them as plain integers, and only the Arrow
    schema in the file's metadata names the unit."""
    try:
        schema = pq.read_schema(upload)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return
    for field in schema:
        if pa.types.is_duration(field.type):
            unit = field.type.unit.replace("us", "µs")
            note = f"{field.name} holds lengths of time, counted in {unit}."
            issues.add("lengths_of_time", note, column=field.name)


def _read_label_names(upload: Path) -> dict[str, list[str]]:
    """The names of labels that a file of Hugging Face's datasets gives numbers for, by column."""
    try:
        metadata = pq.read_schema(upload).metadata or {}
        features = json.loads(metadata.get(HUGGING_FACE, b"{}"))["info"]["features"]
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return {}
    if not isinstance(features, dict):
        return {}
    inner = {name: one.get("feature", one) for name, one in features.items() if _is_object(one)}
    return {
        str(name): list(map(str, feature["names"]))
        for name, feature in inner.items()
        if _is_object(feature) and feature.get("_type") == "ClassLabel"
        if isinstance(feature.get("names"), list)
    }


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _with_label_names(
    column: Column, stored: "_Stored", names: Sequence[str], issues: Issues
) -> Column:
    """A column of numbers, or of lists of them, with names in their place. -1 stands for no label,
    as in the test rows of public data."""
    listed = f"[{', '.join(map(quote_literal, names))}]"
    shown = ", ".join(f"{number} is {name!r}" for number, name in enumerate(names[:3]))
    issues.add(
        "label_names",
        f"The file says what the numbers of {column.name!r} stand for ({shown}). Their names were"
        " read.",
        column=column.name,
    )

    def name_of(number: str) -> str:
        return f"coalesce({listed}[greatest({number} + 1, 0)], nullif({number}::VARCHAR, '-1'))"

    if column.type == "json":
        named = f"list_transform({stored.source}, lambda one: {name_of('one')})"
        return replace(column, expression=f"to_json({named})::VARCHAR")
    return replace(column, type="text", expression=name_of(stored.source))


def _reject_files(described: list[tuple[object, ...]]) -> None:
    """Raises UnreadableFile for a column of files, such as pictures."""
    for name, sql_type, *_ in described:
        if "BLOB" in str(sql_type) and str(sql_type) != "BLOB":
            raise UnreadableFile(
                "pictures_in_parquet",
                f"Column {name!r} holds files, such as pictures or sound, inside the table. Upload"
                " pictures as a zip, one folder for each label, or drop the column.",
            )


def read_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    described: list[tuple[object, ...]],
    overrides: ReadingOptions,
    issues: Issues,
    upload: Path,
) -> list[Column]:
    """The columns with our types. Numbers that none of our types can hold become a question.

    `described` is DuckDB's DESCRIBE of the table. Raises UnreadableFile for too many columns, and
    for columns of files."""
    _report_lengths_of_time(upload, issues)
    label_names = _read_label_names(upload)
    if len(described) > MAX_COLUMNS:
        raise UnreadableFile("too_many_columns", f"At most {MAX_COLUMNS:,} columns are read.")
    described = [row for row in described if not PANDAS_INDEX.fullmatch(str(row[0]))] or described
    _reject_files(described)
    if any(ANSWERS_TYPE.fullmatch(str(sql_type)) for _, sql_type, *_ in described):
        issues.add("export_of_program", FIRST_ANSWER_NOTE)
    stored = [
        field
        for name, sql_type, *_ in described
        for field in _fields_of(
            connection, table, _Stored(str(name), quote_identifier(str(name)), str(sql_type))
        )
    ]
    names = unique_column_names([field.name for field in stored])
    lossy = _count_losses(connection, table, dict(zip(names, stored, strict=True)), issues)
    thai = _count_thai_years(connection, table, dict(zip(names, stored, strict=True)))
    columns = []
    for name, field in zip(names, stored, strict=True):
        kind, expression = _map_sql_type(field.source, field.sql_type)
        column = Column(name, kind, field.name, expression)
        choice = overrides.get("columns", {}).get(name)
        is_numbered = field.sql_type.removesuffix("[]") in ("BIGINT", "INTEGER")
        if is_numbered and (known := label_names.get(field.name)):
            column = _with_label_names(column, field, known, issues)
        elif name in lossy:
            column = _lossy_column(column, field, lossy[name], choice)
        elif name in thai:
            column = _thai_column(column, *thai[name], choice)
        columns.append(column)
    return columns


@dataclass(frozen=True)
class _Stored:
    """A column of the file, or a field in one: its name, SQL for it, and DuckDB's type."""

    name: str
    source: str
    sql_type: str


def _fields_of(
    connection: duckdb.DuckDBPyConnection, table: str, column: _Stored, depth: int = 0
) -> list[_Stored]:
    """The fields of a structure as columns "outer.inner", as of objects in JSON; else itself."""
    if ANSWERS_TYPE.fullmatch(column.sql_type):  # Of SQuAD: the first of them is the answer.
        return [_Stored("answer", f"struct_extract({column.source}, 'text')[1]", "VARCHAR")]
    is_structure = column.sql_type.startswith("STRUCT(") and column.sql_type.endswith(")")
    if not is_structure or depth == MAX_FIELD_DEPTH or column.name in WHOLE_FIELDS:
        return [column]
    inner = connection.execute(f"DESCRIBE SELECT unnest({column.source}) FROM {table}").fetchall()
    if len(inner) > MAX_NESTED_FIELDS:
        return [column]
    fields = [
        _Stored(
            f"{column.name}.{name}",
            f"struct_extract({column.source}, {quote_literal(name)})",
            str(sql_type),
        )
        for name, sql_type, *_ in inner
    ]
    return [leaf for field in fields for leaf in _fields_of(connection, table, field, depth + 1)]


def _count_losses(
    connection: duckdb.DuckDBPyConnection, table: str, stored: dict[str, _Stored], issues: Issues
) -> dict[str, int]:
    """How many cells of a column our type for it would change, by name, without columns of none.
    All columns are read in one query. Infinite numbers become missing, and an issue says so."""
    losses = {name: _loss(field.source, field.sql_type) for name, field in stored.items()}
    floats = [name for name, field in stored.items() if field.sql_type in ("FLOAT", "DOUBLE")]
    losses |= {name: f"isinf({stored[name].source})" for name in floats}
    conditions = {name: condition for name, condition in losses.items() if condition}
    if not conditions:
        return {}
    counts = ", ".join(f"count(*) FILTER ({condition})" for condition in conditions.values())
    row = connection.execute(f"SELECT {counts} FROM {table}").fetchone()
    counts_by_column = {
        name: int(count) for name, count in zip(conditions, row or (), strict=True) if count
    }
    for name in floats:
        if count := counts_by_column.pop(name, 0):
            issues.add(
                "infinite_numbers",
                "1 cell of this column is infinite and was read as missing."
                if count == 1
                else f"{count:,} cells of this column are infinite and were read as missing.",
                column=name,
            )
    return counts_by_column


def _loss(source: str, sql_type: str) -> str:
    """SQL that is true for a value that our type for it changes; "" where it changes none."""
    if decimal := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", sql_type):
        digits, scale = int(decimal[1]), int(decimal[2])
        if not scale:
            return "" if digits <= INTEGER_DIGITS else f"try_cast({source} AS BIGINT) IS NULL"
        text = f"{source}::VARCHAR"
        is_kept = keeps_digits_sql(text, f"try_cast({text} AS DOUBLE)")
        return "" if digits <= EXACT_DIGITS else f"NOT {is_kept}"
    if sql_type in ("UBIGINT", "HUGEINT", "UHUGEINT"):
        return f"try_cast({source} AS BIGINT) IS NULL"
    if sql_type == "TIMESTAMP_NS":
        return f"{source}::TIMESTAMP::TIMESTAMP_NS <> {source}"
    return ""


def _lossy_column(column: Column, stored: _Stored, count: int, choice: str | None) -> Column:
    """A column whose values are kept as text until a person says that they may be rounded."""
    as_text = f"{stored.source}::VARCHAR"
    if "DECIMAL" in stored.sql_type and ",0)" not in stored.sql_type:
        as_text = f"regexp_replace({as_text}, '[.]?0+$', '')"
    text = replace(column, type="text", expression=as_text)
    if column.type == "datetime":
        sentence = (
            f"1 cell of {column.name!r} is finer than a millionth of a second. It was kept as text."
            if count == 1
            else f"{count:,} cells of {column.name!r} are finer than a millionth of a second. They"
            " were kept as text."
        )
        return replace(text, notes=[sentence])
    if choice == ROUNDED.name:
        notes = [f"Numbers rounded to about 16 digits: {count:,}."]
        return replace(
            text, type="number", expression=f"{as_text}::DOUBLE", notes=notes, reading=ROUNDED.name
        )
    if choice == TEXT.name:
        return text
    sentence = (
        f"1 cell of {column.name!r} has more digits than a number keeps. Keep it as text, or round"
        " it to about 16 digits?"
        if count == 1
        else f"{count:,} cells of {column.name!r} have more digits than a number keeps. Keep them"
        " as text, or round them to about 16 digits?"
    )
    return replace(text, question=Question("long_numbers", sentence, [TEXT, ROUNDED]))


def _count_thai_years(
    connection: duckdb.DuckDBPyConnection, table: str, stored: dict[str, _Stored]
) -> dict[str, tuple[int, int]]:
    """For each column of dates that has years such as 2567: how many dates have one, and how many
    dates there are."""
    low, high = BUDDHIST_YEARS
    dates = [
        name for name, field in stored.items() if field.sql_type.startswith(("DATE", "TIMESTAMP"))
    ]
    dates = [name for name in dates if not stored[name].sql_type.endswith("]")]
    if not dates:
        return {}
    counts = ", ".join(
        f"count(*) FILTER (year({field}) BETWEEN {low} AND {high}), count({field})"
        for field in (stored[name].source for name in dates)
    )
    row = connection.execute(f"SELECT {counts} FROM {table}").fetchone() or ()
    pairs = zip(dates, row[::2], row[1::2], strict=True)
    return {name: (int(count), int(filled)) for name, count, filled in pairs if count}


def _thai_column(column: Column, count: int, filled: int, choice: str | None) -> Column:
    """A column of dates some of which have years such as 2567: those may be in the future, or 2024
    in Thailand's calendar. Where most have, the column is text until a person decides."""
    if count < MOSTLY * filled:
        return replace(column, notes=[strange_years_note(count)])
    text = replace(column, type="text", expression=f"({column.expression})::VARCHAR")
    plain = Reading(f"{column.type}:{ISO.name}", column.type)
    moved = with_buddhist_years(plain)
    for reading in (plain, moved):
        if choice == reading.name:
            expression = column.expression if reading == plain else reading.to_sql(text.expression)
            return replace(column, expression=expression, reading=reading.name)
    if choice == TEXT.name:
        return text
    question = Question(
        "buddhist_years", buddhist_years_sentence(column.name), [moved, plain, TEXT]
    )
    return replace(text, question=question)


def _map_sql_type(source: str, sql_type: str) -> tuple[str, str]:
    plain = sql_type.split("(")[0]
    if plain in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"):
        return "integer", f"{source}::BIGINT"
    if plain in ("UBIGINT", "HUGEINT", "UHUGEINT") and not sql_type.endswith("]"):
        return "integer", f"{source}::BIGINT"
    if plain == "DECIMAL" and not sql_type.endswith("]"):
        is_whole = sql_type.endswith(",0)")
        return (
            ("integer", f"{source}::BIGINT")
            if is_whole
            else ("number", f"{source}::VARCHAR::DOUBLE")
        )
    if sql_type == "FLOAT":  # 0.1 is 0.1, not the 0.10000000149 that a DOUBLE makes of it.
        return "number", f"CASE WHEN isfinite({source}) THEN {source}::VARCHAR::DOUBLE END"
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
