"""Further columns of the data file, to break results down by."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import BadTrainingData
from engine.evaluation.slicing import slice_columns

WIDEST = 200  # Of very wide tables only the first columns are looked at.


def other_columns(
    data: Path, source_rows: Sequence[int], used: Collection[str], chosen: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """Values of telling columns that are not `used`, for these rows; those `chosen` always."""
    schema = pq.read_schema(data)
    for name in chosen:
        if name not in schema.names:
            raise BadTrainingData("missing_column", f"There is no column {name!r} to compare by.")
    free = [field.name for field in schema if field.name not in used and _is_plain(field.type)]
    wanted = list(dict.fromkeys([*chosen, *free[:WIDEST]]))
    table = pq.read_table(data, columns=wanted).take(pa.array(source_rows, pa.int64()))
    return slice_columns({name: table[name].to_pylist() for name in wanted}, chosen)


def _is_plain(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
    )
