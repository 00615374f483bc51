"""The first rows of a version, as they are and as they are trained on."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import duckdb

from engine.data.label_columns import PRESENT_WORDS
from projects import storage
from projects.models import DatasetVersion
from projects.queries import thumbnails
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.tables import connect_duckdb

TEXT_SEPARATOR = "\n"  # Between text columns, as the engine joins them.
MAX_DISPLAY_CHARS = 2_000


class TrainingRow(TypedDict):
    """A row as it is trained on: its text columns joined, and its target."""

    text: str
    target: str


def load_training_rows(
    version: DatasetVersion, text_columns: list[str], targets: Sequence[str], limit: int = 5
) -> Sequence[TrainingRow]:
    """The first rows as they are trained on, text columns joined. Several targets are labels of
    their own: `target` names those that are true of the row.

    Rows without text or target are skipped, as in training. With an unknown column there are no
    rows. Of a dataset of images these are GalleryImages, a few of each label.
    """
    if thumbnails.image_column(version) in text_columns:
        return thumbnails.load_gallery(version, targets[0] if targets else None, limit)
    column_names = {column["name"] for column in version.columns}
    if not text_columns or not column_names.issuperset([*text_columns, *targets]):
        return []
    names = ", ".join(map(quote_identifier, text_columns))
    text = f"concat_ws({quote_literal(TEXT_SEPARATOR)}, {names})"
    target = _target_sql(targets)
    with _open_table(version) as (connection, table):
        rows = connection.execute(
            f"SELECT text, target FROM (SELECT {text} AS text, {target} AS target FROM {table})"
            " WHERE trim(text) <> '' AND target IS NOT NULL LIMIT ?",
            [limit],
        ).fetchall()
    return [
        {"text": text[:MAX_DISPLAY_CHARS], "target": target[:MAX_DISPLAY_CHARS]}
        for text, target in rows
    ]


def _target_sql(targets: Sequence[str]) -> str:
    if not targets:
        return "''"
    if len(targets) == 1:
        return f"nullif(trim({quote_identifier(targets[0])}::VARCHAR), '')"
    words = ", ".join(map(quote_literal, sorted(PRESENT_WORDS)))
    present = (
        f"CASE WHEN lower(trim({quote_identifier(name)}::VARCHAR)) IN ({words})"
        f" THEN {quote_literal(name)} END"
        for name in targets
    )
    return f"concat_ws(', ', {', '.join(present)})"


def load_columns(
    version: DatasetVersion, columns: list[str], limit: int
) -> list[tuple[str | None, ...]]:
    """These columns of the first rows as uncut text; no rows where a column is unknown."""
    if not {column["name"] for column in version.columns}.issuperset(columns):
        return []
    names = ", ".join(f"{quote_identifier(name)}::VARCHAR" for name in columns)
    with _open_table(version) as (connection, table):
        rows = connection.execute(f"SELECT {names} FROM {table} LIMIT ?", [limit]).fetchall()
    return list(rows)


@contextmanager
def _open_table(version: DatasetVersion) -> "Iterator[tuple[duckdb.DuckDBPyConnection, str]]":
    """A connection of DuckDB and SQL for the version's table. It reads the stored Parquet file, and
    of it only the columns and rows of a query."""
    with (
        tempfile.TemporaryDirectory(prefix="preview-") as folder,
        storage.local_file(version.parquet_key) as path,
        connect_duckdb(Path(folder), memory="256MB") as connection,
    ):
        yield connection, f"read_parquet({quote_literal(str(path))})"
