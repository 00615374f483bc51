"""Reads single images out of a Parquet file, as they are stored. Needs no torch."""

from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq


def read_image_bytes(file: Path | IO[Any], column: str, row: int) -> bytes | None:
    """The bytes of one row, counted from 0; None when there are none. Reads one row group: a few
    megabytes, however large the file."""
    table = pq.ParquetFile(file)
    if row < 0 or column not in table.schema_arrow.names:
        return None
    for group in range(table.num_row_groups):
        count = table.metadata.row_group(group).num_rows
        if row < count:
            content = table.read_row_group(group, columns=[column])[column][row].as_py()
            return content if isinstance(content, bytes) else None
        row -= count
    return None
