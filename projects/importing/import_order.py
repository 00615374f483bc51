"""The JSON files that an import and its child process exchange.

In a module of its own, so that code that only reads an answer loads none of the readers.
"""

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from projects.profiling.profile import TableProfile
    from projects.reading.columns.column import ColumnInfo
    from projects.reading.results import Dialect, Issue, ReadingOptions


class ImportOrder(TypedDict):
    """The file to read: `upload` is its path, `filename` the name that the customer gave it."""

    upload: str
    filename: str
    overrides: "ReadingOptions"


class ImportedVersion(TypedDict):
    """What a finished import stores on its version; the keys are fields of DatasetVersion."""

    rows: int
    rejected_rows: int
    table_bytes: int  # Of both files.
    columns: "list[ColumnInfo]"
    dialect: "Dialect"
    issues: "list[Issue]"
    content_sha256: str
    profile: "TableProfile"


class ImportFailure(TypedDict):
    """Why a file could not be imported: a code for programs, a sentence for people."""

    code: str
    sentence: str


class ImportAnswer(TypedDict):
    """The result of an import: exactly one of the two is not None."""

    table: ImportedVersion | None
    failure: ImportFailure | None


def failed(code: str, sentence: str) -> ImportAnswer:
    return {"table": None, "failure": {"code": code, "sentence": sentence}}
