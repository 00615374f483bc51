"""What a Parquet file unpacks to. A dictionary of one long text can stand for gigabytes."""

import duckdb

from projects.reading.columns.sql import quote_identifier
from projects.reading.limits import MAX_COMPRESSION_RATIO, MAX_ROWS, MAX_UNPACKED_BYTES
from projects.reading.results import UnreadableFile

FIXED_CELL_BYTES = 8  # Of numbers, dates and booleans.


def require_reasonable_size(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    described: list[tuple[object, ...]],
    file_bytes: int,
) -> None:
    """Raises UnreadableFile for too many rows, and for a file that is made to grow.

    `described` is DuckDB's DESCRIBE of the table. Lengths of repeated texts are computed once for
    each entry of a dictionary, so this costs little exactly where unpacking would cost most.
    """
    texts = [quote_identifier(str(row[0])) for row in described if str(row[1]) == "VARCHAR"]
    lengths = " + ".join(f"coalesce(sum(strlen({name})), 0)" for name in texts) or "0"
    found = connection.execute(f"SELECT count(*), {lengths} FROM {table}").fetchone()
    assert found is not None
    rows, text_bytes = int(found[0]), int(found[1])
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
