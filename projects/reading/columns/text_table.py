"""Writes rows of text as Arrow or Parquet, before any column has a type."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.lib import StringBuilder

from projects.reading.limits import MAX_ROWS
from projects.reading.results import (
    RejectedRow,
    RejectedRowsWriter,
    TableSource,
    UnreadableFile,
)

BATCH_ROWS = 5_000
BATCH_CHARS = 16_000_000
TEXT_TABLE = "text_of_records"


def write_text_table(
    connection: duckdb.DuckDBPyConnection, source: TableSource, path: Path, rejects_path: Path
) -> tuple[int, int]:
    """Write every row as text. Returns the rows written and the rows rejected.

    A table of one batch becomes the DuckDB table TEXT_TABLE, as each query on a Parquet file of
    many columns first reads the statistics of each; a longer one is written to Parquet at `path`.
    """
    names = [f"c{position}" for position in range(len(source.names))]
    schema = pa.schema([(name, pa.string()) for name in names])
    rejects = RejectedRowsWriter(rejects_path)
    writer, waiting, rows = None, None, 0
    try:
        for batch in _iter_batches(source, rejects):
            rows += len(batch)
            require_row_limit(rows)
            arrays = [_text_array(cells) for cells in zip(*batch, strict=True)]
            if waiting is not None:
                writer = writer or pq.ParquetWriter(path, schema, compression="lz4")
                writer.write_table(waiting)
            waiting = pa.Table.from_arrays(arrays, schema=schema)
        if writer is not None:
            writer.write_table(waiting)
        elif waiting is not None:
            connection.from_arrow(waiting).create(TEXT_TABLE)
    finally:
        rejects.close()
        if writer is not None:
            writer.close()
    return rows, rejects.count


def require_row_limit(rows: int) -> None:
    if rows > MAX_ROWS:
        raise UnreadableFile("too_many_rows", f"This table has more than {MAX_ROWS:,} rows.")


def _text_array(cells: Sequence[str | None]) -> pa.Array:
    """The cells as an Arrow array. pa.array loads pandas, which takes longer than the whole import
    of a few rows; for a full batch it is the faster way."""
    if len(cells) == BATCH_ROWS:
        return pa.array(cells, pa.string())
    builder = StringBuilder()
    builder.append_values(cells)
    return builder.finish()


def _iter_batches(
    source: TableSource, rejects: RejectedRowsWriter
) -> Iterator[list[list[str | None]]]:
    batch: list[list[str | None]] = []
    chars = 0
    for row in source.rows:
        if isinstance(row, RejectedRow):
            rejects.write(row)
            source.issues.add("rejected_row", row.reason, row.line, row.column)
            continue
        batch.append(row)
        chars += sum(map(len, filter(None, row)))
        if len(batch) == BATCH_ROWS or chars > BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch
