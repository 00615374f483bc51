"""Arrow's files come out as their values, or are refused by name."""

import datetime
import decimal
from contextlib import suppress

import pyarrow as pa
import pytest
from pyarrow import feather
from pyarrow import parquet as pq

from projects.reading.results import UnreadableFile
from projects.reading.tables import import_table

TABLE = pa.table(
    {
        "text": ["one, “two”", None, "three"],
        "label": pa.array(["a", "b", "a"]).dictionary_encode(),
        "view": pa.array(["x", "y", "z"], pa.string_view()),
        "count": pa.array([1, None, 3], pa.int16()),
        "half": pa.array([0.5, 1.5, None], pa.float16()),
        "price": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("2.25")]),
        "day": [datetime.date(2024, 5, 31), None, datetime.date(1999, 1, 1)],
        "open": [True, False, None],
        "nothing": pa.nulls(3),
        "tags": [["a", "b"], [], None],
    }
)
VALUES = {
    "text": ["one, “two”", None, "three"],
    "label": ["a", "b", "a"],
    "view": ["x", "y", "z"],
    "count": [1, None, 3],
    "half": [0.5, 1.5, None],
    "price": [1.5, None, 2.25],
    "day": [datetime.date(2024, 5, 31), None, datetime.date(1999, 1, 1)],
    "open": [True, False, None],
    "nothing": [None] * 3,
    "tags": ['["a","b"]', "[]", None],
}


def write_file(path, table):
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_stream(path, table):
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(path, table.schema, options=options) as writer:
        writer.write_table(table)


WRITERS = {
    "file": write_file,
    "stream": write_stream,
    "feather": lambda path, table: feather.write_feather(table, path, compression="lz4"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_table_comes_out_with_its_values(kind, tmp_path):
    WRITERS[kind](str(tmp_path / "upload"), TABLE)
    imported = import_table(tmp_path / "upload", "t.bin", tmp_path, {})
    assert pq.read_table(imported.data).to_pydict() == VALUES
    assert (imported.rows, imported.dialect["format"]) == (3, "arrow")
    assert [column.type for column in imported.columns][1:4] == ["text", "text", "integer"]


def test_a_type_without_equal_is_refused_by_name(tmp_path):
    table = pa.table({"wait": pa.array([1], pa.duration("s"))})
    write_file(str(tmp_path / "upload"), table)
    with pytest.raises(UnreadableFile, match=r"'wait' holds .*duration\[s\]"):
        import_table(tmp_path / "upload", "t.arrow", tmp_path, {})


@pytest.mark.parametrize("kind", WRITERS)
def test_a_damaged_file_is_refused_wherever_it_is_damaged(kind, tmp_path):
    WRITERS[kind](str(tmp_path / "whole"), TABLE)
    whole = (tmp_path / "whole").read_bytes()
    damaged = [whole[: len(whole) * part // 12] for part in range(1, 12)]
    damaged += [
        whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        for place in range(9, len(whole), max(1, len(whole) // 20))
    ]
    for number, content in enumerate(damaged):
        (tmp_path / "upload").write_bytes(content)
        folder = tmp_path / str(number)
        folder.mkdir()
        with suppress(UnreadableFile):  # A flipped bit within a value is a value.
            import_table(tmp_path / "upload", "t.arrow", folder, {})


@pytest.mark.parametrize("content", ["3", '"text"', "null", "true", " -1.5e3\n"])
def test_a_single_json_value_is_refused_with_what_to_do(content, tmp_path):
    (tmp_path / "upload").write_text(content)
    with pytest.raises(UnreadableFile, match="single value, not rows"):
        import_table(tmp_path / "upload", "value.json", tmp_path, {})
