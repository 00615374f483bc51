"""Converts Arrow IPC files (Feather version 2 is the same format) and IPC streams to Parquet.

They are converted a batch at a time, and the Parquet file is then read as any other. Types that
Parquet or DuckDB would read as something else are cast first, or refused.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from projects.reading.limits import MAX_COLUMNS, MAX_ROWS
from projects.reading.results import UnreadableFile

FILE_SIGNATURE = b"ARROW1"
STREAM_SIGNATURE = b"\xff\xff\xff\xff"  # Before the length of a stream's first message.
DAMAGED = "This Arrow file is damaged or of an unknown kind."


def is_arrow(start: bytes) -> bool:
    """Whether a file that starts with these bytes is an Arrow file or stream."""
    is_stream = start.startswith(STREAM_SIGNATURE) and len(start) > 8 and start[7] == 0
    return start.startswith(FILE_SIGNATURE) or is_stream


def convert_to_parquet(upload: Path, target: Path) -> None:
    """Write the table of an Arrow file as Parquet. Raises UnreadableFile."""
    rows = 0
    try:
        with pa.OSFile(str(upload)) as file:
            schema, batches = _open(file)
            if len(schema) > MAX_COLUMNS:
                raise UnreadableFile(
                    "too_many_columns", f"At most {MAX_COLUMNS:,} columns are read."
                )
            fields = [(field.name, _readable_type(field)) for field in schema]
            readable = pa.schema(fields, metadata=schema.metadata)
            with pq.ParquetWriter(target, readable, compression="lz4") as writer:
                for batch in batches:
                    rows += batch.num_rows
                    if rows > MAX_ROWS:
                        raise UnreadableFile(
                            "too_many_rows", f"This table has more than {MAX_ROWS:,} rows."
                        )
                    batch.validate(full=True)  # Offsets of a stranger's file may point anywhere.
                    columns = [
                        _cast(column, field.type)
                        for column, field in zip(batch.columns, readable, strict=True)
                    ]
                    writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=readable))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UnreadableFile("bad_arrow", DAMAGED) from error


def read_arrow_names(path: Path) -> tuple[str, ...]:
    """The names of a file's or a stream's columns. Raises pa.ArrowException or OSError."""
    with pa.OSFile(str(path)) as file:
        return tuple(_open(file)[0].names)


def _open(file: pa.NativeFile) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    is_file = file.read(len(FILE_SIGNATURE)) == FILE_SIGNATURE
    file.seek(0)
    if is_file:
        reader = pa.ipc.open_file(file)
        batches = (reader.get_batch(place) for place in range(reader.num_record_batches))
        return reader.schema, batches
    stream = pa.ipc.open_stream(file)
    return stream.schema, iter(stream)


def _readable_type(field: pa.Field) -> pa.DataType:
    """The type that the column is written with. Raises UnreadableFile for an unsupported type."""
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind) or pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.large_string()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        raise _refusal(field, "as seconds, a number")
    if pa.types.is_union(kind) or pa.types.is_run_end_encoded(kind):
        raise _refusal(field, "with one plain type")
    return kind


def _refusal(field: pa.Field, how: str) -> UnreadableFile:
    return UnreadableFile(
        "unsupported_type",
        f"Column {field.name!r} holds values of Arrow's type {field.type}, which is not read. Save"
        f" it {how}.",
    )


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column if column.type == kind else column.cast(kind)
