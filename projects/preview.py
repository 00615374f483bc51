"""Shows rows of a finished table: as they are, and as a model would get them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from projects import pictures, storage
from projects.models import DatasetVersion
from projects.reading.column_types import literal, quoted
from projects.reading.tables import connect

TEXT_SEPARATOR = "\n"  # Between text columns, as the engine joins them.
SHOWN_CHARS = 2_000


def rows(
    version: DatasetVersion, text_columns: list[str], target_column: str | None, limit: int = 5
) -> list[dict[str, Any]]:
    """The first final training rows: {"text", "target"}, text columns joined as in training.

    Rows without text or target are skipped, as in training. Unknown columns give no rows. Of
    pictures it is one of each label, with their row numbers as "row".
    """
    if pictures.picture_column(version) in text_columns:
        return pictures.gallery(version, target_column, limit)
    known = {column["name"] for column in version.columns}
    wanted = [*text_columns, *([target_column] if target_column else [])]
    if not text_columns or not known.issuperset(wanted):
        return []
    names = ", ".join(map(quoted, text_columns))
    text = f"concat_ws({literal(TEXT_SEPARATOR)}, {names})"
    target = f"{quoted(target_column)}::VARCHAR" if target_column else "''"
    with _open(version) as (connection, table):
        found = connection.execute(
            f"SELECT text, target FROM (SELECT {text} AS text, {target} AS target FROM {table})"
            " WHERE trim(text) <> '' AND target IS NOT NULL LIMIT ?",
            [limit],
        ).fetchall()
    return [{"text": text[:SHOWN_CHARS], "target": target[:SHOWN_CHARS]} for text, target in found]


def cells(version: DatasetVersion, columns: list[str], limit: int) -> list[tuple[str | None, ...]]:
    """These columns of the first rows as whole text; none where a column is unknown."""
    if not {column["name"] for column in version.columns}.issuperset(columns):
        return []
    names = ", ".join(f"{quoted(name)}::VARCHAR" for name in columns)
    with _open(version) as (connection, table):
        found = connection.execute(f"SELECT {names} FROM {table} LIMIT ?", [limit]).fetchall()
    return list(found)


def sample(version: DatasetVersion, limit: int = 10) -> list[list[str | None]]:
    """The first rows as text, in the order of `version.columns`; none of pictures."""
    if not version.columns or pictures.picture_column(version):
        return []
    names = ", ".join(f"{quoted(column['name'])}::VARCHAR" for column in version.columns[:50])
    with _open(version) as (connection, table):
        found = connection.execute(f"SELECT {names} FROM {table} LIMIT ?", [limit]).fetchall()
    return [list(row) for row in found]


@contextmanager
def _open(version: DatasetVersion) -> "Iterator[tuple[duckdb.DuckDBPyConnection, Any]]":
    with tempfile.TemporaryDirectory(prefix="preview-") as folder:
        path = Path(folder) / "data.parquet"
        storage.fetch_file(version.parquet_key, path)
        with connect(Path(folder), memory="256MB") as connection:
            yield connection, f"read_parquet({literal(str(path))})"
