"""What an import and its child process tell each other, as JSON files.

Apart from the process, so that those who only read an answer load none of the readers.
"""

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from projects.profiling.profile import TableProfile
    from projects.reading.columns.column import ColumnInfo
    from projects.reading.results import Dialect, Issue, ReadingOptions


class ImportOrder(TypedDict):
    upload: str
    filename: str
    overrides: "ReadingOptions"


class ImportedVersion(TypedDict):
    """What a finished import writes on its version; the keys are the row's fields."""

    rows: int
    rejected_rows: int
    table_bytes: int  # Of both files.
    columns: "list[ColumnInfo]"
    dialect: "Dialect"
    issues: "list[Issue]"
    content_sha256: str
    profile: "TableProfile"


class ImportFailure(TypedDict):
    """Why no table could be made of a file, for a program and for a person."""

    code: str
    sentence: str


class ImportAnswer(TypedDict):
    """Exactly one of the two is there."""

    table: ImportedVersion | None
    failure: ImportFailure | None


def failed(code: str, sentence: str) -> ImportAnswer:
    return {"table": None, "failure": {"code": code, "sentence": sentence}}
