"""The results of reading a file: rows, rejected rows with their lines, and issues to report."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict

from projects.reading.columns.column import ColumnQuestion
from web.spreadsheet_cells import escape_formula

if TYPE_CHECKING:
    import duckdb

MAX_ISSUES_PER_CODE = 10


class Edit(TypedDict, total=False):
    """A change to the finished table; which keys there are depends on `op`."""

    # One of projects.reading.edits.OPERATIONS.
    op: str
    column: str
    columns: list[str]  # Of texts, which are compared.
    rows: list[int]
    value: str | None  # Of set_cells; None empties the cells.
    values: list[str]  # Of merge_values: these become `to`.
    to: str
    cells: list[dict[str, str | None]]  # Of add_rows: each new row, by its columns.
    low: float  # Of clip and drop_outside: numbers within these ends stay as they are.
    high: float
    least: int  # Of merge_rare and drop_rare: a value that fewer rows have is rare.
    most: int  # Of cap_values: rows of each value.
    search: str  # Of set_matching and drop_matching, as on the page of rows.
    filters: list[dict[str, str]]


class ReadingOptions(TypedDict, total=False):
    """What a customer chose by hand; a missing key is detected. Stored as `overrides`."""

    encoding: str
    delimiter: str
    quote: str  # Empty: quotes mean nothing.
    escape: str
    header_rows: int
    skip_lines: int
    short_rows: str  # "reject" or "fill".
    sheet: str
    file: str  # Of an archive of several tables; "*" joins those with the same columns.
    labels: str  # Of pictures: "names" or "folders".
    mask: list[str]  # Columns whose personal data is replaced by its kind.
    columns: dict[str, str]  # Column: the name of its reading, see projects.reading.columns.column.
    edits: list[Edit]  # Made to the finished table, in this order.
    based_on: int  # The number of the version that was edited last.


class Dialect(TypedDict, total=False):
    """How a file is written, for the dataset page and the API. Keys depend on the format."""

    format: str
    encoding: str
    encoding_why: str
    delimiter: str
    quote: str
    escape: str
    line_ends: str
    header_rows: int
    header_why: str
    skip_lines: int
    preamble: list[str]
    short_rows: str
    sheet: str
    sheets: list[str]
    hidden_columns: list[str]  # Of a workbook.
    labels: str
    packed: str  # How the file came: zip, gzip …
    file: str  # Its name inside; "*" for several that were joined.
    files: list[str]  # All tables of the archive.


class Issue(TypedDict):
    """Something the customer should know about a place in the file; `line` and `column` where
    known."""

    code: str
    sentence: str
    line: int | None
    column: str


class UnreadableFile(Exception):
    """The file as a whole cannot become a table. The sentence says why and what to do."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
        super().__init__(sentence)


@dataclass(frozen=True)
class RejectedRow:
    """A row that was refused, with its line, the reason, and its cells."""

    line: int
    column: str
    reason: str
    cells: list[str]


@dataclass
class Issues:
    """What the customer should know: at most MAX_ISSUES_PER_CODE issues of each code are kept, and
    the others counted."""

    entries: list[Issue] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, sentence: str, line: int | None = None, column: str = "") -> None:
        self.counts[code] += 1
        if self.counts[code] <= MAX_ISSUES_PER_CODE:
            self.entries.append(Issue(code=code, sentence=sentence, line=line, column=column))

    def as_list(self) -> list[Issue]:
        """The kept issues, then for each code how many more there were."""
        more = [
            Issue(
                code=code,
                sentence=f"And {count - MAX_ISSUES_PER_CODE:,} more like this.",
                line=None,
                column="",
            )
            for code, count in self.counts.items()
            if count > MAX_ISSUES_PER_CODE
        ]
        return self.entries + more


class BulkReader(Protocol):
    """Reads a regular file in bulk. Its methods raise duckdb.Error, UnicodeDecodeError or
    csv.vectorized.IrregularFile where the file is not regular."""

    rejects: "list[RejectedRow]"

    def open(self, connection: "duckdb.DuckDBPyConnection") -> str:
        """Make a table of text and return its name."""

    def keep(self, connection: "duckdb.DuckDBPyConnection", target: Path) -> None:
        """Put a copy behind that name, for those who read single columns many times."""

    def check_rows(self, connection: "duckdb.DuckDBPyConnection", rows: int) -> None:
        """Compare the rows read with the file."""

    @property
    def row_check(self) -> str:
        """SQL that is true for a regular row."""


@dataclass
class TableSource:
    """A table about to be read: its columns, then its rows as text, one by one.

    `native_types` gives a column's type where the file itself knows it (JSON); other types are
    inferred from the text. An item of `rows` is a RejectedRow or a row of len(names) cells.
    """

    names: list[str]
    rows: Iterator["list[str | None] | RejectedRow"]
    dialect: Dialect
    issues: Issues
    native_types: dict[int, str] = field(default_factory=dict)
    questions: list[ColumnQuestion] = field(default_factory=list)  # About the table as a whole.
    bulk: "BulkReader | None" = None  # Where the whole file may be read at once.
    # The same of a copy without what is not regular; may find that there can be none.
    straighten: "Callable[[], BulkReader | None] | None" = None


class RejectedRowsWriter:
    """Writes rejected rows as a CSV in which no cell is a formula for a spreadsheet."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._file = open(path, "w", encoding="utf-8-sig", newline="")  # noqa: SIM115
        self._writer = csv.writer(self._file)
        self._writer.writerow(["line", "column", "reason", "row"])

    def write(self, reject: RejectedRow) -> None:
        self.count += 1
        guarded = [escape_formula(cell) for cell in reject.cells]
        self._writer.writerow([reject.line, escape_formula(reject.column), reject.reason, *guarded])

    def close(self) -> None:
        self._file.close()
