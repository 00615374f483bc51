"""Reads further columns of the data file, by whose values results are broken down."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import BadTrainingData
from engine.evaluation.slicing import select_slice_columns

MAX_COLUMNS_READ = 200  # Of very wide tables only the first columns are considered.


def read_slice_columns(
    data: Path, source_rows: Sequence[int], used: Collection[str], chosen: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """The values, for these rows, of the `chosen` columns and of columns that are not `used` and
    worth a breakdown."""
    schema = pq.read_schema(data)
    for name in chosen:
        if name not in schema.names:
            raise BadTrainingData("missing_column", f"There is no column {name!r} to compare by.")
    free = [
        field.name for field in schema if field.name not in used and _is_groupable_type(field.type)
    ]
    names = list(dict.fromkeys([*chosen, *free[:MAX_COLUMNS_READ]]))
    table = pq.read_table(data, columns=names).take(pa.array(source_rows, pa.int64()))
    return select_slice_columns({name: table[name].to_pylist() for name in names}, chosen)


def _is_groupable_type(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
    )
