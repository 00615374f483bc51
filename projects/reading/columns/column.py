"""A column of the finished table, the readings that its cells allow, and questions about them."""

from dataclasses import dataclass, field
from typing import TypedDict

from projects.reading.columns import date_formats, number_formats, written_numbers
from projects.reading.columns.date_formats import AnyDate
from projects.reading.columns.number_formats import PLAIN, NumberFormat
from projects.reading.columns.sql import filled_or_null, quote_literal, trimmed
from projects.reading.columns.word_durations import WORD_DURATION

SQL_TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
}


@dataclass(frozen=True)
class Reading:
    """One way to read a column: its name in the API, its type, and how cells become values.

    Names: "text", "number:1,234.5", "duration:h:mm:ss" for seconds, "date:d/m/y", "key:name" for a
    field of objects, "list" and "columns" for columns of one name; "+missing" behind one reads
    every cell that does not fit as missing.
    """

    name: str
    type: str
    number_format: NumberFormat = PLAIN
    date_format: AnyDate = date_formats.ISO

    def to_sql(self, source: str) -> str:
        """SQL that makes the typed value of the text column `source`."""
        if self == COLUMNS:  # Shown beside the list, cell by cell.
            return f"array_to_string(from_json({source}, '[\"VARCHAR\"]'), ' | ')"
        if self.type == "text" or self == LIST:
            return filled_or_null(source)
        if self.type in ("date", "datetime"):
            return self.date_format.to_sql(source, with_time=self.type == "datetime")
        if self.type == "json":
            return f"label_names({source}, {quote_literal(self.name.removeprefix(KEY_PREFIX))})"
        value = self.number_format.to_sql(trimmed(source))
        if self.number_format == PLAIN:
            # What DuckDB reads as it stands needs no rewriting, which costs 15 times as much.
            value = f"coalesce(try_cast({source} AS DOUBLE), {value})"
        if self.type == "integer":
            return f"try_cast({value} AS BIGINT)"
        # 1e309 and NaN fit no number that can be learnt.
        is_missing = self.name.endswith("+missing")
        return f"CASE WHEN isfinite({value}) THEN {value} END" if is_missing else value


TEXT = Reading("text", "text")
# Of several columns that have one name.
LIST, COLUMNS = Reading("list", "json"), Reading("columns", "text")
KEY_PREFIX = "key:"  # Of readings that take one field of the objects in each cell.


@dataclass(frozen=True)
class Question:
    """Two or more readings that both fit, for a person to choose between."""

    code: str
    sentence: str
    readings: list[Reading]


class ColumnInfo(TypedDict):
    """A column of the finished table, as it is stored on the version and shown by the API."""

    name: str
    type: str  # text, integer, number, boolean, date, datetime, json or image.
    original_name: str


class ReadingSamples(TypedDict):
    """One answer to a question: its name, and what some cells would become."""

    name: str
    values: list[str | None]


class ColumnQuestion(TypedDict):
    """An open question about a column, with the same cells in every reading."""

    column: str
    code: str
    sentence: str
    cells: list[str]
    readings: list[ReadingSamples]


@dataclass(frozen=True)
class Column:
    """A column of the finished table and the SQL that makes it from the text table."""

    name: str
    type: str
    original_name: str
    expression: str
    missing_markers: tuple[str, ...] = ()  # As written: "N/A", "-".
    missing_marker_count: int = 0  # Cells of a column of numbers that hold one of them.
    reading: str = "text"
    question: Question | None = None
    notes: list[str] = field(default_factory=list)
    cell_expression: str = (
        ""  # `expression` of "cell", where it reads its own column c0, c1, … only.
    )
    check: str = ""  # SQL that every row must fulfil, where a sample decided.
    is_chosen: bool = False  # A person has said how it is read.
    source: str = ""  # SQL for its texts, where another than that of its place.
    issue_code: str = "number_format"  # Of the notes.

    @property
    def info(self) -> ColumnInfo:
        return {"name": self.name, "type": self.type, "original_name": self.original_name}


def parse_reading(name: str) -> Reading | None:
    """The reading with this name, for example "number:1.234,5"; None when there is none."""
    kind, _, detail = name.removesuffix("+missing").partition(":")
    for reading in (TEXT, LIST, COLUMNS):
        if kind == reading.name:
            return reading
    if name.startswith(KEY_PREFIX) and detail:
        return Reading(name, "json")
    if kind == "number" and (
        number_format := written_numbers.BY_NAME.get(detail) or number_formats.format_named(detail)
    ):
        return Reading(name, "number", number_format)
    if kind == "duration":
        formats = (*number_formats.DURATIONS, WORD_DURATION)
        duration = next((each for each in formats if each.name == detail), None)
        return Reading(name, "number", duration) if duration else None
    if kind in ("date", "datetime") and detail in date_formats.BY_NAME:
        return Reading(name, kind, date_format=date_formats.BY_NAME[detail])
    return None


def native_column(source: str, native: str, name: str, original: str) -> Column:
    """A column whose type the file itself states."""
    expression = (
        filled_or_null(source)
        if native in ("text", "json")
        else f"try_cast(nullif({trimmed(source)}, '') AS {SQL_TYPES[native]})"
    )
    return Column(name, native, original, expression, reading=native)
